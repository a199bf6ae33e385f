/**
 * Looks at what stands at a path: now, or later, for files that are being written, and those that keep
 * changing while they are hashed.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { readable } from '../disk/open.js';
import { DelayQueue } from './delay-queue.js';
import type { NotFolder, ShareFilter } from './filter.js';

export interface PathCheckerOptions {
  /** The shared folder, resolved. */
  root: string;
  filter: ShareFilter;
  /** Ends everything. */
  signal: AbortSignal;
}

export interface PathCheckerOwner {
  /** @param attempts times in a row that the file was found changing */
  onChecked(path: string, there: NotFolder, attempts: number): void;
  /** A file has changed so often that nobody waits for it any more. */
  onNeverQuiet(path: string): void;
  /** All that were due have been looked at. */
  onStep(): void;
}

/** Milliseconds a file must not have been written to before it is hashed. */
export const QUIET = 100;
/** The longest pause before a file that keeps changing is looked at again. */
const MAX_PAUSE = 10_000;
/** How often in a row a file may change under the hasher before that is said. */
const MAX_ATTEMPTS = 5;
/** Files looked at at the same time. */
const CONCURRENCY = 16;

export class PathChecker {
  readonly #options: PathCheckerOptions;
  readonly #owner: PathCheckerOwner;
  /** Files to look at again, and how often in a row each was found changing. */
  readonly #scheduled: DelayQueue<number>;
  /** Of these, those for which others wait: found changing, but not too often. */
  readonly #changing = new Set<string>();

  constructor(options: PathCheckerOptions, owner: PathCheckerOwner) {
    this.#options = options;
    this.#owner = owner;
    this.#scheduled = new DelayQueue((due) => {
      for (const path of due.keys()) this.#changing.delete(path);
      return this.#checkAll(due);
    });
  }

  /** Whether no file is waited for. */
  get isIdle(): boolean {
    return this.#changing.size === 0;
  }

  async check(paths: Iterable<string>): Promise<void> {
    await this.#checkAll(Array.from(paths, (path) => [path, 0]));
  }

  /** @param pause in milliseconds */
  schedule(path: string, pause: number, attempts = 0): void {
    if (attempts === MAX_ATTEMPTS) this.#owner.onNeverQuiet(path);
    this.#scheduled.add(path, pause, attempts);
    if (attempts > 0 && attempts < MAX_ATTEMPTS) this.#changing.add(path);
    else this.#changing.delete(path);
  }

  /** A file has changed while it was hashed, so often in a row. */
  retryWhenQuiet(path: string, attempts: number): void {
    this.schedule(path, Math.min(MAX_PAUSE, QUIET * 2 ** attempts), attempts);
  }

  /** Nobody can tell now: what is short, or broken, may be well again then. */
  retryLater(path: string): void {
    this.schedule(path, MAX_PAUSE, MAX_ATTEMPTS + 1);
  }

  cancel(path: string): void {
    this.#scheduled.delete(path);
    this.#changing.delete(path);
  }

  close(): void {
    this.#scheduled.close();
  }

  async #checkAll(paths: Iterable<readonly [path: string, attempts: number]>): Promise<void> {
    const next = paths[Symbol.iterator]();
    const known = new Map<string, boolean>();
    const lookSome = async (): Promise<void> => {
      for (let step = next.next(); step.done !== true; step = next.next()) {
        const [path, attempts] = step.value;
        const there = await this.#stat(path, known);
        if (this.#options.signal.aborted) return;
        if (there.kind === 'nothing' && there.isUnsure === true) this.retryLater(path);
        else this.#owner.onChecked(path, there, attempts);
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, lookSome));
    this.#owner.onStep();
  }

  async #stat(path: string, known: Map<string, boolean>): Promise<NotFolder> {
    const { root, filter } = this.#options;
    const full = join(root, path);
    try {
      const there = await lstat(full, { bigint: true });
      return filter.classify(path, there, await readable(full, there), known);
    } catch (error) {
      return filter.classifyError(path, error);
    }
  }
}
