/** Everything that bounds a chained search, in one place. Each node may choose its own. */

export interface RelayLimits {
  /** Hops a search may be passed on from here at most, whatever its ttl asks for. */
  ttl: number;
  /** Milliseconds a search lasts that does not say how long, and at most. */
  timeout: number;
  maxTimeout: number;
  /**
   * Time kept for the way back: milliseconds, or this share of the time left if that is more. The
   * neighbours get the rest.
   */
  margin: number;
  marginShare: number;
  /** The least time, in milliseconds, with which a search is forwarded. */
  minTimeout: number;
  /** Milliseconds, and share of the time left, that the asker's list of peers is waited for at most. */
  listWait: number;
  listWaitShare: number;
  /** Searches under way for one asker, and for all. */
  openPerAsker: number;
  open: number;
  /** Searches a second from one asker, and how many at once after a pause. */
  rate: number;
  burst: number;
  /** Factor between the limits of one asker and those of one client. */
  perClient: number;
  /** The part of `rate` and `burst`, those of a neighbour, that this node uses itself to pass searches on. */
  passShare: number;
  /** Refusals of one asker within 10 s that count as flooding. */
  flood: number;
  /** Refusals of one asker within 10 s from which on all its searches are refused. */
  push: number;
  /** Milliseconds in which a neighbour that refused a search is asked nothing. */
  busyPause: number;
  /** Askers whose rate is remembered. */
  askers: number;
  /** Searches remembered, and for how many milliseconds. */
  seen: number;
  seenFor: number;
  /** Files asked of a peer, and relayed in one TPHF. */
  filesPerResult: number;
  /** TPHF taken from one neighbour in one search. */
  resultsPerNeighbour: number;
  /** Bytes of files' entries relayed in one TPHF. */
  bytesPerResult: number;
  /** Files relayed in one search, and bytes of their entries. */
  files: number;
  bytes: number;
  /** Bytes of files' entries in all answers of one neighbour to one search. */
  bytesPerNeighbour: number;
  /** What a neighbour may add to each count of an ACKN. */
  count: number;
}

export const RELAY_LIMITS: Readonly<RelayLimits> = {
  ttl: 7,
  timeout: 5000,
  maxTimeout: 60_000,
  margin: 25,
  marginShare: 1 / 16,
  minTimeout: 50,
  listWait: 500,
  listWaitShare: 1 / 16,
  openPerAsker: 64,
  open: 1024,
  rate: 50,
  burst: 200,
  perClient: 4,
  passShare: 0.8,
  flood: 2000,
  push: 200,
  busyPause: 1000,
  askers: 10_000,
  seen: 100_000,
  seenFor: 10 * 60 * 1000,
  filesPerResult: 100,
  resultsPerNeighbour: 2000,
  bytesPerResult: 64 * 1024,
  files: 20_000,
  bytes: 8 * 1024 * 1024,
  bytesPerNeighbour: 16 * 1024 * 1024,
  count: 100_000,
};
