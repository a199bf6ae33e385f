/**
 * A watch for each folder that is shared: chokidar, told of every one of them. By itself it would look at
 * every file of a folder, at the start and whenever something happens in it.
 */
import { lstatSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { FSWatcher } from 'chokidar';
import type { ShareFilter } from './filter.js';

export interface FolderWatcherOwner {
  /** Something happened to an entry of a folder, or to the folder. */
  onTouched(path: string): void;
  onError(thrown: unknown): void;
}

/** Milliseconds until a folder that came, went and came again is looked at once more. */
const RETRY_DELAY = 200;
/** Milliseconds that folders may take to be watched, when nothing happens meanwhile. */
const START_TIMEOUT = 1000;
/** Folders looked at in one turn of the loop. */
const FOLDERS_PER_TURN = 50;

/** `_readdirp` is private: package.json names the one version of chokidar for which this is right. */
class UnlistedWatcher extends FSWatcher {
  override _readdirp(): undefined {
    return undefined;
  }
}

export class FolderWatcher {
  readonly #root: string;
  readonly #filter: ShareFilter;
  readonly #owner: FolderWatcherOwner;
  readonly #watcher = new UnlistedWatcher({
    followSymlinks: false,
    atomic: false,
    ignorePermissionErrors: true,
  });
  /** Folders that are watched, and their inodes; and those that will be in a moment. */
  readonly #folders = new Map<string, bigint>();
  readonly #pending = new Set<string>();
  #ready = false;

  constructor(root: string, filter: ShareFilter, owner: FolderWatcherOwner) {
    this.#root = root;
    this.#filter = filter;
    this.#owner = owner;
    this.#watcher.on('raw', (_event, entry, details: unknown) => {
      const folder = relative(root, (details as { watchedPath?: string }).watchedPath ?? root);
      owner.onTouched(typeof entry === 'string' && entry !== '' ? join(folder, entry) : folder);
    });
    this.#watcher.on('addDir', (path) => {
      const folder = relative(root, path);
      this.#pending.delete(folder);
      // The watch is set right after this.
      if (this.#ready)
        setImmediate(() => {
          owner.onTouched(folder);
        });
    });
    this.#watcher.on('unlinkDir', (path) => {
      const folder = relative(root, path);
      this.#folders.delete(folder);
      this.#pending.delete(folder);
    });
    this.#watcher.on('error', (thrown) => {
      owner.onError(thrown);
    });
  }

  get closed(): boolean {
    return this.#watcher.closed;
  }

  /** Watch all folders. @returns their number */
  async start(): Promise<number> {
    await this.watchAll();
    await this.#allWatched();
    this.#ready = true;
    return this.#folders.size;
  }

  /** See that every folder has its watch. */
  async watchAll(): Promise<void> {
    let count = 0;
    for (const folder of this.folders()) {
      if (this.closed) return;
      const inode = this.#inodeOf(folder);
      if (inode !== undefined) this.watch(folder, inode);
      if (++count % FOLDERS_PER_TURN === 0) await nextTurn();
    }
  }

  /** All folders that are shared, the share's own included. */
  *folders(): Generator<string> {
    const open = [''];
    for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
      const listed = this.#filter.list(folder);
      // Gone, a node's state, or not ours to read: that may change.
      if (!('kind' in listed) || listed.isUnsure !== undefined) yield folder;
      if ('kind' in listed) continue;
      for (const entry of listed) if (entry.isDirectory()) open.push(join(folder, entry.name));
    }
  }

  has(folder: string): boolean {
    return this.#folders.has(folder);
  }

  /**
   * See that a folder is watched, itself and not another that stood at its path.
   *
   * @returns whether it was not: it is touched when it is
   */
  watch(folder: string, inode: bigint): boolean {
    const known = this.#folders.get(folder);
    if (known === inode || this.closed) return false;
    if (known !== undefined) this.forget(folder);
    this.#folders.set(folder, inode);
    this.#pending.add(folder);
    this.#watcher.add(join(this.#root, folder));
    return true;
  }

  /** Watch a folder, and those below it, no longer. */
  forget(folder: string): void {
    if (!this.#folders.has(folder)) return;
    const full = join(this.#root, folder);
    this.#watcher._remove(dirname(full), basename(full), true);
    // It is not done twice in a short time: then again.
    if (this.#folders.has(folder))
      setTimeout(() => {
        this.#owner.onTouched(folder);
      }, RETRY_DELAY);
  }

  close(): void {
    void this.#watcher.close();
  }

  /** A folder's inode; undefined when it is gone, or in a folder that may be listed but not entered. */
  #inodeOf(folder: string): bigint | undefined {
    try {
      const there = lstatSync(join(this.#root, folder), { bigint: true });
      return there.isDirectory() ? there.ino : undefined;
    } catch {
      return undefined;
    }
  }

  /** Resolves when all that are to be watched are; but for those that are gone again. */
  async #allWatched(): Promise<void> {
    for (let left = this.#pending.size; left > 0; left = this.#pending.size) {
      const progress = new Promise((resolve) => this.#watcher.once('addDir', resolve));
      const slow = new AbortController();
      const end = pause(START_TIMEOUT, undefined, { signal: slow.signal }).catch(() => undefined);
      await Promise.race([progress, end]);
      slow.abort();
      if (this.#pending.size === left) return;
    }
  }
}
