/** The event loop's delay during some work, sampled each 5 ms (which are part of it). */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { median } from './statistics.js';

const RESOLUTION = 5;

export class LoopDelay {
  readonly #p99: number[] = [];
  #max = 0;

  async during<T>(work: () => Promise<T>): Promise<T> {
    // One for each piece of work: the pauses between them are no delays.
    const delay = monitorEventLoopDelay({ resolution: RESOLUTION });
    delay.enable();
    try {
      return await work();
    } finally {
      delay.disable();
      this.#p99.push(delay.percentile(99) / 1e6);
      this.#max = Math.max(this.#max, delay.max / 1e6);
    }
  }

  /** Milliseconds: the median of the 99th percentiles, and the longest. */
  get figures(): { p99: number; max: number } {
    return { p99: median(this.#p99), max: this.#max };
  }

  toString(): string {
    const { p99, max } = this.figures;
    return `event loop's delay: p99 ${p99.toFixed(0)} ms, max ${max.toFixed(0)} ms`;
  }
}
