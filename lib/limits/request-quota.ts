/** How many requests of all connections together may be unanswered: each takes memory and a turn. */

/** Of all connections, unless told otherwise. */
const MAX_IN_FLIGHT = 16_384;
/** Of one connection, even when there are that many: a crowd does not shut out the others. */
const ALWAYS = 4;

export class RequestQuota {
  readonly #max: number;
  /** Requests that are not answered yet, counted by the connections. */
  inFlight = 0;

  constructor(max = MAX_IN_FLIGHT) {
    this.#max = max;
  }

  /** Whether a connection that has so many unanswered may have one more. */
  allows(unanswered: number): boolean {
    return this.inFlight < this.#max || unanswered < ALWAYS;
  }
}
