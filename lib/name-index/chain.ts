/**
 * Lists of ids, each a chain of chunks with the ids as varint differences, in the order in which they
 * were appended.
 */
import { Arena, offsetOf } from './arena.js';

// A chunk: address of the next (4 bytes), where its entries end (2), bytes in all (2), then the entries.
// The first is an id; each that follows is the difference to the one before, or 0 and an id when that
// is not larger. So a chunk can be read without the one before it.
const CHUNK_HEAD = 8;
const FIRST_CHUNK = 16;
export const MAX_CHUNK = 4096;

// A list: a row of numbers in a hash table (open addressing). A change needs most of them, of many
// lists: side by side, they are one line of the cache, and so is where the next entry goes.
export const ROW = 8;
/** The trigram + 1. */
export const KEY = 0;
export const HEAD = 1;
export const TAIL = 2;
/** The id written last. */
export const LAST = 3;
export const ENTRIES = 4;
/** Entries whose text is gone, or that are there twice because their id was used again. */
export const DEAD = 5;
/** The change that touched it last: a text may hold a trigram more than once. */
export const TOUCHED = 6;
/** Where the entries end in the last chunk (its own head does not say), and its bytes in all << 16. */
export const USED = 7;

export class Chains {
  readonly #arena = new Arena();

  /** Append an id to a list. */
  append(rows: Uint32Array, row: number, id: number): void {
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
    const more = Math.min(Math.max(size * 2, FIRST_CHUNK), MAX_CHUNK);
    const chunk = this.#arena.take(more);
    const at = offsetOf(chunk);
    const slab = this.#arena.slab(chunk);
    slab.writeUInt32LE(0, at);
    slab.writeUInt16LE(more, at + 6);
    putVarint(slab, at + CHUNK_HEAD, id);
    if (tail === 0) rows[row + HEAD] = chunk;
    else this.seal(rows, row, chunk);
    rows[row + TAIL] = chunk;
    rows[row + USED] = (more << 16) | (CHUNK_HEAD + varintBytes(id));
  }

  /** Write into the last chunk where it ends, and what comes behind it. */
  seal(rows: Uint32Array, row: number, next: number): void {
    const tail = rows[row + TAIL] ?? 0;
    const slab = this.#arena.slab(tail);
    slab.writeUInt32LE(next, offsetOf(tail));
    slab.writeUInt16LE((rows[row + USED] ?? 0) & 0xffff, offsetOf(tail) + 4);
  }

  /** Read a list into `ids`, which has room for it. @returns how many there are */
  read(rows: Uint32Array, row: number, ids: Uint32Array): number {
    let n = 0;
    for (let chunk = rows[row + HEAD] ?? 0; chunk !== 0; chunk = this.next(chunk)) {
      n = this.readChunk(rows, row, chunk, ids, n);
    }
    return n;
  }

  /** Read a chunk of a list into `ids`, behind `n` that are there. @returns how many are there then */
  readChunk(rows: Uint32Array, row: number, chunk: number, ids: Uint32Array, n: number): number {
    const slab = this.#arena.slab(chunk);
    const begin = offsetOf(chunk);
    const isLast = chunk === rows[row + TAIL];
    const used = isLast ? (rows[row + USED] ?? 0) & 0xffff : slab.readUInt16LE(begin + 4);
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

  /** The chunk behind another, or 0. */
  next(chunk: number): number {
    return this.#arena.slab(chunk).readUInt32LE(offsetOf(chunk));
  }

  release(chunk: number): void {
    this.#arena.release(chunk, this.#arena.slab(chunk).readUInt16LE(offsetOf(chunk) + 6));
  }
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
