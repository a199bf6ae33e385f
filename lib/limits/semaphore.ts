/** A counting semaphore: a take that exceeds what is left waits, in the order of asking. */

export class Semaphore {
  #left: number;
  readonly #waiting: { amount: number; go: () => void }[] = [];

  constructor(amount: number) {
    this.#left = amount;
  }

  /**
   * @param amount no more than there is in all
   * @returns resolves when there is so much left; undefined when there is now
   */
  take(amount: number): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#left >= amount) {
      this.#left -= amount;
      return undefined;
    }
    return new Promise((go) => {
      this.#waiting.push({ amount, go });
    });
  }

  give(amount: number): void {
    this.#left += amount;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (this.#left < first.amount) return;
      this.#left -= first.amount;
      this.#waiting.shift();
      first.go();
    }
  }
}
