/**
 * What no honest peer does, however slow, old or unlucky it is, and how much of it is tolerated. Only what
 * this node has seen itself on a connection counts, never what another peer says.
 */

/** Points at which a connection is ended. */
export const LIMIT = 100;
/** Points that are forgotten each minute. */
const FORGOTTEN = 10;

/** Points of each. */
export const PENALTIES = {
  /** Not a frame, above its limit, or not an answer to what was asked: ends the connection itself. */
  malformed: LIMIT,
  /** More in answer to one search than any peer may send. */
  excess: LIMIT,
  /** A list with more entries than were asked for. */
  oversized: 20,
  /** A result of another search, or from farther away than the search was sent. */
  stray: 5,
  /** Search upon search long after being told that it is too many. */
  flood: LIMIT,
} as const;

export type Misbehaviour = keyof typeof PENALTIES;

/** The points of one connection. */
export class PeerScore {
  #points = 0;
  #at: number;

  /** @param now milliseconds */
  constructor(now: number) {
    this.#at = now;
  }

  /** @returns whether the limit is reached */
  add(kind: Misbehaviour, now: number): boolean {
    const forgotten = ((now - this.#at) * FORGOTTEN) / 60_000;
    this.#points = Math.max(0, this.#points - forgotten) + PENALTIES[kind];
    this.#at = now;
    return this.#points >= LIMIT;
  }
}
