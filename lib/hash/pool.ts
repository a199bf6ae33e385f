/**
 * Hash files on all cores: many small ones in batches, the blocks of a large one on every worker.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import type { FileIdentity } from '../disk/open.js';
import { BLOCK_BYTES, blockCount } from '../wire/body.js';
import { HASH_BYTES } from '../wire/limits.js';
import type { HashOutcome } from './file.js';
import { packPaths, unpackOutcomes, type PackedOutcomes } from './packed.js';
import type { Task } from './worker.js';

/** Blocks of a large file that one worker takes at a time: 32 MiB. */
const PART_BLOCKS = 128;
/** Files up to this size are hashed whole by one worker. */
export const SMALL_BYTES = PART_BLOCKS * BLOCK_BYTES;
/** A batch ends at this many files or bytes, whichever comes first. */
export const BATCH_FILES = 128;
export const BATCH_BYTES = 8 * 1024 * 1024;

export class HashPool {
  /** Undefined: this thread does it. */
  readonly #pool: Piscina<Task, PackedOutcomes | HashOutcome> | undefined;

  /**
   * @param threads number of workers; default: one per core; 0: this thread does it, and nothing else
   * @param background whether other threads go first
   */
  constructor(threads = availableParallelism(), background = false) {
    if (threads === 0) return;
    const entry = background ? './background-worker.js' : './worker.js';
    this.#pool = new Piscina<Task, PackedOutcomes | HashOutcome>({
      filename: fileURLToPath(new URL(entry, import.meta.url)),
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: 10_000,
      // A worker that waits in Atomics.wait cannot be told of an abort; messages are fast enough.
      atomics: 'disabled',
      // Flags and loaders of the main thread are none of the workers' business.
      execArgv: [],
    });
  }

  /** Number of workers; keep about twice as many batches under way. */
  get threads(): number {
    return this.#pool?.maxThreads ?? 1;
  }

  /** Start the workers now, rather than with the first jobs. */
  start(): void {
    for (let i = 0; i < this.threads; i++) this.hashBatch('', []).catch(() => undefined);
  }

  /** Hash whole files, one after the other, on one worker. */
  async hashBatch(root: string, paths: readonly string[]): Promise<HashOutcome[]> {
    const outcomes = await this.#run({ root, paths: packPaths(paths) });
    if ('status' in outcomes) throw new TypeError('an answer to something else');
    return unpackOutcomes(outcomes);
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
  ): Promise<HashOutcome> {
    const blocks = blockCount(expect.size);
    const blockHashes = new Uint8Array(blocks * HASH_BYTES);
    let next = 0;
    let bad: HashOutcome | undefined;
    const takeParts = async (): Promise<void> => {
      while (next < blocks && bad === undefined) {
        const first = next;
        const count = Math.min(PART_BLOCKS, blocks - first);
        next += count;
        const outcome = await this.#run({ root, part: { path, first, count, expect } });
        if (!('status' in outcome)) throw new TypeError('an answer to something else');
        if (outcome.status !== 'hashed') {
          bad ??= outcome;
          return;
        }
        blockHashes.set(outcome.blockHashes, first * HASH_BYTES);
        onBytes(Math.min(count * BLOCK_BYTES, expect.size - first * BLOCK_BYTES));
      }
    };
    // Two takers a worker, so that the next part is there when one ends.
    await Promise.all(Array.from({ length: this.threads * 2 }, takeParts));
    return bad ?? { status: 'hashed', identity: expect, blockHashes };
  }

  /** Stop the workers. Jobs under way are rejected. */
  async close(): Promise<void> {
    await this.#pool?.destroy();
  }

  async #run(task: Task): Promise<PackedOutcomes | HashOutcome> {
    if (this.#pool !== undefined) return this.#pool.run(task);
    // Loaded only where it is used.
    const { default: run } = await import('./worker.js');
    return run(task);
  }
}
