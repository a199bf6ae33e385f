/**
 * What no honest peer does, however slow, old or unlucky it is; and how much of it is borne. Only what this
 * node has seen itself on a connection counts, never what another peer says.
 */

/** Points at which a connection is ended, and its peer not dialled for a while. */
export const LIMIT = 100;
/** Points that are forgotten each minute. */
const FORGOTTEN = 10;

/** Points of each. */
export const OFFENCES = {
  /** What is no frame, is above its limit, or is no answer to what was asked: ends the connection itself. */
  malformed: LIMIT,
  /** More in answer to one search than anybody may send. */
  excess: LIMIT,
  /** A list with more entries than were asked for. */
  oversized: 20,
  /** A result of another search, or from farther away than the search was sent. */
  stray: 5,
  /** Search upon search long after having been told that it is too many. */
  flood: LIMIT,
} as const;

export type Offence = keyof typeof OFFENCES;

/** The points of one connection. */
export class PeerScore {
  #points = 0;
  #at: number;

  /** @param now milliseconds */
  constructor(now: number) {
    this.#at = now;
  }

  /** @returns whether it is too much now */
  add(offence: Offence, now: number): boolean {
    const forgotten = ((now - this.#at) * FORGOTTEN) / 60_000;
    this.#points = Math.max(0, this.#points - forgotten) + OFFENCES[offence];
    this.#at = now;
    return this.#points >= LIMIT;
  }
}
