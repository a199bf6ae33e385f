/**
 * Hash files on all cores: many small ones in batches, the blocks of a large one on every worker.
 *
 * A worker may die: of lack of memory, or of a file. Another does its work again; a file that ends three
 * workers fails, and the others of its batch do not.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { FileIdentity } from '../disk/open.js';
import { asError } from '../errors.js';
import { BLOCK_BYTES, blockCount } from '../wire/body.js';
import { HASH_BYTES } from '../wire/limits.js';
import type { HashResult } from './file.js';
import { packPaths, unpackResults, type PackedResults } from './packed.js';
import { NoWorkers, WorkerSupervisor } from '../support/worker-supervisor.js';
import type { Task } from './worker.js';

/** Blocks of a large file that one worker takes at a time: 32 MiB. */
const PART_BLOCKS = 128;
/** Files up to this size are hashed whole by one worker. */
export const WHOLE_FILE_BYTES = PART_BLOCKS * BLOCK_BYTES;
/** A batch ends at this many files or bytes, whichever comes first. */
export const BATCH_FILES = 128;
export const BATCH_BYTES = 8 * 1024 * 1024;

/** An empty task. */
const EMPTY_TASK: Task = { root: '', paths: packPaths([]) };

/** Attempts at a job whose worker dies. */
const MAX_ATTEMPTS = 3;

/** The code of a file that cannot be hashed because the workers that try it die. */
export const WORKER_DIED = 'ERR_WORKER_DIED';

export interface HashPoolOptions {
  /** Number of workers; 0: this thread hashes, and does nothing else meanwhile. @default one per core */
  threads?: number | undefined;
  /** Whether other threads have priority. @default false */
  background?: boolean | undefined;
  /** Another entry for the workers, for tests. */
  entry?: URL | undefined;
}

export class HashPool implements AsyncDisposable {
  /** Undefined: this thread hashes. */
  readonly #pool: Piscina<Task, PackedResults | HashResult> | undefined;
  readonly #supervisor: WorkerSupervisor<Task, PackedResults | HashResult> | undefined;
  #closed = false;

  constructor({
    threads = availableParallelism(),
    background = false,
    entry = new URL(background ? './background-worker.js' : './worker.js', import.meta.url),
  }: HashPoolOptions = {}) {
    if (threads === 0) return;
    const pool = new Piscina<Task, PackedResults | HashResult>({
      filename: fileURLToPath(entry),
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: 10_000,
      // A worker that waits in Atomics.wait cannot be told of an abort; messages are fast enough.
      atomics: 'disabled',
      // Flags and loaders of the main thread are none of the workers' business.
      execArgv: [],
    });
    this.#pool = pool;
    this.#supervisor = new WorkerSupervisor(pool, EMPTY_TASK);
  }

  /** Number of workers. Twice as many batches under way keep them busy. */
  get threads(): number {
    return this.#pool?.maxThreads ?? 1;
  }

  /** Start the workers now, rather than with the first jobs. */
  start(): void {
    for (let i = 0; i < this.threads; i++) this.hashBatch('', []).catch(() => undefined);
  }

  /**
   * Hash whole files, one after the other, on one worker.
   *
   * @throws Error when the pool is closed, or no worker can be started
   */
  async hashBatch(root: string, paths: readonly string[]): Promise<HashResult[]> {
    const first = await this.#try({ root, paths: packPaths(paths) });
    if (!('died' in first)) return resultsOf(first);
    // One of them may be the cause: each is hashed by itself, so that the others do not fail.
    const results: HashResult[] = [];
    for (const path of paths) {
      const single = await this.#runRetried({ root, paths: packPaths([path]) }, MAX_ATTEMPTS - 1);
      results.push(...('status' in single ? [single] : resultsOf(single)));
    }
    return results;
  }

  /**
   * Hash one file in parts, on all workers at once.
   *
   * @param onBytes told how many bytes each finished part had
   */
  async hashLarge(
    root: string,
    path: string,
    expect: FileIdentity,
    onBytes: (bytes: number) => void,
  ): Promise<HashResult> {
    const blocks = blockCount(expect.size);
    const blockHashes = new Uint8Array(blocks * HASH_BYTES);
    let next = 0;
    let bad: HashResult | undefined;
    const takeParts = async (): Promise<void> => {
      while (next < blocks && bad === undefined) {
        const first = next;
        const count = Math.min(PART_BLOCKS, blocks - first);
        next += count;
        const result = await this.#runRetried(
          { root, part: { path, first, count, expect } },
          MAX_ATTEMPTS,
        );
        if (!('status' in result)) throw new TypeError('an answer to something else');
        if (result.status !== 'hashed') {
          bad ??= result;
          return;
        }
        blockHashes.set(result.blockHashes, first * HASH_BYTES);
        onBytes(Math.min(count * BLOCK_BYTES, expect.size - first * BLOCK_BYTES));
      }
    };
    // Two for each worker, so that the next part waits when one ends.
    await Promise.all(Array.from({ length: this.threads * 2 }, takeParts));
    return bad ?? { status: 'hashed', identity: expect, blockHashes };
  }

  /** Stop the workers. Jobs under way are rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#supervisor?.close();
    await this.#pool?.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Do a task, with a new worker when one dies of it. */
  async #runRetried(task: Task, attempts: number): Promise<PackedResults | HashResult> {
    for (let left = attempts; ; left--) {
      const result = await this.#try(task);
      if (!('died' in result)) return result;
      if (left === 1) return { status: 'failed', code: WORKER_DIED, message: result.died };
    }
  }

  /**
   * @returns the result, or why the worker died
   * @throws Error when the pool is closed, or no worker can be started
   */
  async #try(task: Task): Promise<PackedResults | HashResult | { died: string }> {
    try {
      if (this.#supervisor !== undefined) return await this.#supervisor.run(task);
      // Loaded only when used.
      const { default: run } = await import('./worker.js');
      return run(task);
    } catch (error) {
      if (this.#closed || error instanceof NoWorkers) throw error;
      return { died: asError(error).message };
    }
  }
}

function resultsOf(packed: PackedResults | HashResult): HashResult[] {
  if ('status' in packed) throw new TypeError('an answer to something else');
  return unpackResults(packed);
}
