/**
 * Fetch everything that a search of one peer finds into a folder: one connection, many requests on the
 * way at once.
 *
 * A file gets its name when all of it is there and verified, never before. What stands there already
 * with the same size and hash is not fetched again; another regular file of that name is replaced.
 */
import { setMaxListeners } from 'node:events';
import { closeSync, write } from 'node:fs';
import { promisify } from 'node:util';
import type { Peer } from '../peer.js';
import { OutputFolder } from '../../disk/output-folder.js';
import { distinctPaths } from '../../disk/safe-name.js';
import { PeerError, abortError, asError, isShortage, systemCode } from '../../errors.js';
import type { RateLimiter } from '../../limits/rate-limiter.js';
import { Semaphore } from '../../limits/semaphore.js';
import { pauseBeforeRetry } from '../sources/source-error.js';
import { pause } from '../../support/backoff.js';
import { isEqualFile } from './equal-file.js';
import { SMALL_BYTES, otherSize } from '../receive/small-body.js';
import type { FileHead, FileMatch } from '../../wire/messages.js';

export interface FetchAllOptions {
  signal?: AbortSignal | undefined;
  /** How fast it may come. @default no limit */
  limit?: RateLimiter | undefined;
  /** Told what the search found, before anything is fetched. */
  onFound?: ((found: { files: number; bytes: number }) => void) | undefined;
  /** Told of bytes that have come and been verified. */
  onBytes?: ((bytes: number) => void) | undefined;
}

/** What became of one file. */
export interface FetchedFile extends FileMatch {
  /** Where it is below the folder, separated by `/`: the peer's path made safe (disk/safe-name.ts). */
  file: string;
  /** `there`: it was there already, with the same bytes. */
  outcome: 'fetched' | 'there' | 'failed';
  /** Why it failed. */
  error?: Error;
}

/** Files that are looked at, asked for and written at the same time. */
const LANES = 128;
/** Bytes of files under way at once, and what a large one counts for: two of them keep the peer busy. */
const BYTES_AHEAD = 4 * 1024 * 1024;
const LARGE_COUNTS = BYTES_AHEAD / 2;
/** Outcomes that wait for who reads them. */
const MAX_OUTCOMES = 1024;
/** Files that a peer may list; all names are held in memory. */
const MAX_FILES = 1_000_000;
/** Times that a connection may break over one file, and without any file coming to its end. */
const TRIES = 3;

/**
 * @param query terms, as in `Peer.search`; '' is every file
 * @param folder made if it is not there; symbolic links in it are not followed
 * @returns each file's outcome, in any order. Leaving the loop stops the rest; files that were not whole
 *   are removed.
 * @throws PeerError ERR_USAGE when `folder` is a file; ERR_ABORTED; ERR_UNREACHABLE, ERR_TIMED_OUT and
 *   the like when the peer is lost; the system's error when the disk is full. What has failed for one
 *   file alone is in its outcome.
 */
export async function* fetchAll(
  peer: Peer,
  query: string,
  folder: string,
  options: FetchAllOptions = {},
): AsyncGenerator<FetchedFile, void, void> {
  const { signal, onFound } = options;
  if (signal?.aborted === true) throw abortError(signal);
  const output = new OutputFolder(folder);
  try {
    const found: FileMatch[] = [];
    let bytes = 0;
    for await (const match of peer.search(query, { signal })) {
      if (found.length === MAX_FILES) {
        throw new PeerError('ERR_TOO_LARGE', `${peer.name} lists more than ${MAX_FILES} files`);
      }
      found.push(match);
      bytes += match.size;
    }
    onFound?.({ files: found.length, bytes });
    const run = new Run(peer, found, output, options);
    try {
      yield* run.outcomes();
    } finally {
      await run.stop();
    }
  } finally {
    output.close();
  }
}

class Run {
  readonly #peer: Peer;
  readonly #output: OutputFolder;
  readonly #files: Iterator<FileMatch>;
  readonly #names: ReadonlyMap<string, string>;
  readonly #onBytes: (bytes: number) => void;
  readonly #limit: RateLimiter | undefined;
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #bytes = new Semaphore(BYTES_AHEAD);
  readonly #unread = new Semaphore(MAX_OUTCOMES);
  readonly #lanes: Promise<void>[];
  /** Lanes that go on. */
  #running: number;
  #outcomes: FetchedFile[] = [];
  #wake: () => void = nothing;
  /** Why nothing more can be fetched. */
  #error: Error | undefined;
  /** Files that came to an end, good or bad. */
  #settled = 0;

