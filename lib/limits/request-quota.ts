/**
 * How many requests of all connections together may be unanswered: each takes memory and a turn. What exceeds
 * them waits: in the kernel, at the other end, and as far as it was read already in a budget of bytes.
 */
import { ByteBudget } from './byte-budget.js';

/** Of all connections, unless told otherwise. */
const MAX_IN_FLIGHT = 1024;
/** Requests of all connections that were read and wait, in bytes. */
const WAITING_BYTES = 8 * 1024 * 1024;
/** Of one connection, even when there are that many: a crowd does not shut out the others. */
const ALWAYS = 2;

export class RequestQuota {
  /** Bytes of requests that were read and wait. */
  readonly bytes = new ByteBudget(WAITING_BYTES);
  readonly #max: number;
  #inFlight = 0;
  /** Told when there is room; those that wait longest first. */
  readonly #waiting = new Set<() => void>();

  constructor(max = MAX_IN_FLIGHT) {
    this.#max = max;
  }

  /** Requests that are not answered yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether a connection that has so many unanswered may have one more. */
  allows(unanswered: number): boolean {
    return this.#inFlight < this.#max || unanswered < ALWAYS;
  }

  /** A request has come. */
  begin(): void {
    this.#inFlight++;
  }

  /** So many have been answered. */
  end(count: number): void {
    this.#inFlight -= count;
    for (const resume of this.#waiting) {
      if (this.#inFlight >= this.#max) return;
      this.#waiting.delete(resume);
      resume();
    }
  }

  /** Be told once when there is room for a request. */
  wait(resume: () => void): void {
    this.#waiting.add(resume);
  }

  /** Wait no more. */
  forget(resume: () => void): void {
    this.#waiting.delete(resume);
  }
}
