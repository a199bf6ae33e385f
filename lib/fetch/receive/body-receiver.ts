/**
 * Receive a body: every block is checked before anything of it is passed on, and reading stops while
 * there is no memory for the next one.
 */
import { PeerError } from '../../errors.js';
import { hashBlock } from '../../hash/blake3.js';
import { BodyVerifier, type OnList, type VerifiedBlock } from './body-verifier.js';
import type { BodySink } from '../../net/body-sink.js';
import type { RateLimiter } from '../../limits/rate-limiter.js';
import type { AbortOptions } from '../../support/signal.js';
import type { BlockSet } from '../block-set.js';
import type { FileHead, GetFile, Hash } from '../../wire/messages.js';

/** Where blocks go. */
interface Output {
  /**
   * Memory for a block of `bytes` bytes; undefined when there is none now: the output then calls the
   * receiver's `resume` when there is.
   */
  allocate(bytes: number): Uint8Array | undefined;
  end(): void;
  fail(error: PeerError): void;
}

/** Where verified blocks go. */
export interface BlockOutput extends Output {
  /** A verified block, in memory that `allocate` gave. */
  write(block: VerifiedBlock): void;
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
   * Take bytes of the range, in order. They are valid until the promise resolves; without one, until this
   * returns.
   *
   * @param position their place in the file
   */
  write(bytes: Uint8Array, position: number): Promise<void> | undefined;
}

/** Bytes of a file. */
export interface FetchRange {
  /** First byte wanted. @default 0 */
  offset?: number | undefined;
  /** Bytes wanted. @default to the end of the file */
  length?: number | undefined;
}

/** What of a file is asked for, and how. */
export interface FetchOptions extends FetchRange, AbortOptions {
  /** How fast it may come; shared by all fetches that are given the same one. @default no limit */
  limit?: RateLimiter | undefined;
  /** Told the file's size and the range granted, before the first byte. */
  onHead?: ((head: FileHead) => void) | undefined;
  /** Told of every list of the block tree that comes on the way, when its hash was right. */
  onList?: OnList | undefined;
}

export interface FetchBlocksOptions extends FetchOptions {
  /** Blocks that are neither fetched nor written. @default none */
  have?: BlockSet | undefined;
}

/** Where a file comes from: a Peer, or many. */
export interface FileSource {
  /**
   * Write a file's verified bytes into a sink, in order. What was verified before an error has been
   * written when the promise rejects.
   *
   * @throws PeerError; or what the sink threw
   */
  fetchTo(hash: Hash, sink: ByteSink, options?: FetchOptions): Promise<void>;
  /** The same for several ranges, in order: asked for ahead, they cost one round trip together. */
  fetchRanges?(
    hash: Hash,
    ranges: Iterable<FetchRange>,
    sink: ByteSink,
    options?: Omit<FetchOptions, 'offset' | 'length'>,
  ): Promise<void>;
  /**
   * The same in any order, without the blocks in `have`: of those that come from many peers at once.
   * They are asked for no bytes, by `fetchTo`, to learn how long the file is.
   */
  fetchBlocks?(hash: Hash, sink: ByteSink, options?: FetchBlocksOptions): Promise<void>;
}
