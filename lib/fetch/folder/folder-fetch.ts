/** Fetches the files of a listing, many at a time, and says what became of each. */
import { signalOf } from '../../support/signal.js';
import type { Peer } from '../peer.js';
import type { OutputFolder } from '../../disk/output-folder.js';
import { PeerError, abortError, asError, isShortage, systemCode } from '../../errors.js';
import type { RateLimiter } from '../../limits/rate-limiter.js';
import { Semaphore } from '../../limits/semaphore.js';
import type { FileMatch } from '../../wire/messages.js';
import type { FetchResult } from '../part/file-fetch.js';
import type { FileSource } from '../receive/body-receiver.js';
import { SMALL_BYTES } from '../receive/small-body.js';
import { retrying, type RetryOptions } from '../retry.js';
import { Attempts, ConnectionLost, Suspect } from './attempts.js';
import type { Listing, ListingLimits } from './listing.js';
import { FileTransfer } from './file-transfer.js';

/** What became of one file. */
export interface FetchedFile extends FileMatch {
  /** Where it is below the folder, separated by `/`: the peer's path made safe (disk/safe-name.ts). */
  file: string;
  /** `there`: it was there already, with the same bytes. */
  status: FetchResult | 'failed';
  /** Why it failed. */
  error?: Error;
}

/** What else a file may come from; closed when it has come. */
export type OpenSource = (file: FileMatch) => { source: FileSource; close: () => void };

export interface FetchAllOptions extends RetryOptions {
  /** How fast it may come. @default no limit */
  limit?: RateLimiter | undefined;
  /** Wait until files, and then their names, are on the disk. @default true */
  fsync?: boolean | undefined;
  /** Opens what else a file may come from than the peer. @default nothing */
  sourceOf?: OpenSource | undefined;
  /** Told what the search found, before anything is fetched; and in words what of it is skipped. */
  onFound?: ((found: { files: number; bytes: number; skipped?: string }) => void) | undefined;
  /** Told of bytes that are there and verified. */
  onBytes?: ((bytes: number) => void) | undefined;
  /** What a peer may list, at most. @default LISTING_LIMITS */
  listingLimits?: ListingLimits | undefined;
}

/** Files that are looked at, asked for and written at the same time. */
const LANES = 128;
/** Bytes of files under way at once, and what a large one counts for: two of them keep the peer busy. */
const BYTES_AHEAD = 4 * 1024 * 1024;
const LARGE_COUNTS = BYTES_AHEAD / 2;
/** Results that wait to be read. */
const MAX_UNREAD = 1024;

export class FolderFetch {
  readonly #options: FetchAllOptions;
  readonly #listing: Listing;
  readonly #transfer: FileTransfer;
  readonly #attempts: Attempts;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #bytes = new Semaphore(BYTES_AHEAD);
  readonly #unread = new Semaphore(MAX_UNREAD);
  readonly #files: Iterator<FileMatch>;
  /** Those that a round did not settle. */
  readonly #again: FileMatch[] = [];
  /** Those that a connection broke over: each is tried by itself, so that none takes another's blame. */
  readonly #suspects: FileMatch[] = [];
  readonly #ended: Promise<void>;
  #done: FetchedFile[] = [];
  #wake: () => void = () => undefined;
  #over = false;
  /** Why nothing more can be fetched. */
  #error: Error | undefined;
  /** Files that came to an end, good, bad or suspect, and bytes that came: what counts as progress. */
  #settled = 0;
  #received = 0;

