/** Unpredictable choices, from a source of randomness that a test can seed. */
export class Random {
  readonly #random: () => number;

  /** @param random from 0 to 1, as Math.random */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** One element; undefined when there is none. */
  pick<T>(from: readonly T[]): T | undefined {
    return from[Math.floor(this.#random() * from.length)];
  }

  /** At most `max` elements, in random order. Changes the order of `from`. */
  choose<T>(from: T[], max: number): T[] {
    const count = Math.min(from.length, Math.max(0, max));
    for (let i = 0; i < count; i++) {
      const j = i + Math.floor(this.#random() * (from.length - i));
      [from[i], from[j]] = [from[j] as T, from[i] as T];
    }
    return from.slice(0, count);
  }

  /** A quarter more or less, so that timers spread. */
  jitter(milliseconds: number): number {
    return milliseconds * (0.75 + this.#random() / 2);
  }
}
