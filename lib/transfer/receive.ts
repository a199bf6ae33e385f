/**
 * Receive a body: every block is checked before anything of it is passed on, and reading stops while
 * there is no memory for the next one.
 */
import { PeerError, asError } from '../errors.js';
import { hashBlock } from '../hash/blake3.js';
import { BodyVerifier, type OnList, type VerifiedBlock } from '../hash/verifier.js';
import { roomFor } from '../memory.js';
import type { BodySink } from '../net/body-sink.js';
import type { RateLimit } from './allowance.js';
import type { BlockSet } from './block-set.js';
import type { FileHead, GetFile, Hash } from '../wire/messages.js';

/** Where verified blocks go. */
export interface BlockOutput {
  /**
   * Memory for a block of `bytes` bytes; undefined when there is none now: the output then calls the
   * receiver's `resume` when there is.
   */
  allocate(bytes: number): Uint8Array | undefined;
  /** A verified block, in memory that `allocate` gave. */
  write(block: VerifiedBlock): void;
  end(): void;
  fail(error: PeerError): void;
}

/**
 * Whether the sender granted what was asked for.
 *
 * @throws PeerError ERR_MALFORMED when it granted another range, ERR_MISMATCH when it claims that
 *   the file is empty and it is not
 */
export function checkHead(request: GetFile, head: FileHead): void {
  const { offset = 0, length = Number.MAX_SAFE_INTEGER } = request;
  const { size } = head;
  const granted = Math.min(length, Math.max(0, size - offset));
  if (head.offset !== offset || head.length !== granted) {
    throw new PeerError('ERR_MALFORMED', 'the peer answered with another range than was asked for');
  }
  // An empty body proves nothing: it must be what was asked for, or what the hash says.
  if (granted > 0 || length === 0) return;
  const hash = Buffer.from(request.hash, 'hex');
  if (size > 0 || Buffer.compare(hashBlock(Buffer.alloc(0)), hash) !== 0) {
    throw new PeerError('ERR_MISMATCH', 'the bytes do not match the hash: the file is not empty');
  }
}

/** The sink of one body. Its verification fails the connection; the output is told by `fail`. */
export class BodyReceiver implements BodySink {
  readonly #verifier: BodyVerifier;
  readonly #output: BlockOutput;

  constructor(request: GetFile, head: FileHead, output: BlockOutput, onList?: OnList) {
    checkHead(request, head);
    const { size, offset, length } = head;
    const hash = Buffer.from(request.hash, 'hex');
    this.#verifier = new BodyVerifier({ hash, size, offset, length }, onList);
    this.#output = output;
  }

  get remaining(): number {
    return this.#verifier.remaining;
  }

  space(): Uint8Array | undefined {
    if (this.#verifier.needsBuffer) {
      const memory = this.#output.allocate(this.#verifier.expected);
      if (memory === undefined) return undefined;
      this.#verifier.useBuffer(memory);
    }
    return this.#verifier.space();
  }

  advance(n: number): void {
    const block = this.#verifier.advance(n);
    if (block !== undefined) this.#output.write(block);
  }

  end(): void {
    this.#output.end();
  }

  fail(error: PeerError): void {
    this.#output.fail(error);
  }
}

/** A place for bytes that may take its time. */
export interface ByteSink {
  /**
   * Take bytes of the range, in order. They are valid until the promise resolves.
   *
   * @param position their place in the file
   */
  write(bytes: Uint8Array, position: number): Promise<void>;
}

/** What of a file is asked for. */
export interface FetchOptions {
  /** First byte wanted. @default 0 */
  offset?: number | undefined;
  /** Bytes wanted. @default to the end of the file */
  length?: number | undefined;
  signal?: AbortSignal | undefined;
  /** How fast it may come; shared by all fetches that are given the same one. @default no limit */
  limit?: RateLimit | undefined;
  /** Told the file's size and the range granted, before the first byte. */
  onHead?: ((head: FileHead) => void) | undefined;
  /** Told of every list of the block tree that comes on the way, when its hash was right. */
  onList?: OnList | undefined;
}

export interface FetchBlocksOptions extends FetchOptions {
  /** Blocks that are neither fetched nor written. @default none */
  have?: BlockSet | undefined;
}

/** Who has a file: a Peer, or many. */
export interface FileSource {
  /**
   * Write a file's verified bytes into a sink, in order. What was verified before an error has been
   * written when the promise rejects.
   *
   * @throws PeerError; or what the sink threw
   */
  fetchTo(hash: Hash, sink: ByteSink, options?: FetchOptions): Promise<void>;
  /**
   * The same in any order, without the blocks in `have`: of those that come from many peers at once.
   * They are asked for no bytes, by `fetchTo`, to learn how long the file is.
   */
  fetchBlocks?(hash: Hash, sink: ByteSink, options?: FetchBlocksOptions): Promise<void>;
}

/** Blocks received while earlier ones are written: enough to keep both sides busy. */
const BLOCKS_AHEAD = 8;

/** Passes blocks to a ByteSink in order, in memory that is used again and again. */
export class SinkOutput implements BlockOutput {
  readonly #sink: ByteSink;
  readonly #resume: () => void;
  readonly #onError: () => void;
  readonly #free: Uint8Array[] = [];
  #made = 0;
  #queue: Promise<void> = Promise.resolve();
  #error: Error | undefined;

  /**
   * @param resume tells the connection to go on reading
   * @param onError told when the sink has failed (`error`); nothing is written after that
   */
  constructor(sink: ByteSink, resume: () => void, onError: () => void) {
    this.#sink = sink;
    this.#resume = resume;
    this.#onError = onError;
  }

  /** What the sink threw. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** Resolves when all that was received has been written. */
  get written(): Promise<void> {
    return this.#queue;
  }

  allocate(bytes: number): Uint8Array | undefined {
    // No later block of a body is longer than its first: what is free is long enough.
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#made === BLOCKS_AHEAD) return undefined;
    this.#made++;
    return roomFor(bytes);
  }

  write({ bytes, start, buffer }: VerifiedBlock): void {
    this.#queue = this.#queue.then(async () => {
      if (this.#error !== undefined) return;
      try {
        await this.#sink.write(bytes, start);
      } catch (error) {
        this.#error = asError(error);
        this.#onError();
        return;
      }
      const wasEmpty = this.#free.length === 0;
      this.#free.push(buffer);
      if (wasEmpty) this.#resume();
    });
  }

  end(): void {
    // `written` says when.
  }

  fail(): void {
    // Who asked for the body is told by its promise.
  }
}
