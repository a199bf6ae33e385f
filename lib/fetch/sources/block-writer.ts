/**
 * Blocks that come in any order, written one after the other: in the order of the file, or as they
 * come. Their memory is used again.
 */
import { asError } from '../../errors.js';
import type { VerifiedBlock } from '../receive/body-verifier.js';
import { allocateReadBuffer } from '../../support/memory.js';
import type { ByteSink } from '../receive/body-receiver.js';

export interface WriterOptions {
  readonly sink: ByteSink;
  /** In the order of the file. */
  readonly ordered: boolean;
  /** The first block that will come. */
  readonly first: number;
  /**
   * Blocks in memory at most. In order there is no such limit here: no more than the window are asked
   * for, and one that waited for memory could be the one that the others wait for.
   */
  readonly limit: number;
  /** Bytes of the longest block. */
  readonly blockBytes: number;
  /** A block has been written. @param next in order: the block that is due */
  readonly onWritten: (next: number) => void;
  /** Nothing more can be written now. */
  readonly onPause: () => void;
  /** There is memory again. */
  readonly onRoom: () => void;
  /** The sink has failed: nothing more is written. */
  readonly onError: (error: Error) => void;
}

export class BlockWriter {
  readonly #options: WriterOptions;
  readonly #free: Uint8Array[] = [];
  /** Blocks that wait, by number, in the order in which they came. */
  readonly #ready = new Map<number, VerifiedBlock>();
  #made = 0;
  #next: number;
  #writes = false;
  #failed = false;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#next = options.first;
  }

  /** Whether all that was put has been written. */
  get idle(): boolean {
    return !this.#writes && this.#ready.size === 0;
  }

  /** Whether nothing can be written now. */
  get stalled(): boolean {
    return !this.#writes;
  }

  /** In order: the block that is due. */
  get next(): number {
    return this.#next;
  }

  /** Memory for a block; undefined when there is none now: `onRoom` says when. */
  allocate(): Uint8Array | undefined {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const { ordered, limit, blockBytes } = this.#options;
    if (!ordered && this.#made >= limit) return undefined;
    this.#made++;
    return allocateReadBuffer(blockBytes);
  }

  /** Whether there is memory for another block. */
  get hasRoom(): boolean {
    const { ordered, limit } = this.#options;
    return ordered || this.#free.length > 0 || this.#made < limit;
  }

  /** Memory that holds nothing of use any more. */
  release(buffer: Uint8Array): void {
    this.#free.push(buffer);
    this.#options.onRoom();
  }

  /** Memory that does not come back: somebody may still write into it. */
  discard(): void {
    this.#made--;
    this.#options.onRoom();
  }

  put(index: number, block: VerifiedBlock): void {
    this.#ready.set(index, block);
    if (!this.#writes && !this.#failed) void this.#write();
  }

  async #write(): Promise<void> {
    const { sink, onWritten, onPause, onError } = this.#options;
    this.#writes = true;
    try {
      for (let due = this.#due(); due !== undefined; due = this.#due()) {
        const [index, { bytes, start, buffer }] = due;
        await sink.write(bytes, start);
        this.#ready.delete(index);
        this.#next = index + 1;
        this.release(buffer);
        onWritten(this.#next);
      }
    } catch (error) {
      this.#failed = true;
      onError(asError(error));
      return;
    }
    this.#writes = false;
    onPause();
  }

  #due(): [number, VerifiedBlock] | undefined {
    if (!this.#options.ordered) return this.#ready.entries().next().value;
    const block = this.#ready.get(this.#next);
    return block === undefined ? undefined : [this.#next, block];
  }
}
