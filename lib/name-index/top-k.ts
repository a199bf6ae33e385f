/**
 * The best few of many results, behind a cursor. Results are gathered by their rank alone, and those
 * of the last rank that has a place are put in the order of their paths when there are too many.
 */
import { NAME_STEP, WORD_STEP } from './rank.js';
import type { PathTable } from './path-table.js';

// A cursor: terms that are no whole word (2 bytes), terms that are not in the name (2), the path. Its
// length is the third part of the rank.
const CURSOR_HEAD = 4;
/** Results gathered before those too many are let go, as a multiple of those wanted, and at least. */
const ROOM_FACTOR = 4;
const MIN_ROOM = 256;

export class TopK {
  readonly #table: PathTable;
  readonly #max: number;
  readonly #after: { rank: number; path: Uint8Array } | undefined;
  readonly #ids: Int32Array;
  readonly #ranks: Float64Array;
  #size = 0;
  /** The path of the last of the best, once there are as many as wanted. */
  #last: Uint8Array = new Uint8Array(0);
  /** Whether there is more behind those that are kept. */
  more = false;
  /** What has a higher rank is not among the best. */
  worst = Infinity;

  /** @param after a cursor; whatever is in it */
  constructor(table: PathTable, max: number, after?: Uint8Array) {
    this.#table = table;
    this.#max = max;
    const room = Math.max(max * ROOM_FACTOR, MIN_ROOM);
    this.#ids = new Int32Array(room);
    this.#ranks = new Float64Array(room);
    if (after !== undefined) {
      const [a = 0, b = 0, c = 0, d = 0] = after;
      const path = after.subarray(CURSOR_HEAD);
      const rank = (a * 256 + b) * WORD_STEP + (c * 256 + d) * NAME_STEP + path.length;
      this.#after = { rank, path };
    }
  }

  offer(id: number, rank: number): void {
    const after = this.#after;
    if (after !== undefined && rank <= after.rank) {
      if (rank < after.rank || this.#table.compareBytes(id, after.path) <= 0) return;
    }
    if (
      rank > this.worst ||
      (rank === this.worst && this.#table.compareBytes(id, this.#last) > 0)
    ) {
      this.more = true;
      return;
    }
    this.#ids[this.#size] = id;
    this.#ranks[this.#size++] = rank;
    if (this.#size === this.#ids.length) this.#trim();
  }

  /** Let go what is too much, so that `worst` is as low as it can be. */
  tighten(): void {
    if (this.#size > this.#max) this.#trim();
  }

  /** Let an id go that may have been offered: it is not what it was. */
  drop(id: number): void {
    let kept = 0;
    for (let i = 0; i < this.#size; i++) {
      if (this.#ids[i] === id) continue;
      this.#ids[kept] = this.#ids[i] ?? 0;
      this.#ranks[kept++] = this.#ranks[i] ?? 0;
    }
    this.#size = kept;
  }

  /** What is kept, best first. Nothing may be offered after this. */
  take(): { id: number; rank: number }[] {
    this.tighten();
    const kept = Array.from(this.#ids.subarray(0, this.#size), (id, i) => ({
      id,
      rank: this.#ranks[i] ?? 0,
    }));
    kept.sort((a, b) => a.rank - b.rank);
    const best: { id: number; rank: number }[] = [];
    for (let from = 0, to = 0; from < kept.length; from = to) {
      const { rank } = kept[from] ?? { rank: 0 };
      while (to < kept.length && kept[to]?.rank === rank) to++;
      const same = kept.slice(from, to).map(({ id }) => id);
      for (const { id } of this.#byPath(same)) best.push({ id, rank });
    }
    return best;
  }

  /** Keep only as many as wanted. */
  #trim(): void {
    const ids = this.#ids;
    const ranks = this.#ranks;
    const worst = ranks.slice(0, this.#size).sort()[this.#max - 1] ?? Infinity;
    const tied: number[] = [];
    let kept = 0;
    let last = '';
    for (let i = 0; i < this.#size; i++) {
      const id = ids[i] ?? 0;
      const rank = ranks[i] ?? 0;
      if (rank === worst) tied.push(id);
      if (rank >= worst) continue;
      ids[kept] = id;
      ranks[kept++] = rank;
    }
    for (const { id, path } of this.#byPath(tied).slice(0, this.#max - kept)) {
      ids[kept] = id;
      ranks[kept++] = worst;
      last = path;
    }
    this.#last = Buffer.from(last);
    this.#size = kept;
    this.worst = worst;
    this.more = true;
  }

  #byPath(ids: readonly number[]): { id: number; path: string }[] {
    const paths = ids.map((id) => ({ id, path: this.#table.path(id) ?? '' }));
    return paths.length < 2 ? paths : paths.sort((a, b) => (a.path < b.path ? -1 : 1));
  }
}

/** The cursor behind a path that has this rank. */
export function cursorOf(path: string, rank: number): Uint8Array {
  const notWord = Math.floor(rank / WORD_STEP);
  const notName = Math.floor((rank % WORD_STEP) / NAME_STEP);
  const head = [notWord >>> 8, notWord & 0xff, notName >>> 8, notName & 0xff];
  return Buffer.concat([Uint8Array.from(head), Buffer.from(path)]);
}
