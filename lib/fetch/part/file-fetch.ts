/**
 * A file on its way to the disk. What has arrived survives attempts that fail: the next one, from the
 * same peer or another, asks only for the blocks that are missing.
 */
import { closeSync } from 'node:fs';
import { PeerError } from '../../errors.js';
import { BLOCK_BYTES, blockCount, blockLength } from '../../wire/body.js';
import type { FileHead, Hash } from '../../wire/messages.js';
import type { RateLimiter } from '../../limits/rate-limiter.js';
import { BlockHashes } from './block-hashes.js';
import { BlockSet, type BlockRun } from '../block-set.js';
import { PartCheck, type PartRange } from './part-check.js';
import { isEqualFile } from './equal-file.js';
import type { PartFile } from './part-file.js';
import { otherSize } from '../receive/small-body.js';
import {
  checkHead,
  type ByteSink,
  type FetchOptions,
  type FetchRange,
  type FileSource,
} from '../receive/body-receiver.js';

/** How far a fetch is. */
export interface FetchProgress {
  /** `checking`: what an earlier fetch left is read and compared; `fetching`: bytes come. */
  phase: 'checking' | 'fetching';
  /** Checked; or there and verified. */
  bytes: number;
  /** To be checked; or in the range that was asked for. */
  total: number;
}

export interface AttemptOptions {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: FetchProgress) => void) | undefined;
  /** Told that bytes are about to come, again and again. */
  onHead?: ((head: FileHead) => void) | undefined;
}

/** `there`: the file was there already, with the same bytes. */
export type FetchResult = 'fetched' | 'there';

/** Something to be fetched, in one attempt or several. */
export interface Fetch {
  /** Bytes that are there and verified. */
  readonly bytes: number;
  /** Fetch what is missing. @throws PeerError; the system's error */
  from(source: FileSource, options?: AttemptOptions): Promise<void>;
  /** `from` has succeeded: give the file its name. */
  finish(): Promise<FetchResult>;
  /** It did not work out. @returns the file that holds what was verified, if anything was */
  abandon(): Promise<string | undefined>;
}

/** Bytes asked for. */
export interface WantedRange {
  /** @default 0 */
  offset?: number | undefined;
  /** @default to the end of the file */
  length?: number | undefined;
  /** How fast it may come. @default no limit */
  limit?: RateLimiter | undefined;
  /** Bytes of the file, if they are known. Another size is ERR_MISMATCH. */
  size?: number | undefined;
  /** When it was last changed, in seconds since 1970. @default what the peer says with it */
  modified?: number | undefined;
}

/** What a file is to hold, as a text that differs for other bytes. */
export function contentOf(hash: Hash, { offset = 0, length }: WantedRange): string {
  return offset === 0 && length === undefined ? hash : `${hash} ${offset} ${length ?? 'end'}`;
}

/** What is known when a peer has said how large the file is. */
interface Plan extends PartRange {
  /** The blocks with bytes of the range. */
  first: number;
  end: number;
  /** Blocks of which all bytes in the range are in the part, and right. */
  there: BlockSet;
  hashes: BlockHashes;
  /** Until the part has been compared. */
  check: PartCheck | undefined;
}

export class FileFetch implements Fetch {
  readonly #hash: Hash;
  readonly #wanted: WantedRange;
  readonly #part: PartFile;
  readonly #sink: ByteSink;
  #plan: Plan | undefined;
  #bytes = 0;
  #modified: number | undefined;
  /** Whether the file that stands at the name was compared, and with what result. */
  #existing: 'unknown' | 'other' | 'equal' = 'unknown';
  #onProgress: AttemptOptions['onProgress'];
  #onAnswer: AttemptOptions['onHead'];

