/** Watch the share's folder in a thread of its own, so that a busy event loop loses nothing. */
import { Worker } from 'node:worker_threads';
import type { FilterOptions } from './filter.js';
import type { Seen, WatchFailure, WatchMessage } from './watch-worker.js';

export type { Seen, WatchFailure } from './watch-worker.js';

export interface WatcherOwner {
  /** Changes from now on are seen. */
  onWatching(folders: number): void;
  /** Names were touched, and this is what stands there now. `burst`: some may have been lost. */
  onSeen(seen: readonly Seen[], burst: boolean): void;
  /** Some folder cannot be watched, or the watch as a whole ended. */
  onWatchError(failure: WatchFailure): void;
  /** The thread died, and why: nothing is seen any more. */
  onWatchDied(why: string): void;
}

export class Watcher {
  readonly #worker: Worker;
  #closed = false;

  constructor(root: string, filter: FilterOptions, owner: WatcherOwner) {
    this.#worker = new Worker(new URL('./watch-worker.js', import.meta.url), {
      workerData: { root, dotfiles: filter.dotfiles, ignore: filter.ignore },
      execArgv: [],
    });
    this.#worker.on('message', (message: WatchMessage) => {
      if (this.#closed) return;
      switch (message.type) {
        case 'ready':
          owner.onWatching(message.folders);
          break;
        case 'seen':
          owner.onSeen(message.seen, message.burst);
          break;
        case 'error':
          owner.onWatchError(message.failure);
      }
    });
    const died = (why: string): void => {
      if (this.#closed) return;
      this.#closed = true;
      owner.onWatchDied(why);
    };
    this.#worker.on('error', (error) => {
      died(error.message);
    });
    this.#worker.on('exit', (code) => {
      died(`exit code ${code}`);
    });
  }

  /** Names were lost, perhaps: see that every folder has its watch. */
  complete(): void {
    this.#worker.postMessage('complete');
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker.terminate();
  }
}
