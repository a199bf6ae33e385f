/**
 * Check a body against the hash it was asked by, part by part as its bytes arrive.
 *
 * The caller owns the memory of blocks: it asks where the next bytes belong (`space`), puts them
 * there, says how many came (`advance`), and gets every block back when it is complete and its hash is
 * right. Nothing is copied here but the lists.
 */
import { PeerError } from '../../errors.js';
import {
  BLOCK_BYTES,
  LIST_HASHES,
  blockLength,
  bodyBytes,
  bodyParts,
  levelCounts,
  type BodyPart,
} from '../../wire/body.js';
import { HASH_BYTES } from '../../wire/limits.js';
import { hashBlock, hashList } from '../../hash/blake3.js';

export interface BodyRange {
  /** The file's hash, 32 bytes. */
  readonly hash: Uint8Array;
  /** Bytes of the whole file, as the sender claims; a false claim cannot be verified. */
  readonly size: number;
  readonly offset: number;
  readonly length: number;
}

/** A verified block: `start` is its place in the file, `bytes` the part of it inside the range. */
export interface VerifiedBlock {
  readonly start: number;
  readonly bytes: Uint8Array;
  /** The buffer that `bytes` lies in, as it was given to `useBuffer`. */
  readonly buffer: Uint8Array;
}

/** A list whose hash was right, and which of its level it is. */
interface OpenList {
  index: number;
  hashes: Uint8Array;
}

/** Told of a list whose hash was right: its level (1 or higher), which of the level it is, its bytes. */
export type OnList = (level: number, index: number, hashes: Uint8Array) => void;

export class BodyVerifier {
  readonly #range: BodyRange;
  readonly #onList: OnList | undefined;
  readonly #parts: Generator<BodyPart>;
  readonly #root: Uint8Array;
  /** The verified list of each level that covers the place where the body stands. */
  readonly #lists: (OpenList | undefined)[];
  #part: BodyPart | undefined;
  /** Next block within a part of blocks. */
  #block = 0;
  /** Bytes of the current node: its memory, how many it has, how many came. */
  #buffer: Uint8Array | undefined;
  #expected = 0;
  #filled = 0;
  #remaining: number;

  constructor(range: BodyRange, onList?: OnList) {
    this.#range = range;
    this.#onList = onList;
    this.#root = range.hash;
    this.#parts = bodyParts(range.size, range.offset, range.length);
    this.#lists = levelCounts(range.size).map(() => undefined);
    this.#remaining = bodyBytes(range.size, range.offset, range.length);
    this.#next();
  }

  /** Bytes of the body still to come. */
  get remaining(): number {
    return this.#remaining;
  }

  /** Whether a buffer of a block must be given (`useBuffer`) before bytes can be taken. */
  get needsBuffer(): boolean {
    return this.#buffer === undefined && this.#remaining > 0;
  }

  /** Memory for the next block: at least 256 KiB, or the block's own length if it is shorter. */
  useBuffer(buffer: Uint8Array): void {
    this.#buffer = buffer;
  }

  /** Bytes of the current block or list; the least that `useBuffer` must provide. */
  get expected(): number {
    return this.#expected;
  }

  /** Where the next bytes belong: the rest of the current node. Never longer than the node. */
  space(): Uint8Array {
    if (this.#buffer === undefined) throw new TypeError('no buffer');
    return this.#buffer.subarray(this.#filled, this.#expected);
  }

  /**
   * `n` bytes have been put at the start of `space()`.
   *
   * @returns a block when these bytes complete it.
   * @throws PeerError ERR_MISMATCH, naming the list or the block that is wrong.
   */
  advance(n: number): VerifiedBlock | undefined {
    this.#filled += n;
    this.#remaining -= n;
    if (this.#filled < this.#expected || this.#buffer === undefined) return undefined;
    const buffer = this.#buffer;
    const bytes = buffer.subarray(0, this.#expected);
    const part = this.#part;
    if (part?.kind === 'list') {
      const expected = this.#hashOf(part.level, part.index);
      if (!equal(hashList(bytes), expected)) {
        throw new PeerError(
          'ERR_MISMATCH',
          `the bytes do not match the hash: list ${part.index} of level ${part.level} is wrong`,
        );
      }
      this.#lists[part.level] = { index: part.index, hashes: bytes };
      this.#onList?.(part.level, part.index, bytes);
      this.#next();
      return undefined;
    }
    const index = this.#block;
    if (!equal(hashBlock(bytes), this.#hashOf(0, index))) {
      const start = index * BLOCK_BYTES;
      throw new PeerError(
        'ERR_MISMATCH',
        `the bytes do not match the hash: block ${index} (bytes ${start} to ${start + bytes.length}) is wrong`,
      );
    }
    this.#block++;
    this.#next();
    return this.#trim(index, bytes, buffer);
  }

  /** Make the next block or list the current node. */
  #next(): void {
    this.#filled = 0;
    this.#buffer = undefined;
    const part = this.#part;
    if (part?.kind === 'blocks' && this.#block < part.first + part.count) {
      this.#expected = blockLength(this.#range.size, this.#block);
      return;
    }
    const next = this.#parts.next();
    this.#part = next.done === true ? undefined : next.value;
    if (this.#part === undefined) {
      this.#expected = 0;
    } else if (this.#part.kind === 'list') {
      this.#expected = this.#part.bytes;
      this.#buffer = new Uint8Array(this.#expected);
    } else {
      this.#block = this.#part.first;
      this.#expected = blockLength(this.#range.size, this.#block);
    }
  }

  /** The hash that node `index` of `level` must have, out of the verified list above it. */
  #hashOf(level: number, index: number): Uint8Array {
    if (level === this.#lists.length - 1) return this.#root;
    const list = this.#lists[level + 1];
    const at = (index % LIST_HASHES) * HASH_BYTES;
    if (list?.index !== Math.floor(index / LIST_HASHES)) throw new TypeError('list out of order');
    return list.hashes.subarray(at, at + HASH_BYTES);
  }

  #trim(index: number, bytes: Uint8Array, buffer: Uint8Array): VerifiedBlock {
    const { offset, length } = this.#range;
    const start = index * BLOCK_BYTES;
    const from = Math.max(0, offset - start);
    const to = Math.min(bytes.length, offset + length - start);
    return { start: start + from, bytes: bytes.subarray(from, to), buffer };
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
