/** Results of slow searches, kept until the index changes. */
import type { Matches } from './search.js';

/** Entries of all answers kept. */
const MAX_ENTRIES = 16_384;
/** Entries that an answer without any counts as: it takes memory, too. */
const LEAST = 16;

export class ResultCache {
  /** The one used last is the last. */
  readonly #answers = new Map<string, Matches>();
  #entries = 0;

  get(key: string): Matches | undefined {
    const found = this.#answers.get(key);
    if (found === undefined) return undefined;
    this.#answers.delete(key);
    this.#answers.set(key, found);
    return found;
  }

  set(key: string, matches: Matches): void {
    this.#drop(key);
    this.#answers.set(key, matches);
    this.#entries += LEAST + matches.best.length;
    for (const [oldest] of this.#answers) {
      if (this.#entries <= MAX_ENTRIES) return;
      this.#drop(oldest);
    }
  }

  /** Something has changed. */
  clear(): void {
    if (this.#answers.size === 0) return;
    this.#answers.clear();
    this.#entries = 0;
  }

  #drop(key: string): void {
    const found = this.#answers.get(key);
    if (found === undefined) return;
    this.#answers.delete(key);
    this.#entries -= LEAST + found.best.length;
  }
}
