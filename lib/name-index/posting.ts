/**
 * For every trigram (three bytes) the ids of the texts that hold it. What is removed is only counted at
 * first; a list that is half dead is compacted (see compaction.ts).
 */
import { grown } from './arena.js';
import { Chains, DEAD, ENTRIES, KEY, ROW, TOUCHED } from './chain.js';
import { Compaction } from './compaction.js';

/** Dead entries that a list may have whatever its length: not worth the work. */
const FEW_DEAD = 8;
/** Entries looked at after each change, while there is a list to compact; a change kills about 20. */
const COMPACTED_ENTRIES = 128;
/** Reading this many entries costs less than looking at the text of one that could be spared. */
const WORTH_READING = 16;
/** Entries read at once, about, for an intersection: it is not interrupted. */
const MAX_READ = 500_000;
/** From here on, clearing a whole bitmap is cheaper than clearing the bits that were set. */
const MANY_ENTRIES = 4096;

export class Postings {
  /** The ids of the last `read`. */
  ids = new Uint32Array(1024);

  readonly #chains = new Chains();
  readonly #holds: (id: number, trigram: number) => boolean;
  #rows = new Uint32Array(ROW * 512);
  #lists = 0;
  #change = 0;

  readonly #compaction: Compaction;
  /** Ids that were kept in the list that is being compacted. */
  #kept = new Uint32Array(32);
  /** For intersections: other ids, and a bit for each id. */
  #spare = new Uint32Array(1024);
  #marks = new Uint32Array(32);

  /** @param holds whether the text that has this id now holds a trigram */
  constructor(holds: (id: number, trigram: number) => boolean) {
    this.#holds = holds;
    const rows = (): Uint32Array => this.#rows;
    const lists = {
      get rows() {
        return rows();
      },
      row: (trigram: number) => this.list(trigram),
      sift: (trigram: number, ids: Uint32Array, n: number) => this.#sift(trigram, ids, n),
      onCompacted: (trigram: number) => {
        this.#forgetKept(this.list(trigram));
      },
    };
    this.#compaction = new Compaction(this.#chains, lists, COMPACTED_ENTRIES);
  }

  /** A text: `bytes` up to `end`. */
  add(id: number, bytes: Uint8Array, end: number): void {
    const change = this.#begin();
    let trigram = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
    for (let i = 2; i < end; i++) {
      trigram = ((trigram << 8) | (bytes[i] ?? 0)) & 0xffffff;
      const row = this.#rowFor(trigram);
      const rows = this.#rows;
      if (rows[row + TOUCHED] === change) continue;
      rows[row + TOUCHED] = change;
      this.#chains.append(rows, row, id);
      rows[row + ENTRIES] = (rows[row + ENTRIES] ?? 0) + 1;
    }
    this.#compaction.step();
  }

  /** A text is gone: `holds` says so from now on. */
  remove(bytes: Uint8Array, end: number): void {
    const change = this.#begin();
    const rows = this.#rows;
    let trigram = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
    for (let i = 2; i < end; i++) {
      trigram = ((trigram << 8) | (bytes[i] ?? 0)) & 0xffffff;
      const row = this.list(trigram);
      if (row < 0 || rows[row + TOUCHED] === change) continue;
      rows[row + TOUCHED] = change;
      const dead = (rows[row + DEAD] ?? 0) + 1;
      rows[row + DEAD] = dead;
      const entries = rows[row + ENTRIES] ?? 0;
      if (dead === entries || (dead > FEW_DEAD && dead * 2 > entries)) {
        this.#compaction.due(trigram);
      }
    }
    this.#compaction.step();
  }

  /** The list of a trigram, until the next is added, or -1. */
  list(trigram: number): number {
    const rows = this.#rows;
    const mask = rows.length - 1;
    for (let row = home(trigram, mask); ; row = (row + ROW) & mask) {
      const key = rows[row];
      if (key === trigram + 1) return row;
      if (key === 0) return -1;
    }
  }

