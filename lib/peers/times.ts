/** Every interval and time limit of what a node does with its peers, in milliseconds. */
export interface PeerTimes {
  /** Until a connection must be there. */
  connect: number;
  /** Until PING or RQLT must have been answered. */
  answer: number;
  /** Between two PINGs on a link. */
  ping: number;
  /** From a link's first RQLT to its second; then twice as long each time, up to `list`. */
  firstList: number;
  list: number;
  /** Between visits to a peer that was reached and has no link. More when there are many. */
  revisit: number;
  /** Between two such visits, whoever they go to. */
  betweenVisits: number;
  /** Since a peer was last reached, while it may still be listed to others. */
  fresh: number;
  /** Pauses after the first failure, the second, ...; one more failure and the peer is dropped. */
  pauses: readonly number[];
  /** The longest pause before a peer named by the user is tried again; the first is `soon`. */
  namedPause: number;
  /** Before a peer is tried whose link was lost, or that says itself that it is there. */
  soon: number;
  /** How long a dropped peer is not taken up again because somebody else speaks of it. */
  dropped: number;
  /** How long a peer is not dialled that did what no honest one does, the first time. */
  banned: number;
  /** How long nobody is let in who comes from where a client did that flooded this node with searches. */
  shunned: number;
  /** How long another address of a known peer, or of this node, is not dialled. */
  alias: number;
  /** For which the list of a peer that searches is remembered. */
  asked: number;
  /** Between looks at the names of peers that the user gave, when they do not lead to one. */
  resolve: number;
  /** Between saves of the table. */
  save: number;
}

/**
 * A peer that dies is not listed 50 s later whatever happens, and sooner when an attempt to reach it
 * fails: at once where its machine refuses connections.
 */
export const PEER_TIMES: PeerTimes = {
  connect: 5_000,
  answer: 8_000,
  ping: 15_000,
  firstList: 500,
  list: 30_000,
  revisit: 20_000,
  betweenVisits: 500,
  fresh: 50_000,
  pauses: [2_000, 10_000],
  namedPause: 30_000,
  soon: 500,
  dropped: 10 * 60_000,
  banned: 10 * 60_000,
  shunned: 60_000,
  alias: 10 * 60_000,
  asked: 30_000,
  resolve: 30_000,
  save: 60_000,
};
