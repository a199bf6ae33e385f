/**
 * Compare blocks with their hashes in another thread, beside the one that receives them: to hash a byte
 * costs as much as to receive it. The blocks, and the hashes that they must have, lie in memory that both
 * threads see, and a message says no more than which of them: to copy them would cost as much again.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { hashBlock } from './blake3.js';
import { SharedRun } from './shared-run.js';
import type { ReceivedBlock } from './verifier.js';

/** Blocks that are compared here before a thread is started: to start one costs as much as to hash them. */
const HERE = 64;

/** A run that will be used, or is not any more. */
export type RunMessage =
  | { readonly id: number; readonly memory: SharedArrayBuffer }
  | { readonly id: number; readonly memory: undefined };

/** Blocks of a run to compare. Answered, in order, by how many are right, from the first. */
export interface CheckMessage {
  readonly id: number;
  readonly first: number;
  readonly count: number;
}

interface Waiting {
  readonly blocks: readonly ReceivedBlock[];
  readonly resolve: (right: number) => void;
}

export class BlockChecker {
  #here = 0;
  #worker: Worker | undefined;
  /** The thread has said that it is there. */
  #ready = false;
  /** There is none, it could not be started, or it died: all is compared here. */
  #alone = availableParallelism() === 1;
  readonly #waiting: Waiting[] = [];
  readonly #runs = new Set<SharedRun>();
  #nextId = 0;

  /** Memory for RUN_BLOCKS blocks. `forget` it in the end. */
  makeRun(): SharedRun {
    const run = new SharedRun(this.#nextId++);
    this.#runs.add(run);
    this.#tell(run.id, run.shared);
    return run;
  }

  /** A run is not used any more, and no check of it is under way. */
  forget(run: SharedRun): void {
    this.#runs.delete(run);
    this.#tell(run.id, undefined);
  }

  /**
   * Compare blocks that lie one behind the other in a run. Calls are answered in order.
   *
   * @param first the place of the first of them in the run, in blocks
   * @returns how many are right, from the first: all of them, or the number of the first that is wrong
   */
  check(run: SharedRun, first: number, blocks: readonly ReceivedBlock[]): Promise<number> {
    const worker = this.#worker;
    if (worker === undefined || !this.#ready) {
      this.#here += blocks.length;
      if (this.#here >= HERE && worker === undefined && !this.#alone) this.#start();
      return Promise.resolve(countRight(blocks));
    }
    for (const [i, { whole, hash }] of blocks.entries()) run.expect(first + i, whole.length, hash);
    return new Promise((resolve) => {
      // While it has something to do, the process does not end.
      if (this.#waiting.length === 0) worker.ref();
      this.#waiting.push({ blocks, resolve });
      const message: CheckMessage = { id: run.id, first, count: blocks.length };
      worker.postMessage(message);
    });
  }

  #start(): void {
    // Flags and loaders of the main thread are none of its business.
    const worker = new Worker(new URL('./block-checker-worker.js', import.meta.url), {
      execArgv: [],
    });
    this.#worker = worker;
    worker.unref();
    worker.on('message', (answer: 'ready' | number) => {
      if (answer === 'ready') this.#ready = true;
      else this.#waiting.shift()?.resolve(answer);
      if (this.#waiting.length === 0) worker.unref();
    });
    // Without it everything is as before, but slower.
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      this.#alone = true;
      this.#ready = false;
      this.#worker = undefined;
      for (const { blocks, resolve } of this.#waiting.splice(0)) resolve(countRight(blocks));
    });
    for (const { id, shared } of this.#runs) this.#tell(id, shared);
  }

  #tell(id: number, memory: SharedArrayBuffer | undefined): void {
    const message: RunMessage = { id, memory };
    this.#worker?.postMessage(message);
  }
}

/** One for all fetches of this process. */
export const blockChecker = new BlockChecker();

function countRight(blocks: readonly ReceivedBlock[]): number {
  const wrong = blocks.findIndex(({ whole, hash }) => Buffer.compare(hashBlock(whole), hash) !== 0);
  return wrong === -1 ? blocks.length : wrong;
}
