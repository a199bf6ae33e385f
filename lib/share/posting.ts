/**
 * For every trigram (three bytes) the ids of the texts that hold it: chains of chunks with ids as
 * varint differences. What is removed is only counted at first; a list that is half dead is written
 * anew, a little with every change, so that no change has to wait for it.
 */
import { Arena, grown, offsetOf } from './arena.js';

// A chunk: address of the next (4 bytes), bytes used (2), bytes in all (2), then the entries. The first
// entry is an id; each that follows is the difference to the one before, or 0 and an id when that is
// not larger. So a chunk can be read without the one before it.
const CHUNK_HEAD = 8;
const FIRST_CHUNK = 16;
const LAST_CHUNK = 4096;

/** Dead entries that a list may have whatever its length: not worth the work. */
const FEW_DEAD = 8;
/** Entries looked at after each change, while there is a list to write anew; a change kills about 20. */
const TIDY_ENTRIES = 128;
/** From here on, clearing a whole bitmap is cheaper than clearing the bits that were set. */
const MANY_ENTRIES = 4096;

// A list: a row of numbers side by side, since a change needs most of them, of many lists.
const ROW = 8;
const TRIGRAM = 0;
const HEAD = 1;
const TAIL = 2;
/** The id written last. */
const LAST = 3;
const ENTRIES = 4;
/** Entries whose text is gone, or that are there twice because their id was used again. */
const DEAD = 5;
/** The change that touched it last: a text may hold a trigram more than once. */
const TOUCHED = 6;

/** A list that is being written anew. */
interface Tidying {
  list: number;
  trigram: number;
  /** The next chunk of the old chain. */
  at: number;
}

export class Postings {
  /** The ids of the last `read`. */
  ids = new Uint32Array(1024);

  readonly #arena = new Arena();
  readonly #holds: (id: number, trigram: number) => boolean;
  /** Open addressing: trigram + 1, and its list. */
  #index = new Uint32Array(2 * 1024);
  #rows = new Uint32Array(ROW * 512);
  #lists = 0;
  #change = 0;

  readonly #due = new Set<number>();
  #tidying: Tidying | undefined;
  /** The row of the list that is written anew: its head, tail and last. */
  readonly #anew = new Uint32Array(ROW);
  /** Ids that were kept in it. */
  #kept = new Uint32Array(32);

  /** @param holds whether the text that has this id now holds a trigram */
  constructor(holds: (id: number, trigram: number) => boolean) {
    this.#holds = holds;
  }

  /** A text: `bytes` up to `end`. */
  add(id: number, bytes: Uint8Array, end: number): void {
    const change = this.#begin();
    let trigram = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
    for (let i = 2; i < end; i++) {
      trigram = ((trigram << 8) | (bytes[i] ?? 0)) & 0xffffff;
      const row = this.#listFor(trigram) * ROW;
      const rows = this.#rows;
      if (rows[row + TOUCHED] === change) continue;
      rows[row + TOUCHED] = change;
      this.#append(rows, row, id);
      rows[row + ENTRIES] = (rows[row + ENTRIES] ?? 0) + 1;
    }
    this.#tidy();
  }

