/**
 * A set of small numbers found by a hash of what they stand for. It keeps only the numbers (4 bytes
 * each), and grows in 256 parts, each on its own, so that no insertion has to move everything.
 */
const PARTS = 256;

export class HashTable {
  readonly #hashOf: (item: number) => number;
  /** Open addressing: item + 1. */
  readonly #parts: Uint32Array[] = Array.from({ length: PARTS }, () => new Uint32Array(8));
  readonly #items = new Uint32Array(PARTS);

  /** @param hashOf the hash of an item that is in the table: an unsigned number of 32 bits */
  constructor(hashOf: (item: number) => number) {
    this.#hashOf = hashOf;
  }

  /** The item with this hash that `is` the one sought, or -1. */
  find(hash: number, is: (item: number) => boolean): number {
    const part = this.#part(hash);
    const mask = part.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const item = (part[at] ?? 0) - 1;
      if (item < 0 || is(item)) return item;
    }
  }

  /** Add an item that is not there yet. */
  add(hash: number, item: number): void {
    const number = hash >>> 24;
    const items = (this.#items[number] ?? 0) + 1;
    this.#items[number] = items;
    const part = this.#part(hash);
    if (items * 4 <= part.length * 3) {
      put(part, hash, item);
      return;
    }
    const larger = new Uint32Array(part.length * 2);
    for (const old of part) if (old !== 0) put(larger, this.#hashOf(old - 1), old - 1);
    put(larger, hash, item);
    this.#parts[number] = larger;
  }

  /** Remove an item. The hashes of all others must still be what they were. */
  remove(hash: number, item: number): void {
    const part = this.#part(hash);
    const mask = part.length - 1;
    let hole = hash & mask;
    while (part[hole] !== item + 1) {
      if (part[hole] === 0) return;
      hole = (hole + 1) & mask;
    }
    this.#items[hash >>> 24] = (this.#items[hash >>> 24] ?? 0) - 1;
    // Items behind it move up, unless they would come before the place where a search for them begins.
    for (let at = (hole + 1) & mask; part[at] !== 0; at = (at + 1) & mask) {
      const home = this.#hashOf((part[at] ?? 0) - 1) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      part[hole] = part[at] ?? 0;
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

function put(part: Uint32Array, hash: number, item: number): void {
  const mask = part.length - 1;
  let at = hash & mask;
  while (part[at] !== 0) at = (at + 1) & mask;
  part[at] = item + 1;
}

/** FNV-1a of bytes, mixed so that every bit counts. */
export function hashBytes(seed: number, bytes: Uint8Array, from: number, to: number): number {
  let hash = seed ^ 0x811c9dc5;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ (bytes[i] ?? 0), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}