  constructor(
    peer: Peer,
    found: readonly FileMatch[],
    output: OutputFolder,
    { signal, limit, onBytes = nothing }: FetchAllOptions,
  ) {
    this.#peer = peer;
    this.#output = output;
    this.#names = distinctPaths(found.map(({ path }) => path));
    this.#files = new Map(found.map((file) => [file.path, file])).values();
    this.#onBytes = onBytes;
    this.#limit = limit;
    const stop = this.#stop.signal;
    this.#signal = signal === undefined ? stop : AbortSignal.any([signal, stop]);
    setMaxListeners(0, this.#signal);
    this.#running = Math.min(LANES, this.#names.size);
    this.#lanes = Array.from({ length: this.#running }, () => this.#lane());
  }

  async *outcomes(): AsyncGenerator<FetchedFile, void, void> {
    for (;;) {
      const outcomes = this.#outcomes;
      this.#outcomes = [];
      for (const outcome of outcomes) {
        this.#unread.give(1);
        yield outcome;
      }
      if (this.#outcomes.length > 0) continue;
      if (this.#running === 0) break;
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
    await Promise.all(this.#lanes);
  }

  /** Never rejects. */
  async #lane(): Promise<void> {
    try {
      for (let next = this.#files.next(); next.done !== true; next = this.#files.next()) {
        if (this.#error !== undefined) break;
        if (this.#signal.aborted) throw abortError(this.#signal);
        const outcome = await this.#fetch(next.value);
        this.#settled++;
        await this.#unread.take(1);
        this.#outcomes.push(outcome);
        this.#wake();
      }
    } catch (error) {
      this.#error ??= asError(error);
      this.#stop.abort();
    }
    this.#running--;
    this.#wake();
  }

  async #fetch(match: FileMatch): Promise<FetchedFile> {
    const file = this.#names.get(match.path) ?? '';
    const count = Math.min(match.size, LARGE_COUNTS);
    await this.#bytes.take(count);
    try {
      if (await this.#isThere(file, match)) return { ...match, file, outcome: 'there' };
      await this.#persist((onHead) =>
        match.size <= SMALL_BYTES
          ? this.#fetchSmall(file, match, onHead)
          : this.#fetchLarge(file, match, onHead),
      );
      return { ...match, file, outcome: 'fetched' };
    } catch (error) {
      if (endsAll(error)) throw error;
      return { ...match, file, outcome: 'failed', error: asError(error) };
    } finally {
      this.#bytes.give(count);
    }
  }

  async #isThere(file: string, match: FileMatch): Promise<boolean> {
    const there = this.#output.existing(file);
    if (there === undefined) return false;
    try {
      return await isEqualFile(there, match, this.#signal);
    } catch (error) {
      throw this.#output.errorAt(file, error);
    } finally {
      closeSync(there.fd);
    }
  }

  async #fetchSmall(file: string, { hash, size }: FileMatch, onHead: OnHead): Promise<void> {
    const bytes = await this.#peer.fetchSmall(hash, size, {
      ...{ signal: this.#signal, limit: this.#limit, onHead },
    });
    this.#onBytes(size);
    this.#output.put(file, bytes);
  }

  async #fetchLarge(file: string, { hash, size }: FileMatch, onHead: OnHead): Promise<void> {
    const part = this.#output.begin(file);
    const sink = {
      write: async (bytes: Uint8Array, position: number): Promise<void> => {
        await writeAll(part.fd, bytes, position).catch((error: unknown) => {
          throw this.#output.errorAt(file, error);
        });
        this.#onBytes(bytes.length);
      },
    };
    try {
      await this.#peer.fetchTo(hash, sink, {
        signal: this.#signal,
        limit: this.#limit,
        onHead: (head) => {
          onHead(head);
          if (head.size !== size) throw otherSize(head.size, size);
        },
      });
    } catch (error) {
      part.discard();
      throw error;
    }
    part.commit();
  }

  /**
   * When a connection breaks, the file that was being sent may be the reason, and fails if it happens
   * again. All others that were asked for are no reason: they are asked for again. So is what the peer
   * was too busy for, later.
   */
  async #persist(attempt: (onHead: OnHead) => Promise<void>): Promise<void> {
    let broken = 0;
    let busy = 0;
    for (let idle = 0; ;) {
      const seen = { begun: false };
      const settled = this.#settled;
      try {
        await attempt(() => {
          seen.begun = true;
        });
        return;
      } catch (error) {
        if (error instanceof PeerError && error.code === 'ERR_BUSY') {
          const milliseconds = pauseBeforeRetry(error, ++busy, false);
          if (milliseconds === undefined) throw error;
          await pause(milliseconds, this.#signal);
          continue;
        }
        if (!breaksConnection(error)) throw error;
        if (seen.begun) {
          // What does not match the hash will not do so the next time.
          if (error.code !== 'ERR_CLOSED' || ++broken === TRIES) throw error;
        } else if (this.#settled > settled) {
          idle = 0;
        } else if (++idle === TRIES) {
          throw new ConnectionLost(error);
        }
      }
    }
  }
}

type OnHead = (head: FileHead) => void;

/** Connections break before anything comes. */
class ConnectionLost extends PeerError {
  constructor({ code, message }: PeerError) {
    super(code, message);
  }
}

function breaksConnection(error: unknown): error is PeerError {
  return (
    error instanceof PeerError &&
    !(error instanceof ConnectionLost) &&
    ['ERR_CLOSED', 'ERR_MISMATCH', 'ERR_MALFORMED'].includes(error.code)
  );
}

const LOST = new Set(['ERR_ABORTED', 'ERR_UNREACHABLE', 'ERR_TIMED_OUT', 'ERR_NOT_A_PEER']);
const DISK_ENDS = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO']);

/** Whether the next file would fare no better. */
function endsAll(error: unknown): boolean {
  if (error instanceof PeerError) return error instanceof ConnectionLost || LOST.has(error.code);
  const code = systemCode(error);
  return code === undefined || DISK_ENDS.has(code) || isShortage(code);
}

const writeAt = promisify(write);

async function writeAll(fd: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await writeAt(fd, bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

function nothing(): void {
  // Nobody wants to know.
}