  /** A text is gone: `holds` says so from now on. */
  remove(bytes: Uint8Array, end: number): void {
    const change = this.#begin();
    const rows = this.#rows;
    let trigram = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
    for (let i = 2; i < end; i++) {
      trigram = ((trigram << 8) | (bytes[i] ?? 0)) & 0xffffff;
      const list = this.list(trigram);
      const row = list * ROW;
      if (list < 0 || rows[row + TOUCHED] === change) continue;
      rows[row + TOUCHED] = change;
      const dead = (rows[row + DEAD] ?? 0) + 1;
      rows[row + DEAD] = dead;
      const entries = rows[row + ENTRIES] ?? 0;
      const due = dead === entries || (dead > FEW_DEAD && dead * 2 > entries);
      if (due && list !== this.#tidying?.list) this.#due.add(list);
    }
    this.#tidy();
  }

  /** The list of a trigram, or -1. */
  list(trigram: number): number {
    const index = this.#index;
    const mask = index.length - 1;
    for (let at = mixed(trigram) & mask; ; at = (at + 2) & mask) {
      const key = index[at];
      if (key === trigram + 1) return index[at + 1] ?? 0;
      if (key === 0) return -1;
    }
  }

  /** How many texts are on a list. */
  live(list: number): number {
    const row = list * ROW;
    return list < 0 ? 0 : (this.#rows[row + ENTRIES] ?? 0) - (this.#rows[row + DEAD] ?? 0);
  }

  /** Whether a list holds exactly what it should: nothing dead and nothing twice. */
  exact(list: number): boolean {
    return this.#rows[list * ROW + DEAD] === 0;
  }

  /**
   * Read a list into `ids`. Some may be dead, and some may come twice.
   *
   * @returns how many there are
   */
  read(list: number): number {
    const row = list * ROW;
    this.ids = grown(this.ids, this.#rows[row + ENTRIES] ?? 0);
    let n = 0;
    for (let chunk = this.#rows[row + HEAD] ?? 0; chunk !== 0;) {
      n = this.#readChunk(chunk, this.ids, n);
      chunk = this.#arena.slab(chunk).readUInt32LE(offsetOf(chunk));
    }
    return n;
  }

  #begin(): number {
    if (this.#change === 0xffffffff) {
      for (let at = TOUCHED; at < this.#rows.length; at += ROW) this.#rows[at] = 0;
      this.#change = 0;
    }
    return ++this.#change;
  }

  #listFor(trigram: number): number {
    const found = this.list(trigram);
    if (found >= 0) return found;
    const list = this.#lists++;
    if (this.#lists * 4 > this.#index.length) {
      this.#index = new Uint32Array(this.#index.length * 2);
      for (let old = 0; old < list; old++) {
        this.#enter(this.#rows[old * ROW + TRIGRAM] ?? 0, old);
      }
    }
    this.#enter(trigram, list);
    this.#rows = grown(this.#rows, this.#lists * ROW);
    this.#rows[list * ROW + TRIGRAM] = trigram;
    return list;
  }

  #enter(trigram: number, list: number): void {
    const mask = this.#index.length - 1;
    let at = mixed(trigram) & mask;
    while (this.#index[at] !== 0) at = (at + 2) & mask;
    this.#index[at] = trigram + 1;
    this.#index[at + 1] = list;
  }

  #append(rows: Uint32Array, row: number, id: number): void {
    const tail = rows[row + TAIL] ?? 0;
    const last = rows[row + LAST] ?? 0;
    rows[row + LAST] = id;
    let size = 0;
    if (tail !== 0) {
      const slab = this.#arena.slab(tail);
      const at = offsetOf(tail);
      const used = (slab[at + 4] ?? 0) | ((slab[at + 5] ?? 0) << 8);
      size = (slab[at + 6] ?? 0) | ((slab[at + 7] ?? 0) << 8);
      const bytes = id > last ? varintBytes(id - last) : 1 + varintBytes(id);
      if (used + bytes <= size) {
        let to = at + used;
        if (id <= last) slab[to++] = 0;
        putVarint(slab, to, id > last ? id - last : id);
        slab[at + 4] = used + bytes;
        slab[at + 5] = (used + bytes) >>> 8;
        return;
      }
    }
    size = Math.min(Math.max(size * 2, FIRST_CHUNK), LAST_CHUNK);
    const chunk = this.#arena.take(size);
    const at = offsetOf(chunk);
    const slab = this.#arena.slab(chunk);
    slab.writeUInt32LE(0, at);
    slab.writeUInt16LE(CHUNK_HEAD + varintBytes(id), at + 4);
    slab.writeUInt16LE(size, at + 6);
    putVarint(slab, at + CHUNK_HEAD, id);
    if (tail === 0) rows[row + HEAD] = chunk;
    else this.#arena.slab(tail).writeUInt32LE(chunk, offsetOf(tail));
    rows[row + TAIL] = chunk;
  }

  #readChunk(chunk: number, ids: Uint32Array, n: number): number {
    const slab = this.#arena.slab(chunk);
    const begin = offsetOf(chunk);
    const end = begin + ((slab[begin + 4] ?? 0) | ((slab[begin + 5] ?? 0) << 8));
    let id = 0;
    for (let at = begin + CHUNK_HEAD; at < end;) {
      let byte = slab[at++] ?? 0;
      if (byte === 0 && at > begin + CHUNK_HEAD + 1) {
        id = 0;
        byte = slab[at++] ?? 0;
      }
      let value = byte & 0x7f;
      for (let shift = 7; byte >= 0x80; shift += 7) {
        byte = slab[at++] ?? 0;
        value += (byte & 0x7f) << shift;
      }
      id += value;
      ids[n++] = id;
    }
    return n;
  }

