/**
 * What is known of each file, in columns indexed by slot: 80 bytes a file and no object, so that a
 * million of them fit beside the search index.
 */
import { endianness } from 'node:os';
import { sameBirth, type FileIdentity } from '../disk/open.js';
import { HASH_BYTES } from '../wire/limits.js';
import type { Hash } from '../wire/messages.js';
import { SlotTable } from './slot-table.js';
import { hashText } from '../support/text-hash.js';

const HASH_WORDS = HASH_BYTES / 4;
/** Which of a 64-bit number's two words is the low one. */
const LOW = endianness() === 'LE' ? 0 : 1;

export class Columns {
  #capacity = 0;
  #slots = 0;
  readonly #free: number[] = [];
  #hashes: Buffer = Buffer.alloc(0);
  /** The same memory. */
  #hashWords = new Uint32Array(0);
  #sizes = new Float64Array(0);
  #times = new BigInt64Array(0);
  #births = new BigInt64Array(0);
  #inodes = new BigUint64Array(0);
  /** The same memory: a BigInt taken out of it is an object. */
  #inodeWords = new Uint32Array(0);
  #pathLow = new Uint32Array(0);
  #pathHigh = new Uint32Array(0);

  readonly #byPath = new SlotTable(
    (slot) => this.#pathLow[slot] ?? 0,
    (a, b) => this.#pathHigh[a] === this.#pathHigh[b] && this.#pathLow[a] === this.#pathLow[b],
  );
  readonly #byHash = new SlotTable(
    (slot) => this.#hashWords[slot * HASH_WORDS] ?? 0,
    (a, b) => this.#sameHash(a, b),
  );
  readonly #byInode = new SlotTable(
    (slot) => this.#inodeWords[slot * 2 + LOW] ?? 0,
    (a, b) => this.#inodes[a] === this.#inodes[b] && this.#births[a] === this.#births[b],
  );

  /** Put a file into a free slot, or into the one it had in an earlier run. */
  add(path: string, hash: Uint8Array, identity: FileIdentity, wanted?: number): number {
    const slot = wanted ?? this.#free.pop() ?? this.#slots;
    this.#reserve(slot);
    // Slots of an earlier run come in order; those between them are free.
    while (this.#slots <= slot) {
      if (this.#slots < slot) this.#free.push(this.#slots);
      this.#slots++;
    }
    [this.#pathLow[slot], this.#pathHigh[slot]] = hashText(path);
    this.#hashes.set(hash, slot * HASH_BYTES);
    this.#write(slot, identity);
    this.#byPath.add(slot);
    this.#byHash.add(slot);
    this.#byInode.add(slot);
    return slot;
  }

  remove(slot: number): void {
    this.#byPath.remove(slot);
    this.#byHash.remove(slot);
    this.#byInode.remove(slot);
    this.#free.push(slot);
  }

  /** The same content, with another inode number (of another mount). */
  setIdentity(slot: number, identity: FileIdentity): void {
    this.#byInode.remove(slot);
    this.#write(slot, identity);
    this.#byInode.add(slot);
  }

  /** The slot of a path, or -1. */
  find(path: string): number {
    const [low, high] = hashText(path);
    return this.#byPath.first(
      low,
      (slot) => this.#pathLow[slot] === low && this.#pathHigh[slot] === high,
    );
  }

  /** The slots of all files with this content. */
  *withHash(hash: Hash): Generator<number> {
    const bytes = Buffer.from(hash, 'hex');
    const matches = (slot: number): boolean => this.#hashAt(slot).equals(bytes);
    let slot = this.#byHash.first(firstWord(bytes), matches);
    for (; slot >= 0; slot = this.#byHash.next(slot)) yield slot;
  }

  /** Whether another file has the same content as this one. */
  isOnly(slot: number): boolean {
    const word = this.#hashWords[slot * HASH_WORDS] ?? 0;
    const first = this.#byHash.first(word, (other) => this.#sameHash(slot, other));
    return first === slot && this.#byHash.next(slot) < 0;
  }

  /**
   * A slot of the same inode, birth, size and time, or -1: the same file under another name. Without its
   * birth it may as well be another file that was given the number of a deleted one.
   */
  sameFile({ birthNs, ino, size, mtimeNs }: FileIdentity): number {
    if (birthNs === 0n) return -1;
    const inode = BigInt.asUintN(64, ino);
    let slot = this.#byInode.first(
      Number(BigInt.asUintN(32, inode)),
      (other) => this.#inodes[other] === inode && this.#births[other] === birthNs,
    );
    for (; slot >= 0; slot = this.#byInode.next(slot)) {
      if (this.#sizes[slot] === size && this.#times[slot] === mtimeNs) return slot;
    }
    return -1;
  }

  hash(slot: number): Hash {
    return this.#hashes.toString('hex', slot * HASH_BYTES, (slot + 1) * HASH_BYTES);
  }

  /** A copy of the 32 bytes. */
  hashBytes(slot: number): Buffer {
    return Buffer.from(this.#hashAt(slot));
  }

  size(slot: number): number {
    return this.#sizes[slot] ?? 0;
  }

  /** When it was last changed, in seconds since 1970; undefined before that. */
  modified(slot: number): number | undefined {
    const seconds = Math.floor(Number(this.#times[slot] ?? -1n) / 1e9);
    return seconds >= 0 ? seconds : undefined;
  }

  /** Whether the content can be taken as unchanged, as `sameContent` says. */
  hasContentOf(slot: number, identity: FileIdentity): boolean {
    return (
      this.#sizes[slot] === identity.size &&
      this.#times[slot] === identity.mtimeNs &&
      sameBirth({ birthNs: this.#births[slot] ?? 0n }, identity)
    );
  }

  /** Whether its inode is the same. */
  hasInodeOf(slot: number, { birthNs, ino }: FileIdentity): boolean {
    return this.#inodes[slot] === BigInt.asUintN(64, ino) && this.#births[slot] === birthNs;
  }

  identity(slot: number): FileIdentity {
    return {
      size: this.#sizes[slot] ?? 0,
      mtimeNs: this.#times[slot] ?? 0n,
      birthNs: this.#births[slot] ?? 0n,
      ino: this.#inodes[slot] ?? 0n,
    };
  }

  #sameHash(a: number, b: number): boolean {
    const words = this.#hashWords;
    for (let i = 0; i < HASH_WORDS; i++) {
      if (words[a * HASH_WORDS + i] !== words[b * HASH_WORDS + i]) return false;
    }
    return true;
  }

  #hashAt(slot: number): Buffer {
    return this.#hashes.subarray(slot * HASH_BYTES, (slot + 1) * HASH_BYTES);
  }

  #write(slot: number, { size, mtimeNs, birthNs, ino }: FileIdentity): void {
    this.#sizes[slot] = size;
    this.#times[slot] = mtimeNs;
    this.#births[slot] = birthNs;
    this.#inodes[slot] = BigInt.asUintN(64, ino);
  }

  #reserve(slot: number): void {
    if (slot < this.#capacity) return;
    const capacity = Math.max(1024, slot + 1, Math.ceil(this.#capacity * 1.5));
    const hashes = new Uint8Array(capacity * HASH_BYTES);
    hashes.set(this.#hashes);
    this.#hashes = Buffer.from(hashes.buffer);
    this.#hashWords = new Uint32Array(hashes.buffer);
    this.#sizes = grown(this.#sizes, new Float64Array(capacity));
    this.#pathLow = grown(this.#pathLow, new Uint32Array(capacity));
    this.#pathHigh = grown(this.#pathHigh, new Uint32Array(capacity));
    this.#times = grownBig(this.#times, new BigInt64Array(capacity));
    this.#births = grownBig(this.#births, new BigInt64Array(capacity));
    this.#inodes = grownBig(this.#inodes, new BigUint64Array(capacity));
    this.#inodeWords = new Uint32Array(this.#inodes.buffer);
    this.#capacity = capacity;
  }
}

/** As in a Uint32Array over the same bytes, in the machine's byte order. */
function firstWord(bytes: Buffer): number {
  return endianness() === 'LE' ? bytes.readUInt32LE(0) : bytes.readUInt32BE(0);
}

function grown<T extends Float64Array | Uint32Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}

function grownBig<T extends BigInt64Array | BigUint64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
