/** How often what was done, and everything that was not as it should be. */
export class Counts {
  readonly #counts: Record<string, number> = {};
  /** The first of them, in words. */
  readonly wrongs: string[] = [];
  #wrong = 0;

  add(what: string, many = 1): void {
    this.#counts[what] = (this.#counts[what] ?? 0) + many;
  }

  /** Something was not as it should be: the run has failed. */
  wrong(what: string): void {
    this.#wrong++;
    if (this.wrongs.length < 50) this.wrongs.push(what);
  }

  get wrongCount(): number {
    return this.#wrong;
  }

  get all(): Readonly<Record<string, number>> {
    return { ...this.#counts, wrong: this.#wrong };
  }
}
