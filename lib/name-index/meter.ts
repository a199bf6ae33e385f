/** How much of a search was done: it is interrupted when that is enough for a while. */

/** Units of work between two places where a search may be interrupted. One is about 10 ns. */
export const STEP = 40_000;

export class Meter {
  readonly #step: number;
  #spent = 0;
  #taken = 0;

  constructor(step: number) {
    this.#step = step;
  }

  /** Count work that was done. @returns whether it is time for an interruption */
  spend(units: number): boolean {
    this.#spent += units;
    return this.#spent >= this.#step;
  }

  /** Units since the begin. */
  get all(): number {
    return this.#taken + this.#spent;
  }

  /** Units since the last interruption. */
  take(): number {
    const spent = this.#spent;
    this.#spent = 0;
    this.#taken += spent;
    return spent;
  }
}
