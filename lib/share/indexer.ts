/**
 * What was seen in the folder, turned into what the catalog says: what is known is confirmed, what was
 * renamed is adopted, what is new or changed is hashed, what is gone is shown no longer.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { readable, type FileIdentity } from '../disk/open.js';
import { asError } from '../errors.js';
import type { HashPool } from '../hash/pool.js';
import { inSlices } from '../support/time-slicer.js';
import type { Catalog, SharedFile } from './catalog.js';
import { DelayQueue } from './delay-queue.js';
import type { ShareFilter } from './filter.js';
import { Hashing } from './hashing.js';
import { RenameGrace } from './rename-grace.js';
import type { Found } from './scan.js';
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

export interface IndexerOptions {
  /** The shared folder, resolved. */
  root: string;
  catalog: Catalog;
  pool: HashPool;
  filter: ShareFilter;
  /** Ends everything. */
  signal: AbortSignal;
}

/** Milliseconds a file must not have been written to before it is hashed. */
const QUIET = 100;
/** The longest pause before a file that keeps changing is looked at again. */
const MAX_PAUSE = 10_000;
/** How often in a row a file may change under the hasher before that is said. */
const PATIENCE = 5;
/** Files looked at at the same time. */
const LOOKS = 16;
/** Names of files that tell a node's state folder. */
const STATE_NAME = /(^|\/)(key\.pem(\.new)?|(data|lock)\.mdb)$/;

export class Indexer {
  readonly progress: Progress = {
    files: 0,
    bytes: 0,
    totalFiles: 0,
    totalBytes: 0,
    scanned: false,
  };
  readonly #options: IndexerOptions;
  readonly #owner: IndexerOwner;
  readonly #hashing: Hashing;
  readonly #renameGrace: RenameGrace;
  /** Files to look at again, and how often in a row each was found changing. */
  readonly #revisits: DelayQueue<number>;
  /** Of these, those for which others wait: found changing, but not too often. */
  readonly #changing = new Set<string>();
  /** What was seen, taken in one after the other. */
  #inbox = Promise.resolve();
  #waiting = 0;

