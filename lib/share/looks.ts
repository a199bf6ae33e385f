/**
 * Looks at what stands at a path: now, or later, for files that are being written, and those that keep
 * changing while they are hashed.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { readable } from '../disk/open.js';
import { DelayQueue } from './delay-queue.js';
import type { NotFolder, ShareFilter } from './filter.js';

export interface LooksOptions {
  /** The shared folder, resolved. */
  root: string;
  filter: ShareFilter;
  /** Ends everything. */
  signal: AbortSignal;
}

export interface LooksOwner {
  /** @param tries times in a row that the file was found changing */
  onLooked(path: string, there: NotFolder, tries: number): void;
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
const PATIENCE = 5;
/** Files looked at at the same time. */
const AT_ONCE = 16;

export class Looks {
  readonly #options: LooksOptions;
  readonly #owner: LooksOwner;
  /** Files to look at again, and how often in a row each was found changing. */
  readonly #later: DelayQueue<number>;
  /** Of these, those for which others wait: found changing, but not too often. */
  readonly #changing = new Set<string>();

  constructor(options: LooksOptions, owner: LooksOwner) {
    this.#options = options;
    this.#owner = owner;
    this.#later = new DelayQueue((due) => {
      for (const path of due.keys()) this.#changing.delete(path);
      return this.#look(due);
    });
  }

  /** Whether no file is waited for. */
  get isIdle(): boolean {
    return this.#changing.size === 0;
  }

  async now(paths: Iterable<string>): Promise<void> {
    await this.#look(Array.from(paths, (path) => [path, 0]));
  }

  /** @param pause in milliseconds */
  soon(path: string, pause: number, tries = 0): void {
    if (tries === PATIENCE) this.#owner.onNeverQuiet(path);
    this.#later.add(path, pause, tries);
    if (tries > 0 && tries < PATIENCE) this.#changing.add(path);
    else this.#changing.delete(path);
  }

  /** A file has changed while it was hashed, so often in a row. */
  whenQuiet(path: string, tries: number): void {
    this.soon(path, Math.min(MAX_PAUSE, QUIET * 2 ** tries), tries);
  }

  /** Nobody can tell now: what is short, or broken, may be well again then. */
  muchLater(path: string): void {
    this.soon(path, MAX_PAUSE, PATIENCE + 1);
  }

  cancel(path: string): void {
    this.#later.delete(path);
    this.#changing.delete(path);
  }

  close(): void {
    this.#later.close();
  }

  async #look(paths: Iterable<readonly [path: string, tries: number]>): Promise<void> {
    const next = paths[Symbol.iterator]();
    const known = new Map<string, boolean>();
    const lookSome = async (): Promise<void> => {
      for (let step = next.next(); step.done !== true; step = next.next()) {
        const [path, tries] = step.value;
        const there = await this.#stat(path, known);
        if (this.#options.signal.aborted) return;
        if (there.kind === 'nothing' && there.isUnsure === true) this.muchLater(path);
        else this.#owner.onLooked(path, there, tries);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lookSome));
    this.#owner.onStep();
  }

  async #stat(path: string, known: Map<string, boolean>): Promise<NotFolder> {
    const { root, filter } = this.#options;
    const full = join(root, path);
    try {
      const there = await lstat(full, { bigint: true });
      return filter.judge(path, there, await readable(full, there), known);
    } catch (error) {
      return filter.missing(path, error);
    }
  }
}
