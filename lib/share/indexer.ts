/**
 * What was seen in the folder, turned into what the catalog says: what is known is confirmed, what was
 * renamed is adopted, what is new or changed is hashed, what is gone is shown no longer.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { identityOf, readable, sameContent, type FileIdentity } from '../disk/open.js';
import { asError, isReadFault, isShortage } from '../errors.js';
import { WORKER_DIED, type HashPool } from '../hash/pool.js';
import { rootOf, type Tree } from '../hash/tree.js';
import type { Catalog, SharedFile } from './catalog.js';
import { HashQueue } from './hash-queue.js';
import { RenameGrace } from './rename-grace.js';
import { Revisits } from './revisits.js';
import { Quarantine } from './quarantine.js';
import { inSlices } from '../support/time-slicer.js';
import type { ScannedFile } from './walk.js';
import type { Seen } from './watcher.js';

/** How far indexing is. */
export interface Progress {
  /** Files and bytes done, and found in all. */
  files: number;
  bytes: number;
  totalFiles: number;
  totalBytes: number;
  /** Whether the scan has found everything, so that the totals are final. */
  scanned: boolean;
}

/** What was done about a change. */
export interface Change {
  kind: 'added' | 'renamed' | 'changed' | 'removed';
  path: string;
}

export interface IndexerOwner {
  onChange(change: Change): void;
  onProgress(): void;
  onWarning(path: string, reason: string): void;
  onError(error: Error): void;
  /** The shared folder itself was seen gone. */
  onRootGone(): void;
  /** Whether the shared folder is there, so that what is gone is gone for good. */
  isThere(): Promise<boolean>;
  /** Something was dealt with, perhaps the last of all. */
  onStep(): void;
}

/** Milliseconds a file must not have been written to before it is hashed. */
const QUIET = 100;
/** The longest pause before a file that keeps changing is looked at again. */
const MAX_PAUSE = 10_000;
/** How often in a row a file may change under the hasher before that is said. */
const PATIENCE = 5;
/** Files looked at at the same time. */
const LOOKS = 16;

export class Indexer {
  readonly progress: Progress = {
    files: 0,
    bytes: 0,
    totalFiles: 0,
    totalBytes: 0,
    scanned: false,
  };
  readonly #root: string;
  readonly #catalog: Catalog;
  readonly #owner: IndexerOwner;
  readonly #signal: AbortSignal;
  readonly #queue: HashQueue;
  readonly #revisits = new Revisits((due) => this.look(due));
  readonly #aside = new Quarantine();
  readonly #retired = new RenameGrace((paths) => this.#forget(paths));
  /** What was seen, taken in one after the other. */
  #inbox = Promise.resolve();
  #waiting = 0;
  #hashed = 0;

