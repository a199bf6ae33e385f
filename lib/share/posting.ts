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

/** Where entries are appended. */
interface Writer {
  /** The last chunk, or 0. */
  tail: number;
  /** The id written last. */
  last: number;
}

/** A list that is being written anew. */
interface Tidying {
  list: number;
  trigram: number;
  /** The next chunk of the old chain. */
  at: number;
  writer: Writer;
}

export class Postings {
  /** The ids of the last `read`. */
  ids = new Uint32Array(1024);

  readonly #arena = new Arena();
  readonly #holds: (id: number, trigram: number) => boolean;

  /** Open addressing: trigram + 1, and its list. */
  #keys = new Uint32Array(1024);
  #listOf = new Uint32Array(1024);
  #lists = 0;

  // Columns, by list.
  #trigram = new Uint32Array(512);
  #head = new Uint32Array(512);
  #tail = new Uint32Array(512);
  #last = new Uint32Array(512);
  #entries = new Uint32Array(512);
  /** Entries whose text is gone, or that are there twice because their id was used again. */
  #dead = new Uint32Array(512);
  /** The change that touched it last: a text may hold a trigram more than once. */
  #touched = new Uint32Array(512);
  #change = 0;

  readonly #due = new Set<number>();
  #tidying: Tidying | undefined;
  /** Ids that `#tidying` has kept. */
  #kept = new Uint32Array(32);

  /** @param holds whether the text that has this id now holds a trigram */
  constructor(holds: (id: number, trigram: number) => boolean) {
    this.#holds = holds;
  }

