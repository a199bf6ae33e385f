/**
 * A set of small numbers found by a hash of what they stand for. It grows in 256 parts, each on its
 * own, so that no insertion has to move everything.
 */
import { randomBytes } from 'node:crypto';

const PARTS = 256;
/** Numbers a place: item + 1, and its hash, so that others are not taken for it and it can be moved. */
const PLACE = 2;

export class HashTable {
  readonly #parts = Array.from({ length: PARTS }, () => new Uint32Array(PLACE * 8));
  readonly #items = new Uint32Array(PARTS);

  /** The item with this hash that `is` the right one, or -1. */
  find(hash: number, is: (item: number) => boolean): number {
    const part = this.#part(hash);
    const mask = part.length - 1;
    for (let at = home(hash, mask); ; at = (at + PLACE) & mask) {
      const item = (part[at] ?? 0) - 1;
      if (item < 0 || (part[at + 1] === hash && is(item))) return item;
    }
  }

  /**
   * Add an item that is not there yet.
   *
   * @param hash an unsigned number of 32 bits
   */
  add(hash: number, item: number): void {
    const number = hash >>> 24;
    const items = (this.#items[number] ?? 0) + 1;
    this.#items[number] = items;
    let part = this.#part(hash);
    if (items * PLACE * 4 > part.length * 3) {
      const larger = new Uint32Array(part.length * 2);
      for (let at = 0; at < part.length; at += PLACE) {
        const old = part[at] ?? 0;
        if (old !== 0) put(larger, part[at + 1] ?? 0, old - 1);
      }
      this.#parts[number] = part = larger;
    }
    put(part, hash, item);
  }

  remove(hash: number, item: number): void {
    const part = this.#part(hash);
    const mask = part.length - 1;
    let hole = home(hash, mask);
    while (part[hole] !== item + 1) {
      if (part[hole] === 0) return;
      hole = (hole + PLACE) & mask;
    }
    this.#items[hash >>> 24] = (this.#items[hash >>> 24] ?? 0) - 1;
    // Items behind it move up, unless they would come before the place where a search for them begins.
    for (let at = (hole + PLACE) & mask; part[at] !== 0; at = (at + PLACE) & mask) {
      const begin = home(part[at + 1] ?? 0, mask);
      if (((at - begin) & mask) < ((at - hole) & mask)) continue;
      part[hole] = part[at] ?? 0;
      part[hole + 1] = part[at + 1] ?? 0;
      hole = at;
    }
    part[hole] = 0;
  }

  #part(hash: number): Uint32Array {
    const part = this.#parts[hash >>> 24];
    if (part === undefined) throw new RangeError('a hash has 32 bits, without a sign');
    return part;
  }
}

function home(hash: number, mask: number): number {
  return (hash * PLACE) & mask;
}

function put(part: Uint32Array, hash: number, item: number): void {
  const mask = part.length - 1;
  let at = home(hash, mask);
  while (part[at] !== 0) at = (at + PLACE) & mask;
  part[at] = item + 1;
  part[at + 1] = hash;
}

const KEY = randomBytes(8);
const [K0, K1] = [KEY.readInt32LE(0), KEY.readInt32LE(4)];

/**
 * HalfSipHash-1-3 (as hsiphash of the Linux kernel) of a number and bytes, with a key that is new in every
 * process: an attacker cannot choose names that all have the same hash.
 */
export function hashBytes(number: number, bytes: Uint8Array, from: number, to: number): number {
  let [v0, v1, v2, v3] = [K0, K1, K0 ^ 0x6c796765, K1 ^ 0x74656462];
  // One round a word: the number, the bytes, the rest with the length; then three more.
  const last = 1 + ((to - from) >>> 2);
  for (let round = 0, at = from; round <= last + 3; round++) {
    let word = 0;
    if (round === 0) {
      word = number;
    } else if (round < last) {
      word =
        (bytes[at] ?? 0) |
        ((bytes[at + 1] ?? 0) << 8) |
        ((bytes[at + 2] ?? 0) << 16) |
        ((bytes[at + 3] ?? 0) << 24);
      at += 4;
    } else if (round === last) {
      word = (to - from) << 24;
      for (let shift = 0; at < to; shift += 8) word |= (bytes[at++] ?? 0) << shift;
    } else if (round === last + 1) {
      v2 ^= 0xff;
    }
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return (v1 ^ v3) >>> 0;
}
