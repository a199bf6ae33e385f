/**
 * Sets of ids, of which very many have one member and some have a million. A list is a number: 0 is
 * empty, an odd one is its only member, any other says where its row is.
 *
 * What is removed from a long list is only noted at first (see compaction.ts).
 */
import { grown } from './arena.js';
import { Chains, DEAD, ENTRIES, HEAD, ROW } from './chain.js';
import { Compaction } from './compaction.js';

/** A list of at most so many ids is rewritten at once. */
const SHORT = 64;
/** A longer list is compacted when this part of it is gone. */
const GONE_PART = 8;
/** Entries looked at after each change, while there is a list to compact. */
const COMPACTED_ENTRIES = 512;

export class IdLists {
  readonly #chains = new Chains();
  #rows = new Uint32Array(ROW * 64);
  /** Rows there were; the first is none. */
  #top = 1;
  readonly #free: number[] = [];
  /** By row, the ids that are in the chain and not in the list. */
  readonly #gone = new Map<number, Set<number>>();
  readonly #compaction: Compaction;
  #ids = new Uint32Array(SHORT);
  #marks = new Uint32Array(32);

  constructor() {
    const rows = (): Uint32Array => this.#rows;
    const lists = {
      get rows() {
        return rows();
      },
      row: (row: number) => row * ROW,
      sift: (row: number, ids: Uint32Array, n: number) => {
        const gone = this.#gone.get(row);
        let kept = 0;
        for (let i = 0; i < n; i++) {
          const id = ids[i] ?? 0;
          if (gone?.delete(id) !== true) ids[kept++] = id;
        }
        return kept;
      },
      onCompacted: (row: number) => {
        if (this.#gone.get(row)?.size === 0) this.#gone.delete(row);
      },
    };
    this.#compaction = new Compaction(this.#chains, lists, COMPACTED_ENTRIES);
  }

  /** Add an id that is not in a list. @returns the list with it */
  add(list: number, id: number): number {
    if (list === 0) return id * 2 + 1;
    if (list % 2 === 0) {
      const row = list / 2;
      const gone = this.#gone.get(row);
      if (gone?.delete(id) !== true) {
        this.#append(row, id);
        return list;
      }
      this.#countDead(row, -1);
      if (gone.size === 0) this.#gone.delete(row);
      return list;
    }
    const row = this.#free.pop() ?? this.#top++;
    this.#rows = grown(this.#rows, (row + 1) * ROW);
    this.#append(row, (list - 1) / 2);
    this.#append(row, id);
    return row * 2;
  }

  /** Remove an id that is in a list. @returns the list without it */
  remove(list: number, id: number): number {
    if (list % 2 === 1) return 0;
    const row = list / 2;
    if (this.entries(list) <= SHORT) return this.#rewrite(list, id);
    const gone = this.#gone.get(row) ?? new Set();
    this.#gone.set(row, gone.add(id));
    if (gone.size === this.entries(list)) {
      this.#clear(row);
      this.#free.push(row);
      return 0;
    }
    this.#countDead(row, 1);
    if (gone.size * GONE_PART > this.entries(list)) this.#compaction.due(row);
    return list;
  }

  /** Room that `read` needs. */
  entries(list: number): number {
    return list % 2 === 1 ? 1 : list === 0 ? 0 : (this.#rows[(list / 2) * ROW + ENTRIES] ?? 0);
  }

  /** Read a list into `ids`, which has room for its entries. @returns how many there are */
  read(list: number, ids: Uint32Array): number {
    if (list % 2 === 1) {
      ids[0] = (list - 1) / 2;
      return 1;
    }
    if (list === 0) return 0;
    const n = this.#chains.read(this.#rows, (list / 2) * ROW, ids);
    const gone = this.#gone.get(list / 2);
    if (gone === undefined) return n;
    for (const id of gone) {
      this.#marks = grown(this.#marks, (id >>> 5) + 1);
      this.#marks[id >>> 5] = (this.#marks[id >>> 5] ?? 0) | (1 << (id & 31));
    }
    const marks = this.#marks;
    let kept = 0;
    for (let i = 0; i < n; i++) {
      const id = ids[i] ?? 0;
      if ((((marks[id >>> 5] ?? 0) >>> (id & 31)) & 1) === 0) ids[kept++] = id;
    }
    for (const id of gone) marks[id >>> 5] = 0;
    return kept;
  }

  /** To be called after every change. */
  compact(): void {
    this.#compaction.step();
  }

  #countDead(row: number, change: number): void {
    this.#rows[row * ROW + DEAD] = (this.#rows[row * ROW + DEAD] ?? 0) + change;
  }

  #append(row: number, id: number): void {
    this.#chains.append(this.#rows, row * ROW, id);
    this.#rows[row * ROW + ENTRIES] = (this.#rows[row * ROW + ENTRIES] ?? 0) + 1;
  }

  /** Write a short list anew without an id. */
  #rewrite(list: number, without: number): number {
    const row = list / 2;
    const ids = this.#ids;
    const n = this.read(list, ids);
    this.#clear(row);
    for (let i = 0; i < n; i++) {
      const id = ids[i] ?? 0;
      if (id === without) continue;
      if (n === 2) {
        this.#free.push(row);
        return id * 2 + 1;
      }
      this.#append(row, id);
    }
    if (n > 1) return list;
    this.#free.push(row);
    return 0;
  }

  #clear(row: number): void {
    this.#gone.delete(row);
    this.#compaction.forget(row);
    for (let chunk = this.#rows[row * ROW + HEAD] ?? 0; chunk !== 0;) {
      const next = this.#chains.next(chunk);
      this.#chains.release(chunk);
      chunk = next;
    }
    this.#rows.fill(0, row * ROW, (row + 1) * ROW);
  }
}