  /** A text: `bytes` from `from` to `to`. */
  add(id: number, bytes: Uint8Array, from: number, to: number): void {
    const change = this.#begin();
    let trigram = ((bytes[from] ?? 0) << 8) | (bytes[from + 1] ?? 0);
    for (let i = from + 2; i < to; i++) {
      trigram = ((trigram << 8) | (bytes[i] ?? 0)) & 0xffffff;
      const list = this.#listFor(trigram);
      if (this.#touched[list] === change) continue;
      this.#touched[list] = change;
      const writer = { tail: this.#tail[list] ?? 0, last: this.#last[list] ?? 0 };
      const first = this.#append(writer, id);
      if (writer.tail !== this.#tail[list]) {
        this.#tail[list] = writer.tail;
        if (first) this.#head[list] = writer.tail;
      }
      this.#last[list] = id;
      this.#entries[list] = (this.#entries[list] ?? 0) + 1;
    }
    this.#tidy();
  }

  /** The text with this id is no longer what it was: `holds` says so from now on. */
  remove(bytes: Uint8Array, from: number, to: number): void {
    const change = this.#begin();
    let trigram = ((bytes[from] ?? 0) << 8) | (bytes[from + 1] ?? 0);
    for (let i = from + 2; i < to; i++) {
      trigram = ((trigram << 8) | (bytes[i] ?? 0)) & 0xffffff;
      const list = this.list(trigram);
      if (list < 0 || this.#touched[list] === change) continue;
      this.#touched[list] = change;
      const dead = (this.#dead[list] ?? 0) + 1;
      this.#dead[list] = dead;
      const entries = this.#entries[list] ?? 0;
      const due = dead === entries || (dead > FEW_DEAD && dead * 2 > entries);
      if (due && list !== this.#tidying?.list) this.#due.add(list);
    }
    this.#tidy();
  }

  /** The list of a trigram, or -1. */
  list(trigram: number): number {
    const mask = this.#keys.length - 1;
    for (let at = mixed(trigram) & mask; ; at = (at + 1) & mask) {
      const key = this.#keys[at];
      if (key === trigram + 1) return this.#listOf[at] ?? 0;
      if (key === 0) return -1;
    }
  }

  /** How many texts are on a list. */
  live(list: number): number {
    return list < 0 ? 0 : (this.#entries[list] ?? 0) - (this.#dead[list] ?? 0);
  }

  /** Whether a list holds exactly what it should: nothing dead and nothing twice. */
  exact(list: number): boolean {
    return this.#dead[list] === 0;
  }

  /**
   * Read a list into `ids`. Some may be dead, and some may come twice.
   *
   * @returns how many there are
   */
  read(list: number): number {
    this.ids = grown(this.ids, this.#entries[list] ?? 0);
    let n = 0;
    for (let chunk = this.#head[list] ?? 0; chunk !== 0; chunk = this.#next(chunk)) {
      n = this.#readChunk(chunk, this.ids, n);
    }
    return n;
  }

  #begin(): number {
    if (this.#change === 0xffffffff) {
      this.#touched.fill(0);
      this.#change = 0;
    }
    return ++this.#change;
  }

  #listFor(trigram: number): number {
    const found = this.list(trigram);
    if (found >= 0) return found;
    const list = this.#lists++;
    if (this.#lists * 2 > this.#keys.length) {
      this.#keys = new Uint32Array(this.#keys.length * 2);
      this.#listOf = new Uint32Array(this.#keys.length);
      for (let old = 0; old < list; old++) this.#enter(this.#trigram[old] ?? 0, old);
    }
    this.#enter(trigram, list);
    this.#trigram = grown(this.#trigram, this.#lists);
    this.#head = grown(this.#head, this.#lists);
    this.#tail = grown(this.#tail, this.#lists);
    this.#last = grown(this.#last, this.#lists);
    this.#entries = grown(this.#entries, this.#lists);
    this.#dead = grown(this.#dead, this.#lists);
    this.#touched = grown(this.#touched, this.#lists);
    this.#trigram[list] = trigram;
    return list;
  }

  #enter(trigram: number, list: number): void {
    const mask = this.#keys.length - 1;
    let at = mixed(trigram) & mask;
    while (this.#keys[at] !== 0) at = (at + 1) & mask;
    this.#keys[at] = trigram + 1;
    this.#listOf[at] = list;
  }

  #next(chunk: number): number {
    return this.#arena.slab(chunk).readUInt32LE(offsetOf(chunk));
  }

  /** @returns whether this is the first chunk of its chain */
  #append(writer: Writer, id: number): boolean {
    const { tail, last } = writer;
    writer.last = id;
    let slab: Buffer | undefined;
    let size = 0;
    if (tail !== 0) {
      slab = this.#arena.slab(tail);
      const at = offsetOf(tail);
      const used = (slab[at + 4] ?? 0) | ((slab[at + 5] ?? 0) << 8);
      size = (slab[at + 6] ?? 0) | ((slab[at + 7] ?? 0) << 8);
      const bytes = id > last ? varintBytes(id - last) : 1 + varintBytes(id);
      if (used + bytes <= size) {
        let to = at + used;
        if (id <= last) slab[to++] = 0;
        putVarint(slab, to, id > last ? id - last : id);
        slab[at + 4] = (used + bytes) & 0xff;
        slab[at + 5] = (used + bytes) >>> 8;
        return false;
      }
    }
    size = Math.min(Math.max(size * 2, FIRST_CHUNK), LAST_CHUNK);
    const chunk = this.#arena.take(size);
    const at = offsetOf(chunk);
    const fresh = this.#arena.slab(chunk);
    fresh.writeUInt32LE(0, at);
    fresh.writeUInt16LE(CHUNK_HEAD + varintBytes(id), at + 4);
    fresh.writeUInt16LE(size, at + 6);
    putVarint(fresh, at + CHUNK_HEAD, id);
    slab?.writeUInt32LE(chunk, offsetOf(tail));
    writer.tail = chunk;
    return tail === 0;
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
        const at = this.#head[list] ?? 0;
        if (at === 0) continue;
        const trigram = this.#trigram[list] ?? 0;
        this.#tidying = { list, trigram, at, writer: { tail: 0, last: 0 } };
      }
      left -= this.#tidyChunk(this.#tidying);
    }
  }

  #tidyChunk(state: Tidying): number {
    const { list, trigram, at: chunk, writer } = state;
    this.ids = grown(this.ids, LAST_CHUNK);
    const { ids } = this;
    const n = this.#readChunk(chunk, ids, 0);
    const next = this.#next(chunk);
    let dropped = 0;
    for (let i = 0; i < n; i++) {
      const id = ids[i] ?? 0;
      this.#kept = grown(this.#kept, (id >>> 5) + 1);
      const bits = this.#kept[id >>> 5] ?? 0;
      if (((bits >>> (id & 31)) & 1) === 0 && this.#holds(id, trigram)) {
        this.#kept[id >>> 5] = bits | (1 << (id & 31));
        if (this.#append(writer, id)) this.#head[list] = writer.tail;
      } else dropped++;
    }
    // What is left of the old chain hangs on what is written of the new one.
    if (writer.tail === 0) this.#head[list] = next;
    else this.#arena.slab(writer.tail).writeUInt32LE(next, offsetOf(writer.tail));
    const slab = this.#arena.slab(chunk);
    this.#arena.release(chunk, slab.readUInt16LE(offsetOf(chunk) + 6));
    this.#entries[list] = (this.#entries[list] ?? 0) - dropped;
    this.#dead[list] = (this.#dead[list] ?? 0) - dropped;
    state.at = next;
    if (next === 0) {
      this.#tail[list] = writer.tail;
      this.#last[list] = writer.last;
      this.#tidying = undefined;
      this.#forgetKept(list);
    }
    return n;
  }

  #forgetKept(list: number): void {
    if ((this.#entries[list] ?? 0) >= MANY_ENTRIES) {
      this.#kept.fill(0);
    } else {
      const n = this.read(list);
      for (let i = 0; i < n; i++) this.#kept[(this.ids[i] ?? 0) >>> 5] = 0;
    }
  }
}

function mixed(trigram: number): number {
  const product = Math.imul(trigram, 0x9e3779b1);
  return product ^ (product >>> 15);
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