  /**
   * @param root the shared folder, resolved
   * @param signal ends everything
   */
  constructor(
    root: string,
    catalog: Catalog,
    pool: HashPool,
    signal: AbortSignal,
    owner: IndexerOwner,
  ) {
    this.#root = root;
    this.#catalog = catalog;
    this.#signal = signal;
    this.#owner = owner;
    this.#queue = new HashQueue(root, pool, {
      onHashed: (path, identity, tree) => {
        this.#hashed++;
        this.#aside.delete(path);
        const before = catalog.get(path);
        // It was hashed once more, and is what it was.
        if (before !== undefined && isOf(before, identity, tree)) return;
        const known = catalog.knows(path);
        catalog.publishTree(path, identity, tree);
        this.#done(known ? 'changed' : 'added', path);
      },
      onFailed: (path, identity, code) => {
        this.#failed(path, identity, code);
      },
      onChanged: (path, tries) => {
        this.#lookLater(path, Math.min(MAX_PAUSE, QUIET * 2 ** tries), tries);
      },
      // Told after the files: one call a batch.
      onBytes: (bytes) => {
        this.progress.bytes += bytes;
        owner.onProgress();
      },
      onIdle: () => {
        owner.onStep();
      },
      onError: (error) => {
        owner.onError(error);
      },
    });
  }

  /** Files hashed since the start. */
  get hashed(): number {
    return this.#hashed;
  }

  /** Whether everything that was seen has been dealt with, but for files that are never quiet. */
  get idle(): boolean {
    return this.#queue.size === 0 && this.#waiting === 0 && !this.#revisits.someBelow(PATIENCE);
  }

  /** Take what the store knows. */
  restore(): Promise<void> {
    return this.#enqueue(() => this.#inSlices(this.#catalog.restore(), () => undefined));
  }

  /** Forget what the store knew and no scan has seen. */
  forgetUnconfirmed(): Promise<void> {
    return this.#enqueue(() => this.#inSlices(this.#catalog.forgetUnconfirmed(), () => undefined));
  }

  /** A scan saw these files. */
  scanned(files: () => readonly ScannedFile[]): Promise<void> {
    return this.#enqueue(async () => {
      await this.#inSlices(files(), ({ path, identity }) => {
        const toHash = this.#sawFile(path, identity, false);
        if (this.progress.scanned) return;
        this.progress.totalFiles++;
        if (toHash) this.progress.totalBytes += identity.size;
      });
      this.#owner.onProgress();
    });
  }

  /** The watch saw what stands at some paths. */
  async watched(seen: readonly Seen[]): Promise<void> {
    await this.#enqueue(async () => {
      // What appears before what is gone: a renamed file's hash must still be known.
      for (const entry of seen) {
        if (entry.kind === 'folder') await this.#sawFolder(entry.path, entry.files);
      }
      await this.#inSlices(seen, (entry) => {
        if (entry.kind === 'file') this.#sawFile(entry.path, entry.identity, true);
      });
      await this.#inSlices(seen, (entry) => {
        if (entry.kind !== 'gone') return;
        if (entry.path === '') this.#owner.onRootGone();
        else this.#sawNothing(entry.path);
        if (entry.unreadable === true) this.#owner.onWarning(entry.path, 'EACCES; left out');
      });
    });
    this.#owner.onStep();
  }

  /** Resolves when everything seen so far has been taken in. */
  async takenIn(): Promise<void> {
    await this.#inbox;
  }

  /** Look what stands at each of some paths now. */
  async look(paths: Iterable<readonly [path: string, tries: number]>): Promise<void> {
    const next = paths[Symbol.iterator]();
    const lookSome = async (): Promise<void> => {
      for (let step = next.next(); step.done !== true; step = next.next()) {
        if (this.#signal.aborted) return;
        await this.#lookAt(...step.value);
      }
    };
    await Promise.all(Array.from({ length: LOOKS }, lookSome));
    this.#owner.onStep();
  }

  /**
   * Offer a file no longer that was found changed when it was asked for.
   *
   * @param fault the system's code when it cannot be read: then its hash is not believed any more, though
   *   nothing else has changed
   */
  withdraw(file: SharedFile, fault?: string): void {
    const { path, identity } = file;
    if (!this.#isOffered(file)) return;
    this.#remove(path);
    if (fault === undefined) {
      this.#lookLater(path, 0, 0);
      return;
    }
    this.#catalog.forget(path);
    this.#setAside(path, identity, fault);
  }

  /** Hash a file again that may not be what its size and time say. Until then it is offered. */
  verify(file: SharedFile): void {
    if (this.#isOffered(file)) this.#queue.add(file.path, file.identity, false);
  }

  /** Offer a file no longer that is not what its size and time say, and hash it again. */
  distrust(file: SharedFile): void {
    if (!this.#isOffered(file)) return;
    const { path, identity } = file;
    this.#remove(path);
    this.#catalog.forget(path);
    this.#queue.add(path, identity, true);
  }

  async close(): Promise<void> {
    this.#revisits.close();
    this.#retired.close();
    this.#queue.close();
    await this.#inbox;
  }

  /**
   * A regular file stands at a path.
   *
   * @param live what was just written may be written on
   * @returns whether it is to be hashed
   */
  #sawFile(path: string, identity: FileIdentity, live: boolean, tries = 0): boolean {
    switch (this.#catalog.confirm(path, identity)) {
      case 'published':
        this.#done('added', path);
        this.#queue.delete(path);
        return false;
      case 'as before':
        this.#queue.delete(path);
        return false;
      case 'retired':
        // The index never lies: what has changed is not found until it is hashed again.
        this.#retired.add(path);
        break;
      case 'unknown':
    }
    if (this.#aside.holds(path, identity)) return false;
    const hash = this.#catalog.hashOfSameFile(identity);
    if (hash !== undefined) {
      this.#catalog.publish(path, identity, hash);
      this.#done('renamed', path);
      return false;
    }
    const age = Date.now() - Number(identity.mtimeNs / 1_000_000n);
    if (live && age >= 0 && age < QUIET) {
      this.#lookLater(path, QUIET, tries === 0 ? 0 : tries + 1);
    } else {
      this.#queue.add(path, identity, live, tries);
    }
    return true;
  }

  /** Nothing that can be shared stands at a path. */
  #sawNothing(path: string): void {
    this.#aside.delete(path);
    this.#revisits.delete(path);
    this.#queue.delete(path);
    for (const gone of [path, ...this.#catalog.below(path)]) this.#remove(gone);
  }

  /** A folder, and the files that are directly in it. */
  async #sawFolder(folder: string, files: readonly ScannedFile[]): Promise<void> {
    // It may have been a file.
    this.#remove(folder);
    await this.#inSlices(files, ({ path, identity }) => {
      this.#sawFile(path, identity, true);
    });
    const found = new Set(files.map(({ path }) => path));
    for (const path of this.#catalog.directlyIn(folder)) {
      if (!found.has(path)) this.#revisits.add(path, 0, 0);
    }
  }

  async #lookAt(path: string, tries: number): Promise<void> {
    const full = join(this.#root, path);
    const there = await lstat(full, { bigint: true }).catch(() => undefined);
    const shared = there?.isFile() === true && (await readable(full, there));
    if (this.#signal.aborted) return;
    if (shared) this.#sawFile(path, identityOf(there), true, tries);
    else this.#sawNothing(path);
  }

  #failed(path: string, identity: FileIdentity, code: string): void {
    if (isShortage(code)) {
      this.#lookLater(path, MAX_PAUSE, PATIENCE + 1);
      return;
    }
    this.progress.files++;
    this.#retire(path);
    if (isReadFault(code) || code === WORKER_DIED) this.#setAside(path, identity, code);
    // Deleted since it was seen: nothing to say.
    else if (code !== 'ENOENT') this.#owner.onWarning(path, `${code}; left out`);
  }

  #setAside(path: string, identity: FileIdentity, code: string): void {
    const forGood = code === WORKER_DIED;
    if (!this.#aside.add(path, identity, code, forGood)) return;
    const why = forGood ? 'each thread that hashes it dies' : code;
    this.#owner.onWarning(path, `${why}; left out`);
  }

  #lookLater(path: string, pause: number, tries: number): void {
    if (tries === PATIENCE) {
      this.#owner.onWarning(path, 'keeps changing while it is hashed; left out until it is quiet');
      this.progress.files++;
    }
    this.#revisits.add(path, pause, tries);
  }

  #done(kind: Change['kind'], path: string): void {
    this.progress.files++;
    this.#owner.onChange({ kind, path });
  }

  #isOffered({ path, hash }: SharedFile): boolean {
    return this.#catalog.get(path)?.hash === hash;
  }

  #remove(path: string): void {
    if (this.#retire(path)) this.#owner.onChange({ kind: 'removed', path });
  }

  /** Show a file no longer; forget it when it has not turned up under another name after a while. */
  #retire(path: string): boolean {
    if (!this.#catalog.retire(path)) return false;
    this.#retired.add(path);
    return true;
  }

  async #forget(paths: readonly string[]): Promise<void> {
    // Of a share that is gone everything is kept until it is back.
    if (!(await this.#owner.isThere())) return;
    await this.#inSlices(paths, (path) => {
      this.#catalog.forget(path);
    });
  }

  #inSlices<T>(items: Iterable<T>, act: (item: T) => void): Promise<void> {
    return inSlices(items, this.#signal, act);
  }

  /** One after the other. */
  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#waiting++;
    this.#inbox = this.#inbox
      .then(async () => {
        if (!this.#signal.aborted) await work();
      })
      .catch((error: unknown) => {
        this.#owner.onError(asError(error));
      })
      .finally(() => {
        this.#waiting--;
      });
    return this.#inbox;
  }
}

/** Whether a file is what was hashed now. */
function isOf(file: SharedFile, identity: FileIdentity, tree: Tree): boolean {
  const root = Buffer.from(file.hash, 'hex');
  return sameContent(file.identity, identity) && Buffer.compare(root, rootOf(tree)) === 0;
}
