/**
 * For every trigram (three bytes) the ids of the texts that hold it: chains of chunks with ids as
 * varint differences. What is removed is only counted at first; a list that is half dead is written
 * anew, a little with every change, so that no change has to wait for it.
 */
import { Arena, grown, offsetOf } from './arena.js';

// A chunk: address of the next (4 bytes), where its entries end (2), bytes in all (2), then the entries.
// The first entry is an id; each that follows is the difference to the one before, or 0 and an id when that is
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

// A list: a row of numbers in a hash table (open addressing). A change needs most of them, of many
// lists: side by side, they are one line of the cache, and so is where the next entry goes.
const ROW = 8;
/** The trigram + 1. */
const KEY = 0;
const HEAD = 1;
const TAIL = 2;
/** The id written last. */
const LAST = 3;
const ENTRIES = 4;
/** Entries whose text is gone, or that are there twice because their id was used again. */
const DEAD = 5;
/** The change that touched it last: a text may hold a trigram more than once. */
const TOUCHED = 6;
/** Where the entries end in the last chunk, of which nothing is in its head, and its bytes in all << 16. */
const USED = 7;

/** A list that is being written anew. */
interface Tidying {
  trigram: number;
  /** The next chunk of the old chain. */
  at: number;
}

export class Postings {
  /** The ids of the last `read`. */
  ids = new Uint32Array(1024);

  readonly #arena = new Arena();
  readonly #holds: (id: number, trigram: number) => boolean;
  #rows = new Uint32Array(ROW * 512);
  #lists = 0;
  #change = 0;

  readonly #due = new Set<number>();
  #tidying: Tidying | undefined;
  /** The row of the list that is written anew: its chain is in the making. */
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
      const row = this.#rowFor(trigram);
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
      const row = this.list(trigram);
      if (row < 0 || rows[row + TOUCHED] === change) continue;
      rows[row + TOUCHED] = change;
      const dead = (rows[row + DEAD] ?? 0) + 1;
      rows[row + DEAD] = dead;
      const entries = rows[row + ENTRIES] ?? 0;
      const due = dead === entries || (dead > FEW_DEAD && dead * 2 > entries);
      if (due && trigram !== this.#tidying?.trigram) this.#due.add(trigram);
    }
    this.#tidy();
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

  /** Whether a list holds exactly what it should: nothing dead and nothing twice. */
  exact(list: number): boolean {
    return this.#rows[list + DEAD] === 0;
  }

  /**
   * Read a list into `ids`. Some may be dead, and some may come twice.
   *
   * @returns how many there are
   */
  read(list: number): number {
    this.ids = grown(this.ids, this.#rows[list + ENTRIES] ?? 0);
    let n = 0;
    for (let chunk = this.#rows[list + HEAD] ?? 0; chunk !== 0;) {
      n = this.#readChunk(chunk, list, n);
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

  #append(rows: Uint32Array, row: number, id: number): void {
    const tail = rows[row + TAIL] ?? 0;
    const last = rows[row + LAST] ?? 0;
    const used = (rows[row + USED] ?? 0) & 0xffff;
    const size = (rows[row + USED] ?? 0) >>> 16;
    const isLarger = id > last;
    const bytes = isLarger ? varintBytes(id - last) : 1 + varintBytes(id);
    rows[row + LAST] = id;
    if (used + bytes <= size) {
      const slab = this.#arena.slab(tail);
      let to = offsetOf(tail) + used;
      if (!isLarger) slab[to++] = 0;
      putVarint(slab, to, isLarger ? id - last : id);
      rows[row + USED] = (rows[row + USED] ?? 0) + bytes;
      return;
    }
    const more = Math.min(Math.max(size * 2, FIRST_CHUNK), LAST_CHUNK);
    const chunk = this.#arena.take(more);
    const at = offsetOf(chunk);
    const slab = this.#arena.slab(chunk);
    slab.writeUInt32LE(0, at);
    slab.writeUInt16LE(more, at + 6);
    putVarint(slab, at + CHUNK_HEAD, id);
    if (tail === 0) rows[row + HEAD] = chunk;
    else this.#close(rows, row, chunk);
    rows[row + TAIL] = chunk;
    rows[row + USED] = (more << 16) | (CHUNK_HEAD + varintBytes(id));
  }

  /** Write into the last chunk where it ends, and what comes behind it. */
  #close(rows: Uint32Array, row: number, next: number): void {
    const tail = rows[row + TAIL] ?? 0;
    const slab = this.#arena.slab(tail);
    slab.writeUInt32LE(next, offsetOf(tail));
    slab.writeUInt16LE((rows[row + USED] ?? 0) & 0xffff, offsetOf(tail) + 4);
  }

  /** Read a chunk of a list into `ids`, behind `n` that are there. */
  #readChunk(chunk: number, row: number, n: number): number {
    const { ids } = this;
    const slab = this.#arena.slab(chunk);
    const begin = offsetOf(chunk);
    const isLast = chunk === this.#rows[row + TAIL];
    const used = isLast ? (this.#rows[row + USED] ?? 0) & 0xffff : slab.readUInt16LE(begin + 4);
    const end = begin + used;
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
        const [trigram] = this.#due;
        if (trigram === undefined) return;
        this.#due.delete(trigram);
        const at = this.#rows[this.list(trigram) + HEAD] ?? 0;
        if (at === 0) continue;
        this.#tidying = { trigram, at };
        this.#anew.fill(0);
      }
      left -= this.#tidyChunk(this.#tidying);
    }
  }

  #tidyChunk(state: Tidying): number {
    const { trigram, at: chunk } = state;
    const row = this.list(trigram);
    const rows = this.#rows;
    const anew = this.#anew;
    this.ids = grown(this.ids, LAST_CHUNK);
    const { ids } = this;
    const n = this.#readChunk(chunk, row, 0);
    const slab = this.#arena.slab(chunk);
    const next = slab.readUInt32LE(offsetOf(chunk));
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
    if (anew[TAIL] === 0) {
      rows[row + HEAD] = next;
    } else {
      rows[row + HEAD] = anew[HEAD] ?? 0;
      this.#close(anew, 0, next);
    }
    this.#arena.release(chunk, slab.readUInt16LE(offsetOf(chunk) + 6));
    rows[row + ENTRIES] = (rows[row + ENTRIES] ?? 0) - dropped;
    rows[row + DEAD] = (rows[row + DEAD] ?? 0) - dropped;
    state.at = next;
    if (next === 0) {
      for (const column of [TAIL, LAST, USED]) rows[row + column] = anew[column] ?? 0;
      this.#tidying = undefined;
      this.#forgetKept(row);
    }
    return n;
  }

  #forgetKept(list: number): void {
    if ((this.#rows[list + ENTRIES] ?? 0) >= MANY_ENTRIES) {
      this.#kept.fill(0);
    } else {
      const n = this.read(list);
      for (let i = 0; i < n; i++) this.#kept[(this.ids[i] ?? 0) >>> 5] = 0;
    }
  }
}

/** Where to begin to look for the row of a trigram. */
function home(trigram: number, mask: number): number {
  const product = Math.imul(trigram, 0x9e3779b1);
  return ((product ^ (product >>> 15)) * ROW) & mask;
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
