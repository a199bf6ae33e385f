/**
 * Hash files on all cores: many small ones in batches, the blocks of a large one on every worker.
 *
 * A worker may die: of lack of memory, or of a file. Another does its work again. A file fails when three
 * workers have died while they hashed it: a worker that has not begun a file yet does not die of it.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { FileIdentity } from '../disk/open.js';
import { asError } from '../errors.js';
import { BLOCK_BYTES, blockCount } from '../wire/body.js';
import { HASH_BYTES } from '../wire/limits.js';
import type { HashJob, HashResult } from './file.js';
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

/** Workers that may die of one file; and in a row with a task before they have begun it. */
const MAX_DEATHS = 3;
const MAX_UNBEGUN = 100;

/** The code of a file that cannot be hashed because the workers that try it die. */
export const WORKER_DIED = 'ERR_WORKER_DIED';

/** Why a worker died, and which file of its task it was hashing. */
interface Death {
  died: string;
  file: number;
}

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
    this.#supervisor = new WorkerSupervisor(pool, batchOf('', []));
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
    const deaths = new Map<string, number>();
    const failed = new Map<string, HashResult>();
    for (let left = paths; ; left = left.filter((path) => !failed.has(path))) {
      const result = await this.#run(batchOf(root, left));
      if (!('died' in result)) {
        const hashed = resultsOf(result);
        let next = 0;
        return paths.flatMap((path) => failed.get(path) ?? hashed[next++] ?? []);
      }
      const path = left[result.file] ?? '';
      const count = (deaths.get(path) ?? 0) + 1;
      deaths.set(path, count);
      if (count === MAX_DEATHS) failed.set(path, diedOf(result));
    }
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
        const result = await this.#hashPart(root, { path, first, count, expect });
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

  async #hashPart(root: string, part: HashJob): Promise<PackedResults | HashResult> {
    for (let deaths = 1; ; deaths++) {
      const result = await this.#run({ root, part, begun: newCounter() });
      if (!('died' in result)) return result;
      if (deaths === MAX_DEATHS) return diedOf(result);
    }
  }

  /**
   * Do a task; another worker does it when one dies before it has begun.
   *
   * @throws Error when the pool is closed, or no worker can be started
   */
  async #run(task: Task): Promise<PackedResults | HashResult | Death> {
    for (let unbegun = 1; ; unbegun++) {
      const result = await this.#try(task);
      if (!('died' in result)) return result;
      const begun = Atomics.load(task.begun, 0);
      if (begun > 0) return { died: result.died, file: begun - 1 };
      if (unbegun === MAX_UNBEGUN) throw new NoWorkers(result.died);
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

function diedOf({ died }: Death): HashResult {
  return { status: 'failed', code: WORKER_DIED, message: died };
}

function batchOf(root: string, paths: readonly string[]): Task {
  return { root, paths: packPaths(paths), begun: newCounter() };
}

function newCounter(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
}