  /** Write some of the lists that are due anew. The chain can be read at every step between. */
  #tidy(): void {
    for (let left = TIDY_ENTRIES; left > 0;) {
      if (this.#tidying === undefined) {
        const [list] = this.#due;
        if (list === undefined) return;
        this.#due.delete(list);
        const at = this.#rows[list * ROW + HEAD] ?? 0;
        if (at === 0) continue;
        this.#tidying = { list, trigram: this.#rows[list * ROW + TRIGRAM] ?? 0, at };
        this.#anew.fill(0);
      }
      left -= this.#tidyChunk(this.#tidying);
    }
  }

  #tidyChunk(state: Tidying): number {
    const { list, trigram, at: chunk } = state;
    this.ids = grown(this.ids, LAST_CHUNK);
    const { ids } = this;
    const n = this.#readChunk(chunk, ids, 0);
    const slab = this.#arena.slab(chunk);
    const next = slab.readUInt32LE(offsetOf(chunk));
    const anew = this.#anew;
    let dropped = 0;
    for (let i = 0; i < n; i++) {
      const id = ids[i] ?? 0;
      this.#kept = grown(this.#kept, (id >>> 5) + 1);
      const bits = this.#kept[id >>> 5] ?? 0;
      if (((bits >>> (id & 31)) & 1) === 0 && this.#holds(id, trigram)) {
        this.#kept[id >>> 5] = bits | (1 << (id & 31));
        this.#append(anew, 0, id);
      } else dropped++;
    }
    // What is left of the old chain hangs on what is written of the new one.
    const rows = this.#rows;
    const row = list * ROW;
    const tail = anew[TAIL] ?? 0;
    rows[row + HEAD] = tail === 0 ? next : (anew[HEAD] ?? 0);
    if (tail !== 0) this.#arena.slab(tail).writeUInt32LE(next, offsetOf(tail));
    this.#arena.release(chunk, slab.readUInt16LE(offsetOf(chunk) + 6));
    rows[row + ENTRIES] = (rows[row + ENTRIES] ?? 0) - dropped;
    rows[row + DEAD] = (rows[row + DEAD] ?? 0) - dropped;
    state.at = next;
    if (next === 0) {
      rows[row + TAIL] = tail;
      rows[row + LAST] = anew[LAST] ?? 0;
      this.#tidying = undefined;
      this.#forgetKept(list);
    }
    return n;
  }

  #forgetKept(list: number): void {
    if ((this.#rows[list * ROW + ENTRIES] ?? 0) >= MANY_ENTRIES) {
      this.#kept.fill(0);
    } else {
      const n = this.read(list);
      for (let i = 0; i < n; i++) this.#kept[(this.ids[i] ?? 0) >>> 5] = 0;
    }
  }
}

function mixed(trigram: number): number {
  const product = Math.imul(trigram, 0x9e3779b1);
  // Even: two numbers a place.
  return (product ^ (product >>> 15)) << 1;
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

function putVarint(bytes: Uint8Array, to: number, value: number): void {
  let at = to;
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at] = rest;
}
