/**
 * Compare blocks with their hashes in another thread, beside the one that receives them: to hash a byte
 * costs as much as to receive it. The blocks, and the hashes that they must have, lie in memory that both
 * threads see, and a message says no more than which of them: to copy them would cost as much again.
 */
import { availableParallelism } from 'node:os';
import { Thread } from '../../support/thread.js';
import { hashBlock } from '../../hash/blake3.js';
import { SharedRun } from './shared-run.js';
import type { ReceivedBlock } from './body-verifier.js';

/** Blocks that are compared here before a thread is started: for a short fetch it is not worth it. */
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

export class BlockChecker {
  #here = 0;
  /** Once it has died, and with one core, all is compared here. */
  #thread: Thread<CheckMessage, number> | undefined;
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
  async check(run: SharedRun, first: number, blocks: readonly ReceivedBlock[]): Promise<number> {
    if (this.#thread?.ready !== true) {
      this.#here += blocks.length;
      if (this.#here >= HERE && this.#thread === undefined) this.#start();
      return countRight(blocks);
    }
    for (const [i, { whole, hash }] of blocks.entries()) run.expect(first + i, whole.length, hash);
    const right = await this.#thread.ask({ id: run.id, first, count: blocks.length });
    return right ?? countRight(blocks);
  }

  #start(): void {
    if (availableParallelism() === 1) return;
    this.#thread = new Thread(new URL('./block-checker-worker.js', import.meta.url));
    for (const { id, shared } of this.#runs) this.#tell(id, shared);
  }

  #tell(id: number, memory: SharedArrayBuffer | undefined): void {
    const message: RunMessage = { id, memory };
    this.#thread?.tell(message);
  }
}

/** One for all fetches of this process. */
export const blockChecker = new BlockChecker();

function countRight(blocks: readonly ReceivedBlock[]): number {
  const wrong = blocks.findIndex(({ whole, hash }) => Buffer.compare(hashBlock(whole), hash) !== 0);
  return wrong === -1 ? blocks.length : wrong;
}
