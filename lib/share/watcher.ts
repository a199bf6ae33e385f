/**
 * Watch the share's folder, in a thread of its own, so that a busy event loop loses nothing. When the
 * thread dies another takes its place, but not for ever.
 */
import { SupervisedThread } from '../support/supervised-thread.js';
import type { FilterOptions } from './filter.js';
import type { Seen, WatchFailure, WatchMessage } from './watch-worker.js';

export type { Seen } from './watch-worker.js';

export interface WatcherOwner {
  /** Changes from now on are seen. */
  onWatching(folders: number): void;
  /** Names were touched, and this is what stands there now. `burst`: some may have been lost. */
  onSeen(seen: readonly Seen[], burst: boolean): void;
  /** The watch begins again: something may have been missed. */
  onRestart(why: string): void;
  /** The folder, or a part of it, cannot be watched: nothing is seen any more. */
  onFailed(why: string): void;
}

export class Watcher {
  readonly #filter: FilterOptions;
  readonly #owner: WatcherOwner;
  #thread: SupervisedThread<WatchMessage> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(filter: FilterOptions, owner: WatcherOwner) {
    this.#filter = filter;
    this.#owner = owner;
  }

  /** @param delay milliseconds until then */
  start(delay = 0): void {
    if (delay > 0) {
      this.#timer = setTimeout(() => {
        this.start();
      }, delay);
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#thread = new SupervisedThread<WatchMessage>({
      entry: new URL('./watch-worker.js', import.meta.url),
      data: this.#filter,
      onMessage: (message) => {
        switch (message.type) {
          case 'ready':
            this.#owner.onWatching(message.folders);
            break;
          case 'seen':
            this.#owner.onSeen(message.seen, message.burst);
            break;
          case 'error':
            this.#fail(reasonOf(message.failure));
        }
      },
      onDeath: ({ message: why }, restarts) => {
        if (restarts) this.#owner.onRestart(why);
        else this.#fail(`the folder cannot be watched (the thread that does it dies: ${why})`);
      },
    });
  }

  /** Wait no longer before the start. */
  startNow(): void {
    if (this.#timer !== undefined) this.start();
  }

  /** Names were lost, perhaps: see that every folder has its watch. */
  checkWatches(): void {
    this.#thread?.post('complete');
  }

  /** Watch no longer; it may be started again. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.close();
  }

  #fail(why: string): void {
    void this.stop();
    this.#owner.onFailed(why);
  }
}

function reasonOf({ code, message, folders, limit }: WatchFailure): string {
  if (folders === undefined) return `the folder cannot be watched (${message})`;
  return (
    `${folders} folders need a watch each (${code}): raise fs.inotify.max_user_watches ` +
    `(${limit ?? 'unknown'} for all programs)`
  );
}
