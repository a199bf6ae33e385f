/** A line on which everything takes the same time: what goes in comes out that much later, in order. */
import type { Clock } from '../../lib/support/clock.js';

export class DelayLine {
  readonly #delay: number;
  readonly #clock: Clock;
  /** What is on the line, the oldest first. */
  readonly #actions: { due: number; action: () => void }[] = [];
  #waits = false;

  /** @param delay milliseconds */
  constructor(delay: number, clock: Clock) {
    this.#delay = delay;
    this.#clock = clock;
  }

  /** Do `action` when the delay is over: never earlier, each at its own time. */
  pass(action: () => void): void {
    this.#actions.push({ due: this.#clock.now() + this.#delay, action });
    if (!this.#waits) this.#wait();
  }

  #wait(): void {
    const [next] = this.#actions;
    this.#waits = next !== undefined;
    if (next === undefined) return;
    this.#clock.after(Math.max(0, next.due - this.#clock.now()), () => {
      this.#release();
      this.#wait();
    });
  }

  #release(): void {
    // A timer may come a little early: then the next one is for what is left.
    for (let next = this.#actions[0]; next !== undefined; next = this.#actions[0]) {
      if (next.due > this.#clock.now()) return;
      this.#actions.shift();
      next.action();
    }
  }
}
