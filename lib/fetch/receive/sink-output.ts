/**
 * Passes verified blocks to a ByteSink in order, in memory that is used again and again. A sink that is done at
 * once (a regular file) is given each block as it comes; one that takes its time gets all that has come
 * meanwhile in one piece.
 */
import { asError } from '../../errors.js';
import { allocateReadBuffer } from '../../support/memory.js';
import { BLOCK_BYTES } from '../../wire/body.js';
import type { BlockOutput, ByteSink } from './body-receiver.js';
import type { VerifiedBlock } from './body-verifier.js';

/** Blocks in memory at most: 1.75 MiB. */
const BLOCKS = 7;
/** The same for one of many fetches: their memory adds up, and while one waits there is enough else to do. */
const BLOCKS_OF_MANY = 1;
const MANY = 16;

/** Rings of fetches that are over: to get new memory for each of many files costs more than to fill it. */
const spare: Uint8Array[] = [];
const MAX_SPARE = 4;
/** Rings that are in use. */
let rings = 0;

function takeRing(): Uint8Array {
  rings++;
  if (rings > MANY) return allocateReadBuffer(BLOCKS_OF_MANY * BLOCK_BYTES);
  return spare.pop() ?? allocateReadBuffer(BLOCKS * BLOCK_BYTES);
}

export interface SinkOutputOptions {
  readonly sink: ByteSink;
  /** Resumes reading from the connection. */
  readonly resume: () => void;
  /** The sink has failed (`error`): nothing is written after that. */
  readonly onError: () => void;
}

export class SinkOutput implements BlockOutput {
  readonly #options: SinkOutputOptions;
  /** A ring of places for blocks, one behind the other in memory. */
  #memory: Uint8Array | undefined;
  #next = 0;
  #used = 0;
  /** Blocks that are to be written, in the order of the file. */
  #waiting: VerifiedBlock[] = [];
  #writing: Promise<void> | undefined;
  #starved = false;
  #ended = false;
  #error: Error | undefined;

  constructor(options: SinkOutputOptions) {
    this.#options = options;
  }

  /** What the sink threw. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** Nothing more comes. Resolves when all that was received has been written. */
  async finish(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    const memory = this.#memory;
    if (memory === undefined) return;
    this.#memory = undefined;
    rings--;
    // After a body that did not end, the connection may still hold a part of it.
    if (!this.#ended || this.#used > 0 || memory.length < BLOCKS * BLOCK_BYTES) return;
    if (spare.length < MAX_SPARE) spare.push(memory);
  }

  allocate(bytes: number): Uint8Array | undefined {
    const memory = (this.#memory ??= takeRing());
    const blocks = memory.length / BLOCK_BYTES;
    if (this.#used === blocks) {
      this.#starved = true;
      return undefined;
    }
    // While nothing waits the same place serves again: it is in the processor's cache.
    const place = this.#used === 0 ? 0 : this.#next;
    this.#next = (place + 1) % blocks;
    this.#used++;
    const at = place * BLOCK_BYTES;
    return memory.subarray(at, at + bytes);
  }

  write(block: VerifiedBlock): void {
    this.#waiting.push(block);
    if (this.#writing === undefined) this.#drain();
  }

  end(): void {
    this.#ended = true;
  }

  fail(): void {
    // The caller's promise rejects; verified blocks are still written.
  }

  /** Write what waits: at once as long as the sink is done at once. */
  #drain(): void {
    while (this.#waiting.length > 0 && this.#error === undefined) {
      const { blocks, bytes, start } = this.#piece();
      let written: Promise<void> | undefined;
      try {
        written = this.#options.sink.write(bytes, start);
      } catch (error) {
        this.#fail(error);
        return;
      }
      if (written !== undefined) {
        this.#writing = this.#after(written, blocks);
        return;
      }
      this.#release(blocks);
    }
  }

  async #after(written: Promise<void>, blocks: number): Promise<void> {
    try {
      await written;
      this.#release(blocks);
    } catch (error) {
      this.#fail(error);
    }
    this.#writing = undefined;
    this.#drain();
  }

  /** The blocks that come next and lie one behind the other in memory. */
  #piece(): { blocks: number; bytes: Uint8Array; start: number } {
    const [first] = this.#waiting;
    if (first === undefined) throw new TypeError('nothing waits');
    const { buffer, byteOffset } = first.bytes;
    let { length } = first.bytes;
    let blocks = 1;
    for (let next = this.#waiting[1]; next !== undefined; next = this.#waiting[++blocks]) {
      const follows =
        next.start === first.start + length && next.bytes.byteOffset === byteOffset + length;
      if (!follows) break;
      length += next.bytes.length;
    }
    this.#waiting = this.#waiting.slice(blocks);
    return { blocks, bytes: new Uint8Array(buffer, byteOffset, length), start: first.start };
  }

  #release(blocks: number): void {
    this.#used -= blocks;
    if (!this.#starved) return;
    this.#starved = false;
    this.#options.resume();
  }

  #fail(error: unknown): void {
    this.#error = asError(error);
    this.#waiting = [];
    this.#options.onError();
  }
}
