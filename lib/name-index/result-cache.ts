/** Results of slow searches, kept until the index changes. */
import type { Matches } from './search.js';

/** Entries of all answers kept. */
const MAX_ENTRIES = 16_384;
/** Entries that an answer without any counts as: it takes memory, too. */
const ENTRY_OVERHEAD = 16;

export class ResultCache {
  /** The one used last is the last. */
  readonly #results = new Map<string, Matches>();
  #entries = 0;

  get(key: string): Matches | undefined {
    const found = this.#results.get(key);
    if (found === undefined) return undefined;
    this.#results.delete(key);
    this.#results.set(key, found);
    return found;
  }

  set(key: string, matches: Matches): void {
    this.#drop(key);
    this.#results.set(key, matches);
    this.#entries += ENTRY_OVERHEAD + matches.best.length;
    for (const [oldest] of this.#results) {
      if (this.#entries <= MAX_ENTRIES) return;
      this.#drop(oldest);
    }
  }

  /** Something has changed. */
  clear(): void {
    if (this.#results.size === 0) return;
    this.#results.clear();
    this.#entries = 0;
  }

  #drop(key: string): void {
    const found = this.#results.get(key);
    if (found === undefined) return;
    this.#results.delete(key);
    this.#entries -= ENTRY_OVERHEAD + found.best.length;
  }
}
