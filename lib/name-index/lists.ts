/**
 * Sets of ids, of which very many have one member and some have a million. A list is a number: 0 is
 * empty, an odd one is its only member, any other says where its row is.
 *
 * What is removed from a long list is only noted at first. A list with many such notes is written anew,
 * a little with every change, so that no change has to wait for it.
 */
import { grown } from './arena.js';
import { Chains, ENTRIES, HEAD, LAST, LAST_CHUNK, ROW, TAIL, USED } from './chain.js';

/** A list of at most so many ids is written anew at once. */
const SHORT = 64;
/** A list is written anew when this part of it is gone. */
const GONE_PART = 8;
/** Entries looked at after each change, while there is a list to write anew. */
const TIDY_ENTRIES = 512;

/** A list that is being written anew. */
interface Tidying {
  row: number;
  /** The next chunk of the old chain. */
  at: number;
}

export class Lists {
  readonly #chains = new Chains();
  #rows = new Uint32Array(ROW * 64);
  /** Rows there were; the first is none. */
  #top = 1;
  readonly #free: number[] = [];
  /** By row, the ids that are in the chain and not in the list. */
  readonly #gone = new Map<number, Set<number>>();
  readonly #due = new Set<number>();
  #tidying: Tidying | undefined;
  /** The row of the list that is written anew: its chain is in the making. */
  readonly #anew = new Uint32Array(ROW);
  #ids = new Uint32Array(SHORT);
  #marks = new Uint32Array(32);

  /** Add an id that is not in a list. @returns the list with it */
  add(list: number, id: number): number {
    if (list === 0) return id * 2 + 1;
    if (list % 2 === 0) {
      const row = list / 2;
      const gone = this.#gone.get(row);
      if (gone?.delete(id) !== true) this.#append(row, id);
      else if (gone.size === 0) this.#gone.delete(row);
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
    if (gone.size * GONE_PART > this.entries(list) && row !== this.#tidying?.row) {
      this.#due.add(row);
    }
    return list;
  }

  /** How many ids are in a list. */
  size(list: number): number {
    return this.entries(list) - (list % 2 === 0 ? (this.#gone.get(list / 2)?.size ?? 0) : 0);
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

  /** Write some of the lists that are due anew. They can be read at every step between. */
  tidy(): void {
    for (let left = TIDY_ENTRIES; left > 0;) {
      if (this.#tidying === undefined) {
        const [row] = this.#due;
        if (row === undefined) return;
        this.#due.delete(row);
        this.#tidying = { row, at: this.#rows[row * ROW + HEAD] ?? 0 };
        this.#anew.fill(0);
      }
      left -= this.#tidyChunk(this.#tidying);
    }
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
    this.#due.delete(row);
    if (this.#tidying?.row === row) this.#tidying = undefined;
    for (let chunk = this.#rows[row * ROW + HEAD] ?? 0; chunk !== 0;) {
      const next = this.#chains.next(chunk);
      this.#chains.release(chunk);
      chunk = next;
    }
    this.#rows.fill(0, row * ROW, (row + 1) * ROW);
  }

  #tidyChunk(state: Tidying): number {
    const { at: chunk } = state;
    const row = state.row * ROW;
    const rows = this.#rows;
    const anew = this.#anew;
    this.#ids = grown(this.#ids, LAST_CHUNK);
    const ids = this.#ids;
    const gone = this.#gone.get(state.row);
    const n = this.#chains.readChunk(rows, row, chunk, ids, 0);
    const next = this.#chains.next(chunk);
    let dropped = 0;
    for (let i = 0; i < n; i++) {
      const id = ids[i] ?? 0;
      if (gone?.delete(id) === true) dropped++;
      else this.#chains.append(anew, 0, id);
    }
    if (gone?.size === 0) this.#gone.delete(state.row);
    // What is left of the old chain hangs on what is written of the new one.
    if (anew[TAIL] === 0) {
      rows[row + HEAD] = next;
    } else {
      rows[row + HEAD] = anew[HEAD] ?? 0;
      this.#chains.close(anew, 0, next);
    }
    this.#chains.release(chunk);
    rows[row + ENTRIES] = (rows[row + ENTRIES] ?? 0) - dropped;
    state.at = next;
    if (next === 0) {
      for (const column of [TAIL, LAST, USED]) rows[row + column] = anew[column] ?? 0;
      this.#tidying = undefined;
    }
    return n;
  }
}
