/**
 * What was seen in the folder, turned into what the catalog says: what is known is confirmed, what was
 * renamed is adopted, what is new or changed is hashed, what is gone is shown no longer.
 */
import type { FileIdentity } from '../disk/open.js';
import { asError } from '../errors.js';
import type { HashPool } from '../hash/pool.js';
import { inSlices } from '../support/time-slicer.js';
import type { Catalog, SharedFile } from './catalog.js';
import type { ShareFilter } from './filter.js';
import { Hashing } from './hashing.js';
import type { Change, Progress } from './share-types.js';
import { PathChecker, QUIET } from './path-checker.js';
import { RenameGrace } from './rename-grace.js';
import type { Found } from './scan.js';
import type { ScannedFile } from './walk.js';
import type { Seen } from './watcher.js';

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
  readonly #checker: PathChecker;
  /** What was seen, taken in one after the other. */
  #inbox = Promise.resolve();
  #waiting = 0;

  constructor(options: IndexerOptions, owner: IndexerOwner) {
    const { root, catalog, pool, filter, signal } = options;
    this.#options = options;
    this.#owner = owner;
    this.#renameGrace = new RenameGrace(catalog, () => owner.isThere(), signal);
    this.#checker = new PathChecker(
      { root, filter, signal },
      {
        ...owner,
        onChecked: (path, there, attempts) => {
          if (there.kind === 'file') this.#sawFile(path, there.identity, true, attempts);
          else this.#sawNothing(path, there.reason);
        },
        onNeverQuiet: (path) => {
          const why = 'keeps changing while it is hashed; skipped until it is quiet';
          owner.onWarning(path, why);
          this.progress.files++;
        },
      },
    );
    this.#hashing = new Hashing(root, catalog, pool, {
      ...owner,
      onDone: (kind, path) => {
        this.#done(kind, path);
      },
      onLost: (path) => {
        this.progress.files++;
        this.#renameGrace.unpublish(path);
      },
      onChanged: (path, attempts) => {
        this.#checker.retryWhenQuiet(path, attempts);
      },
      onShortage: (path) => {
        this.#checker.retryLater(path);
      },
      // Told after the files: one call a batch.
      onBytes: (bytes) => {
        this.progress.bytes += bytes;
        owner.onProgress();
      },
      isSecret: (path) => filter.isSecret(path),
    });
  }

  /** Files hashed since the start. */
  get hashed(): number {
    return this.#hashing.hashed;
  }

  /** Whether everything that was seen has been dealt with, but for files that are never quiet. */
  get idle(): boolean {
    return this.#hashing.isIdle && this.#waiting === 0 && this.#checker.isIdle;
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

  /** A scan saw these files, skipped others, and found some gone. */
  scanned({ files, warnings, gone }: Found): Promise<void> {
    return this.#enqueue(async () => {
      for (const { path, reason } of warnings) this.#hashing.reportSkipped(path, reason);
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
  drained(): Promise<void> {
    return this.#inbox;
  }

  /** Look what stands at each of some paths now. */
  check(paths: Iterable<string>): Promise<void> {
    return this.#checker.check(paths);
  }

  /**
   * Withdraw a file that was found changed, or unreadable, when it was requested.
   *
   * @param fault the system's code when it cannot be read: then its hash is not trusted any more, though
   *   nothing else has changed
   */
  withdraw(file: SharedFile, fault?: string): void {
    const { path, identity } = file;
    if (!this.#isPublished(file)) return;
    this.#remove(path);
    if (fault === undefined) this.#checker.schedule(path, 0);
    else {
      this.#options.catalog.forget(path);
      this.#hashing.quarantine(path, identity, fault);
    }
  }

  /** Hash a file again whose content may have changed although size and time have not. It stays published. */
  verify(file: SharedFile): void {
    if (this.#isPublished(file)) this.#hashing.verify(file);
  }

  /** Withdraw a file whose content is not what was hashed, although size and time are, and hash it again. */
  distrust(file: SharedFile): void {
    if (!this.#isPublished(file)) return;
    const { path, identity } = file;
    this.#remove(path);
    this.#options.catalog.forget(path);
    this.#hashing.add(path, identity, true);
  }

  async close(): Promise<void> {
    this.#checker.close();
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
  #sawFile(path: string, identity: FileIdentity, live: boolean, attempts = 0): boolean {
    const { catalog } = this.#options;
    switch (catalog.confirm(path, identity)) {
      case 'published':
        this.#done('added', path);
        this.#hashing.cancel(path);
        return false;
      case 'unchanged':
        this.#hashing.cancel(path);
        return false;
      case 'unpublished':
        // The index never lies: what has changed is not found until it is hashed again.
        this.#renameGrace.keep(path);
        break;
      case 'unknown':
    }
    if (this.#hashing.isQuarantined(path, identity)) return false;
    const hash = catalog.hashOfSameFile(identity);
    if (hash !== undefined) {
      catalog.publish(path, identity, hash);
      this.#done('renamed', path);
      return false;
    }
    const age = Date.now() - Number(identity.mtimeNs / 1_000_000n);
    if (live && age >= 0 && age < QUIET) {
      this.#checker.schedule(path, QUIET, attempts === 0 ? 0 : attempts + 1);
    } else {
      this.#hashing.add(path, identity, live, attempts);
    }
    return true;
  }

  /** Nothing that can be shared stands at a path. @param reason what the user is to be told */
  #sawNothing(path: string, reason?: string): void {
    this.#checker.cancel(path);
    this.#hashing.gone(path);
    this.#remove(path);
    for (const below of this.#options.catalog.below(path)) this.#remove(below);
    if (reason !== undefined) this.#hashing.reportSkipped(path, reason);
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

  #done(kind: Change['kind'], path: string): void {
    this.#hashing.clearReported(path);
    this.progress.files++;
    this.#owner.onChange({ kind, path });
  }

  #isPublished({ path, hash }: SharedFile): boolean {
    return this.#options.catalog.get(path)?.hash === hash;
  }

  #remove(path: string): void {
    if (this.#renameGrace.unpublish(path)) this.#owner.onChange({ kind: 'removed', path });
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
