/**
 * Lists (see chain.ts) some of whose entries are dead are written anew without these, a little with every
 * change, so that no change has to wait for it. At every step between they can be read.
 */
import { Chains, DEAD, ENTRIES, HEAD, LAST, LAST_CHUNK, ROW, TAIL, USED } from './chain.js';

/** Who has the lists. A list has a name that stays, while its row may move. */
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
  /** The list that is being written anew, and the next chunk of its old chain. */
  #current: { name: number; at: number } | undefined;
  /** Its row: the new chain so far. */
  readonly #anew = new Uint32Array(ROW);
  readonly #ids = new Uint32Array(LAST_CHUNK);

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
        this.#anew.fill(0);
      }
      left -= this.#rewriteChunk(this.#current);
    }
  }

  #rewriteChunk(current: { name: number; at: number }): number {
    const { name, at: chunk } = current;
    const { rows } = this.#lists;
    const row = this.#lists.row(name);
    const anew = this.#anew;
    const n = this.#chains.readChunk(rows, row, chunk, this.#ids, 0);
    const next = this.#chains.next(chunk);
    const kept = this.#lists.sift(name, this.#ids, n);
    for (let i = 0; i < kept; i++) this.#chains.append(anew, 0, this.#ids[i] ?? 0);
    const dropped = n - kept;
    // What is left of the old chain hangs on what is written of the new one.
    if (anew[TAIL] === 0) {
      rows[row + HEAD] = next;
    } else {
      rows[row + HEAD] = anew[HEAD] ?? 0;
      this.#chains.close(anew, 0, next);
    }
    this.#chains.release(chunk);
    rows[row + ENTRIES] = (rows[row + ENTRIES] ?? 0) - dropped;
    rows[row + DEAD] = (rows[row + DEAD] ?? 0) - dropped;
    current.at = next;
    if (next === 0) {
      for (const column of [TAIL, LAST, USED]) rows[row + column] = anew[column] ?? 0;
      this.#current = undefined;
      this.#lists.onCompacted(name);
    }
    return n;
  }
}
