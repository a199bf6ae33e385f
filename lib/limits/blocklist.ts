/** Clients whose connections are not accepted for a while, because of what they did on the last ones. */
import { systemClock, type Clock } from '../support/clock.js';

/** Clients that are remembered; then the one that was first is forgotten. */
const MAX_CLIENTS = 4096;

export class Blocklist {
  readonly #ms: number;
  readonly #clock: Clock;
  readonly #max: number;
  /** When it is over, in milliseconds of the clock; the first to end is first. */
  readonly #until = new Map<string, number>();

  /** @param ms for how long, from the last time on */
  constructor(ms: number, clock: Clock = systemClock, max = MAX_CLIENTS) {
    this.#ms = ms;
    this.#clock = clock;
    this.#max = max;
  }

  add(client: string): void {
    this.#until.delete(client);
    this.#until.set(client, this.#clock.now() + this.#ms);
    this.#forget();
  }

  has(client: string): boolean {
    this.#forget();
    return this.#until.has(client);
  }

  #forget(): void {
    const now = this.#clock.now();
    for (const [client, until] of this.#until) {
      if (until > now && this.#until.size <= this.#max) return;
      this.#until.delete(client);
    }
  }
}