  constructor(peer: Peer, listing: Listing, output: OutputFolder, options: FetchAllOptions) {
    this.#options = options;
    this.#listing = listing;
    this.#files = listing.files();
    const stop = this.#stop.signal;
    const signal = signalOf(options);
    this.#signal = signal === undefined ? stop : AbortSignal.any([signal, stop]);
    this.#attempts = new Attempts(() => this.#settled);
    this.#transfer = new FileTransfer(peer, output, {
      ...options,
      onBytes: (bytes) => {
        this.#received += bytes;
        options.onBytes?.(bytes);
      },
    });
    this.#ended = this.#run();
  }

  async *results(): AsyncGenerator<FetchedFile, void, void> {
    for (;;) {
      const results = this.#done;
      this.#done = [];
      for (const result of results) {
        this.#unread.give(1);
        yield result;
      }
      if (this.#done.length > 0) continue;
      if (this.#over) break;
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
    if (this.#error !== undefined) throw this.#error;
  }

  /** Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#unread.give(Infinity);
    await this.#ended;
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    try {
      await retrying(
        () => this.#round(),
        () => this.#settled + this.#received,
        { ...this.#options, signal: this.#signal },
      );
    } catch (error) {
      this.#error = asError(error);
    }
    this.#over = true;
    this.#wake();
  }

  /** Settle all files. @throws what makes it useless to continue; files that were under way come again */
  async #round(): Promise<void> {
    const failed = new AbortController();
    const signal = AbortSignal.any([this.#signal, failed.signal]);
    let error: { thrown: unknown } | undefined;
    const lane = async (next: () => FileMatch | undefined, alone: boolean): Promise<void> => {
      for (let file = next(); file !== undefined; file = next()) {
        try {
          if (signal.aborted) throw abortError(signal);
          await this.#settle(file, signal, alone);
        } catch (thrown) {
          this.#again.push(file);
          error ??= { thrown };
          failed.abort();
          return;
        }
      }
    };
    await Promise.all(Array.from({ length: LANES }, () => lane(() => this.#next(), false)));
    if (error === undefined) await lane(() => this.#suspects.pop(), true);
    if (error !== undefined) throw error.thrown;
  }

  #next(): FileMatch | undefined {
    const next = this.#files.next();
    return next.done === true ? this.#again.pop() : next.value;
  }

  async #settle(match: FileMatch, signal: AbortSignal, alone: boolean): Promise<void> {
    const file = this.#listing.nameOf(match);
    const count = match.size <= SMALL_BYTES ? match.size : LARGE_COUNTS;
    await this.#bytes.take(count);
    let held = count;
    const onReceived = (): void => {
      this.#bytes.give(held);
      held = 0;
    };
    let result: FetchedFile;
    try {
      const status = await this.#fetch(file, match, signal, { alone, onReceived });
      result = { ...match, file, status };
    } catch (error) {
      if (error instanceof Suspect) {
        this.#suspects.push(match);
        this.#settled++;
        return;
      }
      if (endsAll(error)) throw error;
      result = { ...match, file, status: 'failed', error: asError(error) };
    } finally {
      onReceived();
    }
    this.#settled++;
    await this.#unread.take(1);
    this.#done.push(result);
    this.#wake();
  }

  async #fetch(
    file: string,
    match: FileMatch,
    signal: AbortSignal,
    { alone, onReceived }: { alone: boolean; onReceived: () => void },
  ): Promise<FetchResult> {
    const looked = await this.#transfer.look(file, match, signal);
    if (looked === 'there') return 'there';
    const { sourceOf } = this.#options;
    if (sourceOf === undefined || match.size <= SMALL_BYTES) {
      try {
        await this.#attempts.persist(
          (onHead) => this.#transfer.fetch(file, match, signal, { looked, onHead, onReceived }),
          signal,
          alone,
        );
        return 'fetched';
      } catch (error) {
        if (sourceOf === undefined || !(error instanceof PeerError) || signal.aborted) throw error;
        // Others may have it.
      }
    }
    const { source, close } = sourceOf(match);
    try {
      await this.#attempts.persist(
        (onHead) =>
          this.#transfer.fetchFrom(source, file, match, signal, { looked, onHead, onReceived }),
        signal,
        alone,
      );
    } finally {
      close();
    }
    return 'fetched';
  }
}

const LOST = new Set(['ERR_ABORTED', 'ERR_UNREACHABLE', 'ERR_TIMED_OUT', 'ERR_NOT_A_PEER']);
const DISK_ENDS = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO']);

/** Whether the next file would fare no better. */
function endsAll(error: unknown): boolean {
  if (error instanceof PeerError) return error instanceof ConnectionLost || LOST.has(error.code);
  const code = systemCode(error);
  return code === undefined || DISK_ENDS.has(code) || isShortage(code);
}