  constructor(hash: Hash, part: PartFile, wanted: WantedRange = {}) {
    this.#hash = hash;
    this.#wanted = wanted;
    this.#modified = wanted.modified;
    this.#part = part;
    this.#sink = {
      write: (bytes, position) =>
        part.write(bytes, position, (written) => {
          this.#addWritten(position, written);
        }),
    };
  }

  get bytes(): number {
    return this.#bytes;
  }

  async from(
    source: FileSource,
    { signal, onProgress, onHead }: AttemptOptions = {},
  ): Promise<void> {
    this.#onProgress = onProgress;
    this.#onAnswer = onHead;
    const { offset, length } = this.#wanted;
    // With nothing to compare, all is asked for at once; else it must be known first how large the file is.
    const { found, existing } = this.#part;
    const atOnce = found === 0 && existing === undefined && source.fetchBlocks === undefined;
    if (this.#wanted.size !== undefined && !atOnce)
      this.#plan ??= this.#makePlan(this.#wanted.size);
    try {
      if (this.#plan === undefined) await this.#fetch(source, offset, atOnce ? length : 0, signal);
      const plan = this.#known();
      if (await this.#isThere(plan, signal)) return;
      await this.#compare(source, plan, signal);
      await this.#fetchMissing(source, plan, signal);
    } catch (error) {
      // Another run of the same command was first: with the same part, which it has verified.
      if (this.#plan === undefined || !this.#part.isNamed) throw error;
      const { first, end } = this.#plan;
      for (let block = first; block < end; block++) this.#add(block, false);
    }
  }

  async finish(): Promise<FetchResult> {
    if (this.#existing === 'equal') {
      await this.#part.close();
      return 'there';
    }
    const { first, end, there, length, size } = this.#known();
    if (there.missing(first, end).next().done !== true) throw new TypeError('blocks are missing');
    // Of a part of it that would say nothing.
    await this.#part.finish(length, length === size ? this.#modified : undefined);
    return 'fetched';
  }

  async abandon(): Promise<string | undefined> {
    const { path } = this.#part;
    await this.#part.close();
    return this.#bytes > 0 ? path : undefined;
  }

  #known(): Plan {
    if (this.#plan === undefined) throw new TypeError('no peer has answered');
    return this.#plan;
  }

  #onHead(head: FileHead): void {
    this.#onAnswer?.(head);
    const { size, modified } = head;
    this.#modified ??= modified;
    if (this.#plan === undefined) this.#plan = this.#makePlan(size);
    else if (size !== this.#plan.size) {
      throw new PeerError('ERR_MISMATCH', 'the peer says that the file has another size');
    }
    this.#report();
  }

  #makePlan(size: number): Plan {
    if (size !== (this.#wanted.size ?? size)) throw otherSize(size, this.#wanted.size ?? 0);
    const { offset = 0, length: wanted = Number.MAX_SAFE_INTEGER } = this.#wanted;
    const length = Math.min(wanted, Math.max(0, size - offset));
    // Whoever asks for no bytes, to learn the size, is told anything.
    checkHead(
      { type: 'RQFH', hash: this.#hash, offset, length: wanted },
      head(size, offset, length),
    );
    const hashes = new BlockHashes(Buffer.from(this.#hash, 'hex'), size);
    const range = { size, offset, length };
    return {
      ...range,
      first: Math.floor(offset / BLOCK_BYTES),
      end: length === 0 ? 0 : Math.ceil((offset + length) / BLOCK_BYTES),
      there: new BlockSet(blockCount(size)),
      hashes,
      check: this.#part.found > 0 ? new PartCheck(this.#part, hashes, range) : undefined,
    };
  }

  /** Whether the whole file stands at its name already. */
  async #isThere({ size, length }: Plan, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#existing !== 'unknown') return this.#existing === 'equal';
    this.#existing = 'other';
    if (length !== size || this.#part.existing !== size) return false;
    const fd = this.#part.openExisting();
    if (fd === undefined) return false;
    let bytes = 0;
    const onBytes = (more: number): void => {
      bytes += more;
      this.#onProgress?.({ phase: 'checking', bytes, total: size });
    };
    try {
      if (!(await isEqualFile({ fd, size }, { hash: this.#hash, size }, { signal, onBytes }))) {
        return false;
      }
    } finally {
      closeSync(fd);
    }
    this.#existing = 'equal';
    this.#bytes = size;
    return true;
  }

  /** Find out which blocks of the part are right. */
  async #compare(source: FileSource, plan: Plan, signal: AbortSignal | undefined): Promise<void> {
    const { check } = plan;
    if (check === undefined) return;
    const total = check.bytes;
    let bytes = 0;
    await check.run({
      ask: (block) => {
        const range = bytesOf(plan, { first: block, count: 1 });
        return this.#fetch(source, range.offset, range.length, signal);
      },
      onBlock: (block) => {
        this.#add(block, false);
      },
      onBytes: (more) => {
        bytes += more;
        this.#onProgress?.({ phase: 'checking', bytes, total });
      },
      signal,
    });
    plan.check = undefined;
    this.#report();
  }

  async #fetchMissing(
    source: FileSource,
    plan: Plan,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { there, offset, length } = plan;
    if (source.fetchBlocks !== undefined) {
      const options = { ...this.#options(signal), offset, length, have: there };
      await source.fetchBlocks(this.#hash, this.#sink, options);
      return;
    }
    const ranges = this.#missing(plan);
    if (source.fetchRanges !== undefined) {
      await source.fetchRanges(this.#hash, ranges, this.#sink, this.#options(signal));
      return;
    }
    for (const { offset, length } of ranges) await this.#fetch(source, offset, length, signal);
  }

  /** The bytes of the range that are not there, run by run. */
  *#missing(plan: Plan): Generator<Required<FetchRange>, void, void> {
    for (const run of plan.there.missing(plan.first, plan.end)) yield bytesOf(plan, run);
  }

  #fetch(
    source: FileSource,
    offset: number | undefined,
    length: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    return source.fetchTo(this.#hash, this.#sink, { ...this.#options(signal), offset, length });
  }

  #options(signal: AbortSignal | undefined): FetchOptions {
    return {
      signal,
      limit: this.#wanted.limit,
      onHead: (head) => {
        this.#onHead(head);
      },
      onList: (level, index, hashes) => {
        this.#plan?.hashes.keep(level, index, hashes);
      },
    };
  }

  /** Bytes have been written; a block of which some are missing does not count. */
  #addWritten(position: number, bytes: number): void {
    for (let i = Math.floor(position / BLOCK_BYTES); ; i++) {
      const { size, offset, length } = this.#known();
      const end = Math.min(offset + length, i * BLOCK_BYTES + blockLength(size, i));
      if (end > position + bytes || i * BLOCK_BYTES >= end) return;
      this.#add(i);
    }
  }

  /** The bytes of a block that are wanted are in the part, and right. */
  #add(block: number, report = true): void {
    const { there, size, offset, length } = this.#known();
    if (there.has(block)) return;
    there.add(block);
    const begin = block * BLOCK_BYTES;
    const end = Math.min(offset + length, begin + blockLength(size, block));
    this.#bytes += end - Math.max(offset, begin);
    if (report) this.#report();
  }

  #report(): void {
    const { check, length } = this.#known();
    if (check === undefined) {
      this.#onProgress?.({ phase: 'fetching', bytes: this.#bytes, total: length });
    }
  }
}

/** The bytes of blocks that are inside the range. */
function bytesOf(
  { offset, length, size }: PartRange,
  { first, count }: BlockRun,
): Required<FetchRange> {
  const last = first + count - 1;
  const begin = Math.max(offset, first * BLOCK_BYTES);
  const end = Math.min(offset + length, last * BLOCK_BYTES + blockLength(size, last));
  return { offset: begin, length: end - begin };
}

function head(size: number, offset: number, length: number): FileHead {
  return { type: 'ACKN', of: 'RQFH', size, offset, length };
}