  constructor(options: IndexerOptions, owner: IndexerOwner) {
    const { root, catalog, pool, filter, signal } = options;
    this.#options = options;
    this.#owner = owner;
    this.#renameGrace = new RenameGrace(catalog, () => owner.isThere(), signal);
    this.#revisits = new DelayQueue((due) => {
      for (const path of due.keys()) this.#changing.delete(path);
      return this.look(due);
    });
    this.#hashing = new Hashing(root, catalog, pool, {
      onDone: (kind, path) => {
        this.#done(kind, path);
      },
      onLeftOut: (path, reason) => {
        owner.onWarning(path, reason);
      },
      onLost: (path) => {
        this.progress.files++;
        this.#renameGrace.retire(path);
      },
      onUnquiet: (path, tries, isShort) => {
        if (isShort) this.#lookLater(path, MAX_PAUSE, PATIENCE + 1);
        else this.#lookLater(path, Math.min(MAX_PAUSE, QUIET * 2 ** tries), tries);
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
      isSecret: (path) => STATE_NAME.test(path) && filter.isInState(path),
    });
  }

  /** Files hashed since the start. */
  get hashed(): number {
    return this.#hashing.hashed;
  }

  /** Whether everything that was seen has been dealt with, but for files that are never quiet. */
  get idle(): boolean {
    return this.#hashing.isIdle && this.#waiting === 0 && this.#changing.size === 0;
  }

  /** Take what the store knows. */
  restore(): Promise<void> {
    return this.#enqueue(() => this.#inSlices(this.#options.catalog.restore(), () => undefined));
  }

  /** Forget what the store knew and no scan has seen. */
  forgetUnconfirmed(): Promise<void> {
    const { catalog } = this.#options;
    return this.#enqueue(() => this.#inSlices(catalog.forgetUnconfirmed(), () => undefined));
  }

  /** A scan saw these files, left out others, and found some gone. */
  scanned({ files, warnings, gone }: Found): Promise<void> {
    return this.#enqueue(async () => {
      for (const { path, reason } of warnings) this.#hashing.leftOut(path, reason);
      await this.#inSlices(files(), ({ path, identity }) => {
        const toHash = this.#sawFile(path, identity, false);
        if (this.progress.scanned) return;
        this.progress.totalFiles++;
        if (toHash) this.progress.totalBytes += identity.size;
      });
      await this.#inSlices(gone, (path) => {
        this.#sawNothing(path);
      });
      this.#owner.onProgress();
    });
  }

  /** The watch saw what stands at some paths. */
  async watched(seen: readonly Seen[]): Promise<void> {
    await this.#enqueue(async () => {
      // What appears before what is gone: a file that was renamed is not removed and added.
      const gone: string[] = [];
      for (const entry of seen) {
        if (entry.kind === 'folder') gone.push(...(await this.#sawFolder(entry.path, entry.files)));
      }
      await this.#inSlices(seen, (entry) => {
        if (entry.kind === 'file') this.#sawFile(entry.path, entry.identity, true);
      });
      await this.#inSlices(seen, (entry) => {
        if (entry.kind !== 'gone') return;
        if (entry.path === '') this.#owner.onRootGone();
        else this.#sawNothing(entry.path, entry.reason);
      });
      await this.#inSlices(gone, (path) => {
        this.#sawNothing(path);
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
    const known = new Map<string, boolean>();
    const lookSome = async (): Promise<void> => {
      for (let step = next.next(); step.done !== true; step = next.next()) {
        if (this.#options.signal.aborted) return;
        await this.#lookAt(...step.value, known);
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
    this.#options.catalog.forget(path);
    this.#hashing.setAside(path, identity, fault);
  }

  /** Hash a file again that may not be what its size and time say. Until then it is offered. */
  verify(file: SharedFile): void {
    if (this.#isOffered(file)) this.#hashing.verify(file);
  }

  /** Offer a file no longer that is not what its size and time say, and hash it again. */
  distrust(file: SharedFile): void {
    if (!this.#isOffered(file)) return;
    const { path, identity } = file;
    this.#remove(path);
    this.#options.catalog.forget(path);
    this.#hashing.add(path, identity, true);
  }

  async close(): Promise<void> {
    this.#revisits.close();
    this.#renameGrace.close();
    this.#hashing.close();
    await this.#inbox;
  }

  /**
   * A regular file stands at a path.
   *
   * @param live what was just written may be written on
   * @returns whether it is to be hashed
   */
  #sawFile(path: string, identity: FileIdentity, live: boolean, tries = 0): boolean {
    const { catalog } = this.#options;
    switch (catalog.confirm(path, identity)) {
      case 'published':
        this.#done('added', path);
        this.#hashing.cancel(path);
        return false;
      case 'as before':
        this.#hashing.cancel(path);
        return false;
      case 'retired':
        // The index never lies: what has changed is not found until it is hashed again.
        this.#renameGrace.keep(path);
        break;
      case 'unknown':
    }
    if (this.#hashing.isSetAside(path, identity)) return false;
    const hash = catalog.hashOfSameFile(identity);
    if (hash !== undefined) {
      catalog.publish(path, identity, hash);
      this.#done('renamed', path);
      return false;
    }
    const age = Date.now() - Number(identity.mtimeNs / 1_000_000n);
    if (live && age >= 0 && age < QUIET) {
      this.#lookLater(path, QUIET, tries === 0 ? 0 : tries + 1);
    } else {
      this.#hashing.add(path, identity, live, tries);
    }
    return true;
  }

  /** Nothing that can be shared stands at a path. @param reason what the user is to be told */
  #sawNothing(path: string, reason?: string): void {
    this.#revisits.delete(path);
    this.#changing.delete(path);
    this.#hashing.gone(path);
    this.#remove(path);
    for (const below of this.#options.catalog.below(path)) this.#remove(below);
    if (reason !== undefined) this.#hashing.leftOut(path, reason);
  }

  /** A folder, and the files that are directly in it. @returns those that are not there any more */
  async #sawFolder(folder: string, files: readonly ScannedFile[]): Promise<string[]> {
    // It may have been a file.
    this.#remove(folder);
    await this.#inSlices(files, ({ path, identity }) => {
      this.#sawFile(path, identity, true);
    });
    const found = new Set(files.map(({ path }) => path));
    return this.#options.catalog.directlyIn(folder).filter((path) => !found.has(path));
  }

  async #lookAt(path: string, tries: number, known: Map<string, boolean>): Promise<void> {
    const there = await this.#stat(path, known);
    if (this.#options.signal.aborted) return;
    if (there.kind === 'file') this.#sawFile(path, there.identity, true, tries);
    else if (there.isUnsure === true) this.#lookLater(path, MAX_PAUSE, PATIENCE + 1);
    else this.#sawNothing(path, there.reason);
  }

  async #stat(
    path: string,
    known: Map<string, boolean>,
  ): Promise<ReturnType<ShareFilter['judge']>> {
    const { root, filter } = this.#options;
    const full = join(root, path);
    try {
      const there = await lstat(full, { bigint: true });
      return filter.judge(path, there, await readable(full, there), known);
    } catch (error) {
      return filter.missing(path, error);
    }
  }

  #lookLater(path: string, pause: number, tries: number): void {
    if (tries === PATIENCE) {
      this.#owner.onWarning(path, 'keeps changing while it is hashed; left out until it is quiet');
      this.progress.files++;
    }
    this.#revisits.add(path, pause, tries);
    if (tries > 0 && tries < PATIENCE) this.#changing.add(path);
    else this.#changing.delete(path);
  }

  #done(kind: Change['kind'], path: string): void {
    this.#hashing.isWell(path);
    this.progress.files++;
    this.#owner.onChange({ kind, path });
  }

  #isOffered({ path, hash }: SharedFile): boolean {
    return this.#options.catalog.get(path)?.hash === hash;
  }

  #remove(path: string): void {
    if (this.#renameGrace.retire(path)) this.#owner.onChange({ kind: 'removed', path });
  }

  #inSlices<T>(items: Iterable<T>, act: (item: T) => void): Promise<void> {
    return inSlices(items, this.#options.signal, act);
  }

  /** One after the other. */
  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#waiting++;
    this.#inbox = this.#inbox
      .then(async () => {
        if (!this.#options.signal.aborted) await work();
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
