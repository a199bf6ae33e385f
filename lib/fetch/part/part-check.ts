/**
 * Which blocks of a part are right: they are read, hashed and compared with the block tree.
 *
 * Lists are asked for as little as can be, since each comes with a block. Where the part holds all
 * blocks under a list, the list is made from what was read and compared as a whole; the list itself is
 * needed only if that fails, or where the part ends in the middle of one; and there it comes with the
 * block at the part's end, which has to be fetched anyway.
 */
import { abortError } from '../../errors.js';
import { hashBlock, hashList } from '../../hash/blake3.js';
import { allocateReadBuffer } from '../../support/memory.js';
import { BLOCK_BYTES, LIST_HASHES, blockCount, blockLength } from '../../wire/body.js';
import { HASH_BYTES } from '../../wire/limits.js';
import { hashAt, type BlockHashes } from './block-hashes.js';
import type { PartFile } from './part-file.js';

/** Blocks that are read at once; while they are hashed, which holds this thread up, the next are read. */
const STEP_BLOCKS = 4;

/** A range of a file: what the part is to hold. In bytes. */
export interface PartRange {
  /** Of the whole file. */
  size: number;
  offset: number;
  length: number;
}

export interface CheckOptions {
  /**
   * Fetch this block of the range, give it to the part, and the lists above it to the hashes. It is one
   * that the part lacks where there is a choice.
   */
  ask: (block: number) => Promise<void>;
  /** A block is right. */
  onBlock: (block: number) => void;
  /** Told how many bytes were read and hashed, again and again. */
  onBytes: (bytes: number) => void;
  signal?: AbortSignal | undefined;
}

export class PartCheck {
  readonly #part: PartFile;
  readonly #hashes: BlockHashes;
  readonly #size: number;
  /** Blocks with bytes of the range. */
  readonly #range: { first: number; end: number };
  /** Those of them that the part holds whole, by its length. */
  readonly #whole: { first: number; end: number };
  readonly #buffers = [0, 1].map(() => allocateReadBuffer(STEP_BLOCKS * BLOCK_BYTES));
  #group: number;

  constructor(part: PartFile, hashes: BlockHashes, { size, offset, length }: PartRange) {
    this.#part = part;
    this.#hashes = hashes;
    this.#size = size;
    const rangeEnd = offset + length;
    this.#range = {
      first: Math.floor(offset / BLOCK_BYTES),
      end: length === 0 ? 0 : Math.ceil(rangeEnd / BLOCK_BYTES),
    };
    // A block that the range cuts is never whole here: it is fetched again.
    const there = Math.min(rangeEnd, offset + part.found);
    const end = there === size ? blockCount(size) : Math.floor(there / BLOCK_BYTES);
    this.#whole = {
      first: Math.ceil(offset / BLOCK_BYTES),
      end: Math.min(end, this.#range.end),
    };
    this.#group = Math.floor(this.#whole.first / LIST_HASHES);
  }

  /** Bytes to read and hash. */
  get bytes(): number {
    const { first, end } = this.#whole;
    return Math.max(0, Math.min(end * BLOCK_BYTES, this.#size) - first * BLOCK_BYTES);
  }

  /** To be called again after an error: it resumes from the list where it was. */
  async run(options: CheckOptions): Promise<void> {
    const { first, end } = this.#whole;
    if (first >= end) return;
    for (; this.#group * LIST_HASHES < end; this.#group++) {
      const begin = this.#group * LIST_HASHES;
      await this.#checkGroup(
        Math.max(first, begin),
        Math.min(end, begin + LIST_HASHES),
        this.#group,
        options,
      );
    }
  }

  /** Blocks [first, end), all under one list. */
  async #checkGroup(
    first: number,
    end: number,
    group: number,
    { ask, onBlock, onBytes, signal }: CheckOptions,
  ): Promise<void> {
    const found = await this.#hash(first, end, onBytes, signal);
    const begin = group * LIST_HASHES;
    const complete =
      first === begin && end === Math.min(begin + LIST_HASHES, blockCount(this.#size));
    if (complete) {
      const wanted = await this.#hashes.groupHash(group, () =>
        ask(this.#choose(first, begin, LIST_HASHES ** 2)),
      );
      if (wanted !== undefined && equal(hashList(found), wanted)) {
        for (let block = first; block < end; block++) onBlock(block);
        return;
      }
    }
    const wanted = await this.#hashes.group(group, () =>
      ask(this.#choose(first, begin, LIST_HASHES)),
    );
    for (let block = first; block < end; block++) {
      if (equal(hashAt(found, block - first), hashAt(wanted, block - begin))) onBlock(block);
    }
  }

  /**
   * The block with which to get lists: one that the part lacks, if there is one under the same list.
   *
   * @param fallback a block that will do
   * @param covers blocks under the list wanted
   */
  #choose(fallback: number, begin: number, covers: number): number {
    const list = Math.floor(begin / covers);
    const lacking = [this.#whole.end, this.#whole.first - 1].find(
      (block) =>
        block >= this.#range.first &&
        block < this.#range.end &&
        Math.floor(block / covers) === list,
    );
    return lacking ?? fallback;
  }

  /** The hashes of blocks as they are in the part; zeros for one that cannot be read any more. */
  async #hash(
    first: number,
    end: number,
    onBytes: (bytes: number) => void,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const hashes = new Uint8Array((end - first) * HASH_BYTES);
    const read = async (from: number, turn: number): Promise<Uint8Array> => {
      const to = Math.min(end, from + STEP_BLOCKS);
      const bytes = Math.min(to * BLOCK_BYTES, this.#size) - from * BLOCK_BYTES;
      const into = (this.#buffers[turn % 2] ?? new Uint8Array()).subarray(0, bytes);
      return into.subarray(0, await this.#part.read(into, from * BLOCK_BYTES));
    };
    let ahead = read(first, 0);
    for (let from = first, turn = 1; from < end; from += STEP_BLOCKS, turn++) {
      const bytes = await ahead;
      const next = from + STEP_BLOCKS;
      if (signal?.aborted === true) throw abortError(signal);
      if (next < end) {
        ahead = read(next, turn);
        // Reported when it is waited for.
        ahead.catch(() => undefined);
      }
      for (let block = from; block < Math.min(end, next); block++) {
        const at = (block - from) * BLOCK_BYTES;
        const length = blockLength(this.#size, block);
        // The part was cut meanwhile.
        if (at + length > bytes.length) break;
        hashes.set(hashBlock(bytes.subarray(at, at + length)), (block - first) * HASH_BYTES);
      }
      onBytes(bytes.length);
    }
    return hashes;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
