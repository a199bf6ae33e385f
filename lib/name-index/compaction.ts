/**
 * Rewrites lists (see chain.ts) without their dead entries, a little with every change, so that no change
 * takes long. A list can be read at any time between two steps.
 */
import { Chains, DEAD, ENTRIES, HEAD, LAST, MAX_CHUNK, ROW, TAIL, USED } from './chain.js';

/** The owner of the lists. The name of a list stays, while its row may move. */
export interface CompactedLists {
  readonly rows: Uint32Array;
  row(name: number): number;
  /** Move those of the first `n` ids that are kept to the front. @returns how many; asked once for each id */
  sift(name: number, ids: Uint32Array, n: number): number;
  onCompacted(name: number): void;
}

export class Compaction {
  readonly #chains: Chains;
  readonly #lists: CompactedLists;
  readonly #entries: number;
  readonly #due = new Set<number>();
  /** The list that is being rewritten, and the next chunk of its old chain. */
  #current: { name: number; at: number } | undefined;
  /** The row of the new chain so far. */
  readonly #rewritten = new Uint32Array(ROW);
  readonly #ids = new Uint32Array(MAX_CHUNK);

  /** @param entries looked at in one step, about */
  constructor(chains: Chains, lists: CompactedLists, entries: number) {
    this.#chains = chains;
    this.#lists = lists;
    this.#entries = entries;
  }

  /** A list has many dead entries. */
  due(name: number): void {
    if (name !== this.#current?.name) this.#due.add(name);
  }

  /** A list is gone. */
  forget(name: number): void {
    this.#due.delete(name);
    if (this.#current?.name === name) this.#current = undefined;
  }

  /** To be called after every change. */
  step(): void {
    for (let left = this.#entries; left > 0;) {
      if (this.#current === undefined) {
        const [name] = this.#due;
        if (name === undefined) return;
        this.#due.delete(name);
        const at = this.#lists.rows[this.#lists.row(name) + HEAD] ?? 0;
        if (at === 0) continue;
        this.#current = { name, at };
        this.#rewritten.fill(0);
      }
      left -= this.#rewriteChunk(this.#current);
    }
  }

  #rewriteChunk(current: { name: number; at: number }): number {
    const { name, at: chunk } = current;
    const { rows } = this.#lists;
    const row = this.#lists.row(name);
    const rewritten = this.#rewritten;
    const n = this.#chains.readChunk(rows, row, chunk, this.#ids, 0);
    const next = this.#chains.next(chunk);
    const kept = this.#lists.sift(name, this.#ids, n);
    for (let i = 0; i < kept; i++) this.#chains.append(rewritten, 0, this.#ids[i] ?? 0);
    const dropped = n - kept;
    // What is left of the old chain hangs on what is written of the new one.
    if (rewritten[TAIL] === 0) {
      rows[row + HEAD] = next;
    } else {
      rows[row + HEAD] = rewritten[HEAD] ?? 0;
      this.#chains.seal(rewritten, 0, next);
    }
    this.#chains.release(chunk);
    rows[row + ENTRIES] = (rows[row + ENTRIES] ?? 0) - dropped;
    rows[row + DEAD] = (rows[row + DEAD] ?? 0) - dropped;
    current.at = next;
    if (next === 0) {
      for (const column of [TAIL, LAST, USED]) rows[row + column] = rewritten[column] ?? 0;
      this.#current = undefined;
      this.#lists.onCompacted(name);
    }
    return n;
  }
}
