/** Memory for blocks one behind the other, and for the hashes that they must have, that threads share. */
import { SKEW } from '../../support/memory.js';
import { BLOCK_BYTES } from '../../wire/body.js';
import { HASH_BYTES } from '../../wire/limits.js';

/** Blocks of a run: 4 MiB. To wake a thread that sleeps costs about as much as to hash a block. */
export const RUN_BLOCKS = 16;
const BLOCKS_BYTES = RUN_BLOCKS * BLOCK_BYTES;

export class SharedRun {
  readonly id: number;
  readonly shared: SharedArrayBuffer;
  /** Room for RUN_BLOCKS blocks of 256 KiB. */
  readonly memory: Buffer;
  /** A hash for each block. */
  readonly #hashes: Buffer;
  /** Bytes of each block. */
  readonly #lengths: Uint32Array;

  /** @param shared what another thread has made */
  constructor(
    id: number,
    shared = new SharedArrayBuffer(SKEW + BLOCKS_BYTES + RUN_BLOCKS * (HASH_BYTES + 4)),
  ) {
    this.id = id;
    this.shared = shared;
    this.memory = Buffer.from(shared, SKEW, BLOCKS_BYTES);
    this.#hashes = Buffer.from(shared, SKEW + BLOCKS_BYTES, RUN_BLOCKS * HASH_BYTES);
    const lengthsAt = SKEW + BLOCKS_BYTES + RUN_BLOCKS * HASH_BYTES;
    this.#lengths = new Uint32Array(shared, lengthsAt, RUN_BLOCKS);
  }

  /** Say what block `i` must be. */
  expect(i: number, length: number, hash: Uint8Array): void {
    this.#lengths[i] = length;
    this.#hashes.set(hash, i * HASH_BYTES);
  }

  /** The bytes of block `i`, and the hash that was said of it. */
  block(i: number): { bytes: Buffer; hash: Buffer } {
    const start = i * BLOCK_BYTES;
    return {
      bytes: this.memory.subarray(start, start + (this.#lengths[i] ?? 0)),
      hash: this.#hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
    };
  }
}