  /** How many texts are on a list. */
  live(list: number): number {
    return list < 0 ? 0 : (this.#rows[list + ENTRIES] ?? 0) - (this.#rows[list + DEAD] ?? 0);
  }

  /**
   * Lists of all trigrams of a text, the shortest first.
   *
   * @returns none when no text can hold all of them
   */
  lists(bytes: Uint8Array): number[] {
    const found = new Set<number>();
    for (let i = 0; i + 2 < bytes.length; i++) {
      const begin = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8);
      const list = this.list(begin | (bytes[i + 2] ?? 0));
      if (this.live(list) === 0) return [];
      found.add(list);
    }
    return [...found].sort((a, b) => this.live(a) - this.live(b));
  }

  /**
   * Read what is on several lists, the shortest first, into `ids`: at least what is on all of them.
   * Some ids may be dead, and some may come twice.
   *
   * @returns how many there are
   */
  read([shortest, ...others]: readonly number[]): number {
    if (shortest === undefined) return 0;
    let n = this.#readList(shortest);
    let left = MAX_READ - n;
    for (const list of others) {
      left -= n + this.live(list);
      if (left < 0 || this.live(list) > n * WORTH_READING) break;
      n = this.#intersect(n, list);
    }
    return n;
  }

  #readList(list: number): number {
    this.ids = grown(this.ids, this.#rows[list + ENTRIES] ?? 0);
    return this.#chains.read(this.#rows, list, this.ids);
  }

  /** Keep of `n` ids those that are on another list too. */
  #intersect(n: number, list: number): number {
    const before = this.ids;
    for (let i = 0; i < n; i++) {
      const id = before[i] ?? 0;
      this.#marks = grown(this.#marks, (id >>> 5) + 1);
      this.#marks[id >>> 5] = (this.#marks[id >>> 5] ?? 0) | (1 << (id & 31));
    }
    this.ids = this.#spare;
    const all = this.#readList(list);
    const { ids } = this;
    const marks = this.#marks;
    let kept = 0;
    for (let i = 0; i < all; i++) {
      const id = ids[i] ?? 0;
      if ((((marks[id >>> 5] ?? 0) >>> (id & 31)) & 1) !== 0) ids[kept++] = id;
    }
    for (let i = 0; i < n; i++) marks[(before[i] ?? 0) >>> 5] = 0;
    this.#spare = before;
    return kept;
  }

  #begin(): number {
    if (this.#change === 0xffffffff) {
      for (let at = TOUCHED; at < this.#rows.length; at += ROW) this.#rows[at] = 0;
      this.#change = 0;
    }
    return ++this.#change;
  }

  #rowFor(trigram: number): number {
    const found = this.list(trigram);
    if (found >= 0) return found;
    if (++this.#lists * ROW * 3 > this.#rows.length * 2) {
      const old = this.#rows;
      this.#rows = new Uint32Array(old.length * 2);
      for (let row = 0; row < old.length; row += ROW) {
        const key = old[row] ?? 0;
        if (key === 0) continue;
        const to = this.#place(key - 1);
        for (let i = 0; i < ROW; i++) this.#rows[to + i] = old[row + i] ?? 0;
      }
    }
    const row = this.#place(trigram);
    this.#rows[row + KEY] = trigram + 1;
    return row;
  }

  #place(trigram: number): number {
    const mask = this.#rows.length - 1;
    let row = home(trigram, mask);
    while (this.#rows[row] !== 0) row = (row + ROW) & mask;
    return row;
  }

  /** An id that was used again may come twice. */
  #sift(trigram: number, ids: Uint32Array, n: number): number {
    let kept = 0;
    for (let i = 0; i < n; i++) {
      const id = ids[i] ?? 0;
      this.#kept = grown(this.#kept, (id >>> 5) + 1);
      const bits = this.#kept[id >>> 5] ?? 0;
      const bit = 1 << (id & 31);
      if ((bits & bit) !== 0 || !this.#holds(id, trigram)) continue;
      this.#kept[id >>> 5] = bits | bit;
      ids[kept++] = id;
    }
    return kept;
  }

  #forgetKept(list: number): void {
    if ((this.#rows[list + ENTRIES] ?? 0) >= MANY_ENTRIES) {
      this.#kept.fill(0);
    } else {
      const n = this.#readList(list);
      for (let i = 0; i < n; i++) this.#kept[(this.ids[i] ?? 0) >>> 5] = 0;
    }
  }
}

/** Where to begin to look for the row of a trigram. */
function home(trigram: number, mask: number): number {
  const product = Math.imul(trigram, 0x9e3779b1);
  return ((product ^ (product >>> 15)) * ROW) & mask;
}
