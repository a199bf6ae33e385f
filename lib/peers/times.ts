/** Every interval and time limit of what a node does with its peers, in milliseconds. */
import type { Backoff } from '../support/backoff.js';

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
  /** Between two such visits, to whatever peer. */
  betweenVisits: number;
  /** Since a peer was last reached, while it may still be listed to others. */
  fresh: number;
  /** Pauses of a peer that was never reached; one more failure and it is dropped. */
  pauses: readonly number[];
  /** Pauses of a peer that was reached once: it is not dropped before `forgotten`. */
  reachedPause: Backoff;
  /** Since a peer was last reached, when it is dropped at its next failure. */
  forgotten: number;
  /** The longest pause before a peer named by the user is tried again; the first is `soon`. */
  namedPause: number;
  /** The longest pause of the peers reached last, as long as no peer at all answers. */
  isolatedPause: number;
  /** Between looks whether the machine slept, or has other addresses than before. */
  look: number;
  /** Before a peer is tried whose link was lost, or that says itself that it is there. */
  soon: number;
  /** A link that is lost earlier counts as a failure: the next one is made later and later. */
  stable: number;
  /** Between dials of one host at ports where no peer was reached yet; a few may come at once. */
  hostPause: number;
  /** How long a dropped peer is not added again when another peer names it. */
  dropped: number;
  /** How long a peer is not dialled that did what no honest one does, the first time. */
  banned: number;
  /** How long no client is accepted from an address from which this node was flooded with searches. */
  blocked: number;
  /** How long another address of a known peer, or of this node, is not dialled. */
  alias: number;
  /** How long the peer list of an asker is cached. */
  listCached: number;
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
  reachedPause: { base: 2_000, factor: 3, cap: 10 * 60_000, jitter: 0.25 },
  forgotten: 7 * 24 * 3600_000,
  namedPause: 30_000,
  isolatedPause: 8_000,
  look: 5_000,
  soon: 500,
  stable: 30_000,
  hostPause: 1_000,
  dropped: 10 * 60_000,
  banned: 10 * 60_000,
  blocked: 60_000,
  alias: 10 * 60_000,
  listCached: 30_000,
  resolve: 30_000,
  save: 60_000,
};
