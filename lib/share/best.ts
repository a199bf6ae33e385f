/** The best few of many results, behind a cursor: a heap with the worst of them on top. */
import { NAME_STEP, WORD_STEP } from './match.js';
import type { PathTable } from './path-table.js';

// A cursor: terms that are no whole word (2 bytes), terms that are not in the name (2), the path. Its
// length is the third part of the rank.
const CURSOR_HEAD = 4;

export class Best {
  readonly #table: PathTable;
  readonly #max: number;
  readonly #after: { rank: number; path: Uint8Array } | undefined;
  readonly #ids: Int32Array;
  readonly #ranks: Float64Array;
  #size = 0;
  /** Whether there is more behind those that are kept. */
  more = false;
  /** What has a higher rank is not among the best. */
  worst = Infinity;

  /** @param after a cursor; whatever is in it */
  constructor(table: PathTable, max: number, after?: Uint8Array) {
    this.#table = table;
    this.#max = max;
    this.#ids = new Int32Array(max);
    this.#ranks = new Float64Array(max);
    if (after !== undefined) {
      const [a = 0, b = 0, c = 0, d = 0] = after;
      const path = after.subarray(CURSOR_HEAD);
      const rank = (a * 256 + b) * WORD_STEP + (c * 256 + d) * NAME_STEP + path.length;
      this.#after = { rank, path };
    }
  }

  /** Whether there is a rank below which nothing is taken. */
  get continues(): boolean {
    return this.#after !== undefined;
  }

  offer(id: number, rank: number): void {
    const after = this.#after;
    if (after !== undefined && rank <= after.rank) {
      if (rank < after.rank || this.#table.compareBytes(id, after.path) <= 0) return;
    }
    if (this.#size < this.#max) {
      this.#up(id, rank);
    } else {
      this.more = true;
      if (rank > this.worst || (rank === this.worst && !this.#isBefore(id, rank, 0))) return;
      this.#down(id, rank, this.#size);
    }
    if (this.#size === this.#max) this.worst = this.#ranks[0] ?? 0;
  }

  /** The ids kept, best first. Nothing may be offered after this. */
  take(): number[] {
    const ids: number[] = [];
    // Heapsort: the worst goes to the end.
    while (this.#size > 0) {
      ids.push(this.#ids[0] ?? 0);
      const last = --this.#size;
      if (last > 0) this.#down(this.#ids[last] ?? 0, this.#ranks[last] ?? 0, last);
    }
    return ids.reverse();
  }

  #up(id: number, rank: number): void {
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (this.#isBefore(id, rank, parent)) break;
      this.#ids[at] = this.#ids[parent] ?? 0;
      this.#ranks[at] = this.#ranks[parent] ?? 0;
      at = parent;
    }
    this.#ids[at] = id;
    this.#ranks[at] = rank;
  }

  /** Put another in the place of the top, in a heap of `size`. */
  #down(id: number, rank: number, size: number): void {
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      const other = child + 1;
      if (other < size && this.#isBefore(this.#ids[child] ?? 0, this.#ranks[child] ?? 0, other)) {
        child = other;
      }
      if (!this.#isBefore(id, rank, child)) break;
      this.#ids[at] = this.#ids[child] ?? 0;
      this.#ranks[at] = this.#ranks[child] ?? 0;
      at = child;
    }
    this.#ids[at] = id;
    this.#ranks[at] = rank;
  }

  #isBefore(id: number, rank: number, place: number): boolean {
    const other = this.#ranks[place] ?? 0;
    if (rank !== other) return rank < other;
    return this.#table.compare(id, this.#ids[place] ?? 0) < 0;
  }
}

/** The cursor behind a path that has this rank. */
export function cursorOf(path: string, rank: number): Uint8Array {
  const notWord = Math.floor(rank / WORD_STEP);
  const notName = Math.floor((rank % WORD_STEP) / NAME_STEP);
  const head = [notWord >>> 8, notWord & 0xff, notName >>> 8, notName & 0xff];
  return Buffer.concat([Uint8Array.from(head), Buffer.from(path)]);
}
