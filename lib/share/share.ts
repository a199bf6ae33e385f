/**
 * The shared folder: keeps the catalog equal to the disk. A scan and the watch both say what stands at
 * a path; what is known is confirmed, what was renamed is adopted, what is new or changed is hashed,
 * what is gone is forgotten.
 */
import { EventEmitter } from 'node:events';
import { lstat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { identityOf, openInside, readable, sameContent, type FileIdentity } from '../disk/open.js';
import { PeerError, asError, systemCode } from '../errors.js';
import { HashPool } from '../hash/pool.js';
import type { Lists } from '../hash/tree.js';
import type { Hash, ShareState } from '../wire/messages.js';
import { Catalog, type Page, type SharedFile } from './catalog.js';
import { HashQueue } from './hash-queue.js';
import { Retired } from './retired.js';
import { Revisits } from './revisits.js';
import { RootFolder } from './root-folder.js';
import { scan } from './scan.js';
import { inSlices } from './slices.js';
import { LmdbStore, MemoryStore, type Store } from './store.js';
import { Watcher, type Seen, type WatchFailure } from './watcher.js';

export interface ShareOptions {
  /** The folder. */
  folder: string;
  dotfiles: boolean;
  ignore: readonly string[];
  /** Hashing threads. */
  threads?: number | undefined;
  /** Folder for the index; without it nothing survives a restart. */
  state?: string | undefined;
  /** Whether changes are followed. */
  watch: boolean;
  /** Milliseconds between scans that catch what the watch lost. */
  rescan: number;
}

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

export interface ShareEvents {
  progress: [Progress];
  /** Everything found at the start can be fetched: files and bytes shared, hashed anew, time in ms. */
  indexed: [{ files: number; bytes: number; hashed: number; milliseconds: number }];
  /** Changes are followed from now on. */
  watching: [{ folders: number }];
  /** The catalog has changed, after the start. */
  change: [Change];
  /** Everything that was seen has been dealt with. */
  settled: [];
  /** A file or folder is left out, or something else is not as it should be. */
  warning: [{ path: string; reason: string }];
  /** Indexing cannot go on. */
  error: [Error];
}

/** Milliseconds a file must not have been written to before it is hashed. */
const QUIET = 100;
/** The longest pause before a file that keeps changing is looked at again. */
const MAX_PAUSE = 10_000;
/** How often in a row a file may change under the hasher before that is said. */
const PATIENCE = 5;
/** Milliseconds after the last of many changes, until a scan looks for what was lost. */
const AFTER_BURST = 500;
/** Milliseconds between scans where the folder cannot be watched; more when a scan takes long. */
const POLL = 10_000;
/** Pauses between such scans take at least so many times as long as a scan. */
const POLL_SHARE = 10;
/** Errors of open(2) that say nothing about the file. */
const SHORTAGES = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR']);
/** The longest that setTimeout can wait, in milliseconds. */
const MAX_TIMER = 2 ** 31 - 1;
/** Files looked at at the same time. */
const LOOKS = 16;

export class Share extends EventEmitter<ShareEvents> {
  readonly #options: ShareOptions;
  readonly #abort = new AbortController();
  readonly #root: RootFolder;
  #store: Store | undefined;
  #catalog: Catalog | undefined;
  #pool: HashPool | undefined;
  #queue: HashQueue | undefined;
  #watcher: Watcher | undefined;
  #state: ShareState = 'hashing';
  #began = 0;
  #hashed = 0;
  /** The scan that is under way, and whether another is wanted after it. */
  #scanning: Promise<void> | undefined;
  #scanAgain = false;
  /** When the last scan began, and how many milliseconds it took. */
  #scanBegan = performance.now();
  #scanTook = 0;
  /** What the watch and the scans saw, taken in one after the other. */
  #inbox = Promise.resolve();
  #waiting = 0;
  readonly #revisits = new Revisits((due) => this.#lookAtAll(due));
  readonly #retired = new Retired((paths) => this.#forget(paths));
  #rescanTimer: NodeJS.Timeout | undefined;
  #burstTimer: NodeJS.Timeout | undefined;
  #polling = false;
  #gone = false;
  readonly #progress: Progress = {
    files: 0,
    bytes: 0,
    totalFiles: 0,
    totalBytes: 0,
    scanned: false,
  };

  constructor(options: ShareOptions) {
    super();
    this.#options = options;
    this.#root = new RootFolder(options.folder);
  }

  get state(): ShareState {
    return this.#state;
  }
  get files(): number {
    return this.#catalog?.files ?? 0;
  }
  get bytes(): number {
    return this.#catalog?.bytes ?? 0;
  }
  get progress(): Readonly<Progress> {
    return this.#progress;
  }
  /** Files hashed since the start. */
  get hashed(): number {
    return this.#hashed;
  }

  /**
   * Look whether the folder can be shared.
   *
   * @throws PeerError ERR_USAGE when it does not exist, is not a folder or cannot be read
   */
  async check(): Promise<void> {
    await this.#root.check();
  }

  /**
   * Begin to index; what happens is told by events.
   *
   * @throws PeerError ERR_USAGE when the state folder cannot be used
   */
  start(): void {
    const { state, threads } = this.#options;
    this.#began = performance.now();
    const store =
      state === undefined
        ? new MemoryStore()
        : LmdbStore.open(state, (why, where) => {
            this.emit('warning', {
              path: where,
              reason: `the index was set aside and is built anew: ${why}`,
            });
          });
    this.#store = store;
    const catalog = new Catalog(store);
    this.#catalog = catalog;
    const pool = new HashPool(threads);
    this.#pool = pool;
    this.#queue = new HashQueue(this.#root.path, pool, {
      onHashed: (path, identity, tree) => {
        this.#hashed++;
        this.#progress.files++;
        const known = catalog.identity(path) !== undefined;
        catalog.publishTree(path, identity, tree);
        this.#changed(known ? 'changed' : 'added', path);
        this.emit('progress', this.#progress);
      },
      onFailed: (path, code) => {
        if (SHORTAGES.has(code)) {
          this.#lookLater(path, MAX_PAUSE, PATIENCE + 1);
          return;
        }
        this.#progress.files++;
        this.#retire(path);
        // Deleted since it was seen: nothing to say.
        if (code !== 'ENOENT') this.emit('warning', { path, reason: `${code}; left out` });
      },
      onChanged: (path, tries) => {
        this.#lookLater(path, Math.min(MAX_PAUSE, QUIET * 2 ** tries), tries);
      },
      onBytes: (bytes) => {
        this.#progress.bytes += bytes;
        this.emit('progress', this.#progress);
      },
      onIdle: () => {
        this.#ifSettled();
      },
    });
    this.#scanning = this.#firstScan(catalog).catch((error: unknown) => {
      if (!this.#abort.signal.aborted) this.emit('error', error as Error);
    });
    this.#waitForRescan();
  }

  search(query: string, max?: number, after?: Uint8Array): Page {
    return this.#catalog?.search(query, max, after) ?? { total: 0, files: [], after: undefined };
  }

  /** Compare the folder with the catalog, entry by entry, now. */
  rescan(): void {
    if (this.#abort.signal.aborted) return;
    if (this.#scanning !== undefined) {
      this.#scanAgain = true;
      return;
    }
    this.#scanBegan = performance.now();
    this.#scanning = this.#scanAll()
      .catch((error: unknown) => {
        if (this.#abort.signal.aborted) return;
        this.emit('warning', { path: '.', reason: `the scan failed: ${String(error)}` });
      })
      .then(() => {
        this.#endScan();
      });
  }

  /**
   * A file with this content, open for reading and unchanged since it was hashed. The caller closes
   * the handle.
   *
   * @throws PeerError ERR_NOT_FOUND; ERR_HASHING while not everything is hashed; ERR_CHANGED when
   *   the file is no longer what it was
   */
  async open(hash: Hash): Promise<{ file: SharedFile; handle: FileHandle; lists: Lists }> {
    const candidates = this.#catalog?.withHash(hash) ?? [];
    for (const file of candidates) {
      const lists = this.#catalog?.lists(hash, file.identity.size);
      try {
        const { handle, identity } = await openInside(this.#root.path, file.path);
        if (sameContent(identity, file.identity) && lists !== undefined) {
          return { file, handle, lists };
        }
        await handle.close();
      } catch (error) {
        const code = systemCode(error) ?? '';
        // Nothing is wrong with the file when this machine is short of something.
        if (SHORTAGES.has(code)) throw new PeerError('ERR_BUSY', 'too many open files here');
        // Gone, or not readable any more: what another copy may make up for.
      }
      this.#withdraw(file);
    }
    if (candidates.length > 0) {
      throw new PeerError('ERR_CHANGED', 'the file has changed since it was hashed');
    }
    throw this.#state === 'hashing'
      ? new PeerError('ERR_HASHING', 'no file with this hash yet: still hashing')
      : new PeerError('ERR_NOT_FOUND', 'no file with this hash');
  }

  async close(): Promise<void> {
    this.#abort.abort();
    clearTimeout(this.#rescanTimer);
    clearTimeout(this.#burstTimer);
    this.#revisits.close();
    this.#retired.close();
    this.#root.close();
    this.#queue?.close();
    await this.#watcher?.close();
    await this.#pool?.close();
    await this.#scanning;
    await this.#inbox;
    await this.#store?.close();
  }

  // ------------------------------------------------------------ what is seen

  /** A regular file stands at a path. */
  #sawFile(path: string, identity: FileIdentity, live: boolean, tries = 0): void {
    const catalog = this.#catalog;
    const queue = this.#queue;
    if (catalog === undefined || queue === undefined) return;
    const known = catalog.identity(path);
    if (known !== undefined && sameContent(known, identity)) {
      if (catalog.confirm(path, identity)) {
        this.#progress.files++;
        this.#changed('added', path);
      }
      queue.delete(path);
      return;
    }
    // The index never lies: what has changed is not found until it is hashed again.
    this.#retire(path);
    const hash = catalog.hashOfSameFile(identity);
    if (hash !== undefined) {
      catalog.publish(path, identity, hash);
      this.#progress.files++;
      this.#changed('renamed', path);
      return;
    }
    const age = Date.now() - Number(identity.mtimeNs / 1_000_000n);
    if (live && age >= 0 && age < QUIET) {
      this.#lookLater(path, QUIET, tries === 0 ? 0 : tries + 1);
    } else {
      queue.add(path, identity, live, tries);
    }
  }

  /** Nothing that can be shared stands at a path. */
  #sawNothing(path: string): void {
    const catalog = this.#catalog;
    if (catalog === undefined) return;
    this.#revisits.delete(path);
    this.#queue?.delete(path);
    for (const gone of [path, ...catalog.below(path)]) {
      if (this.#retire(gone)) this.#changed('removed', gone);
    }
  }

  /** Show a file no longer; forget it when it has not turned up under another name after a while. */
  #retire(path: string): boolean {
    if (this.#catalog?.retire(path) !== true) return false;
    this.#retired.add(path);
    return true;
  }

  async #forget(paths: readonly string[]): Promise<void> {
    // Of a share that is gone everything is kept until it is back.
    if (this.#gone || !(await this.#isThere())) return;
    await inSlices(paths, this.#abort.signal, (path) => {
      this.#catalog?.forget(path);
    });
  }

  /** One after the other, in slices. */
  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#waiting++;
    this.#inbox = this.#inbox
      .then(async () => {
        if (!this.#abort.signal.aborted) await work();
      })
      .catch((error: unknown) => {
        this.emit('error', asError(error));
      })
      .finally(() => {
        this.#waiting--;
      });
    return this.#inbox;
  }

  /** The watch saw what stands at some paths. */
  async #saw(seen: readonly Seen[], burst: boolean): Promise<void> {
    const { signal } = this.#abort;
    // What appears before what is gone: a renamed file's hash must still be known.
    for (const entry of seen) {
      if (entry.kind === 'folder') await this.#sawFolder(entry.path, entry.files);
    }
    await inSlices(seen, signal, (entry) => {
      if (entry.kind === 'file') this.#sawFile(entry.path, entry.identity, true);
    });
    await inSlices(seen, signal, ({ path, kind }) => {
      if (kind !== 'gone') return;
      if (path === '') this.#shareGone();
      else this.#sawNothing(path);
    });
    if (burst || this.#burstTimer !== undefined) this.#afterBurst();
  }

  /** A folder, and the files that are directly in it. */
  async #sawFolder(
    folder: string,
    files: readonly { path: string; identity: FileIdentity }[],
  ): Promise<void> {
    // It may have been a file.
    if (this.#retire(folder)) this.#changed('removed', folder);
    await inSlices(files, this.#abort.signal, ({ path, identity }) => {
      this.#sawFile(path, identity, true);
    });
    const found = new Set(files.map(({ path }) => path));
    for (const path of this.#catalog?.directlyIn(folder) ?? []) {
      if (!found.has(path)) this.#revisits.add(path, 0, 0);
    }
  }

  #lookLater(path: string, pause: number, tries: number): void {
    if (tries === PATIENCE) {
      this.emit('warning', {
        path,
        reason: 'keeps changing while it is hashed; left out until it is quiet',
      });
      this.#progress.files++;
    }
    this.#revisits.add(path, pause, tries);
  }

  /** Look what stands at each of some paths now. */
  async #lookAtAll(paths: Iterable<readonly [path: string, tries: number]>): Promise<void> {
    const next = paths[Symbol.iterator]();
    const lookSome = async (): Promise<void> => {
      for (let step = next.next(); step.done !== true; step = next.next()) {
        if (this.#abort.signal.aborted) return;
        await this.#lookAt(...step.value);
      }
    };
    await Promise.all(Array.from({ length: LOOKS }, lookSome));
    this.#ifSettled();
  }

  async #lookAt(path: string, tries: number): Promise<void> {
    const full = join(this.#root.path, path);
    const there = await lstat(full, { bigint: true }).catch(() => undefined);
    const shared = there?.isFile() === true && (await readable(full, there));
    if (this.#abort.signal.aborted) return;
    if (shared) this.#sawFile(path, identityOf(there), true, tries);
    else this.#sawNothing(path);
  }

  /** Offer a file no longer that was found changed when it was asked for. */
  #withdraw(file: SharedFile): void {
    const catalog = this.#catalog;
    if (catalog?.get(file.path)?.hash !== file.hash) return;
    this.#retire(file.path);
    this.#changed('removed', file.path);
    this.#lookLater(file.path, 0, 0);
  }

  // ------------------------------------------------------------ scans

  async #firstScan(catalog: Catalog): Promise<void> {
    // The disk is walked while the store is read; what was seen is taken in after that.
    const restored = this.#enqueue(() =>
      inSlices(catalog.restore(), this.#abort.signal, () => undefined),
    );
    await Promise.all([restored, this.#walk((files) => this.#enqueue(() => this.#sawAll(files)))]);
    await this.#inbox;
    if (this.#abort.signal.aborted) return;
    // An empty folder is what a file system that is not mounted leaves behind.
    if (!(await this.#root.isEmpty())) await this.#forgetUnconfirmed(catalog);
    this.#progress.scanned = true;
    // Not before: the scan would share the disk and the cores with it. What happens until the watch is
    // there is found by the scan that follows it.
    this.#startWatch();
    this.#endScan();
  }

  async #forgetUnconfirmed(catalog: Catalog): Promise<void> {
    await inSlices(catalog.forgetUnconfirmed(), this.#abort.signal, () => undefined);
  }

  async #scanAll(): Promise<void> {
    const catalog = this.#catalog;
    if (catalog === undefined || !(await this.#isThere())) return;
    catalog.beginScan();
    await this.#walk((files) => this.#enqueue(() => this.#sawAll(files)));
    await this.#inbox;
    // What it did not see may be gone, or the whole share is.
    if (this.#abort.signal.aborted || !(await this.#isThere())) return;
    await this.#lookAtAll([...catalog.unseen()].map((path) => [path, 0]));
  }

  /** A scan saw these files. */
  async #sawAll(files: readonly { path: string; identity: FileIdentity }[]): Promise<void> {
    await inSlices(files, this.#abort.signal, ({ path, identity }) => {
      if (this.#state === 'hashing') {
        const known = this.#catalog?.identity(path);
        this.#progress.totalFiles++;
        if (known === undefined || !sameContent(known, identity)) {
          this.#progress.totalBytes += identity.size;
        }
      }
      this.#sawFile(path, identity, false);
    });
    this.emit('progress', this.#progress);
  }

  #walk(onFiles: (files: { path: string; identity: FileIdentity }[]) => unknown): Promise<void> {
    const { dotfiles, ignore } = this.#options;
    return scan(
      { root: this.#root.path, dotfiles, ignore },
      ({ files, warnings }) => {
        // At the start only: what is said once need not be said with every scan.
        if (!this.#progress.scanned) for (const w of warnings) this.emit('warning', w);
        onFiles(files);
      },
      this.#abort.signal,
    );
  }

  #endScan(): void {
    this.#scanning = undefined;
    this.#scanTook = performance.now() - this.#scanBegan;
    this.#waitForRescan();
    if (this.#scanAgain) {
      this.#scanAgain = false;
      this.rescan();
      return;
    }
    this.#ifSettled();
  }

  // ------------------------------------------------------------ the watch

  #startWatch(): void {
    if (!this.#options.watch) return;
    this.#watcher = new Watcher(this.#root.path, this.#options, {
      onWatching: (folders) => {
        this.emit('watching', { folders });
        // Between the first scan and now a change may have been missed.
        this.rescan();
      },
      onSeen: (seen, burst) => {
        void this.#enqueue(() => this.#saw(seen, burst)).then(() => {
          this.#ifSettled();
        });
      },
      onWatchError: (failure) => {
        this.#watchError(failure);
      },
    });
  }

  #watchError({ code, message, folders, limit }: WatchFailure): void {
    // What the watch did not tell is found by a scan.
    this.rescan();
    if (this.#polling) return;
    this.#polling = true;
    const why =
      folders === undefined
        ? `the folder cannot be watched (${message})`
        : `${folders} folders need a watch each (${code}): raise fs.inotify.max_user_watches ` +
          `(${limit ?? 'unknown'} for all programs)`;
    this.emit('warning', { path: '.', reason: `${why}; scanning every ${POLL / 1000} s instead` });
    void this.#watcher?.close();
    this.#waitForRescan();
  }

  /** Many changes at once: the watch may have lost some. */
  #afterBurst(): void {
    clearTimeout(this.#burstTimer);
    this.#burstTimer = setTimeout(() => {
      this.#burstTimer = undefined;
      this.rescan();
    }, AFTER_BURST);
  }

  async #isThere(): Promise<boolean> {
    if (await this.#root.isThere()) return true;
    if (!this.#abort.signal.aborted) this.#shareGone();
    return false;
  }

  /** The folder itself is gone, or another one stands in its place: wait for it. */
  #shareGone(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#catalog?.hideAll();
    this.emit('warning', { path: '.', reason: 'the shared folder is gone; waiting for it' });
    void this.#watcher?.close();
    this.#root.whenBack(() => {
      this.#gone = false;
      this.emit('warning', { path: '.', reason: 'the shared folder is back' });
      this.#polling = false;
      this.#startWatch();
      this.rescan();
    });
  }

  // ------------------------------------------------------------ ends

  /** A pause after each scan, so that a slow disk is not scanned all the time. */
  #waitForRescan(): void {
    clearTimeout(this.#rescanTimer);
    if (this.#abort.signal.aborted) return;
    const pause = this.#polling
      ? Math.min(this.#options.rescan, Math.max(POLL, POLL_SHARE * this.#scanTook))
      : this.#options.rescan;
    this.#rescanTimer = setTimeout(
      () => {
        this.rescan();
        // In case nothing can be scanned now.
        this.#waitForRescan();
      },
      Math.min(pause, MAX_TIMER),
    );
  }

  #changed(kind: Change['kind'], path: string): void {
    if (this.#state === 'ready') this.emit('change', { kind, path });
  }

  #ifSettled(): void {
    if (this.#scanning !== undefined || this.#queue?.size !== 0 || !this.#progress.scanned) return;
    if (this.#waiting > 0 || this.#revisits.someBelow(PATIENCE)) return;
    if (this.#state === 'hashing') {
      this.#state = 'ready';
      this.#progress.totalBytes = this.#progress.bytes;
      this.emit('indexed', {
        files: this.files,
        bytes: this.bytes,
        hashed: this.#hashed,
        milliseconds: performance.now() - this.#began,
      });
    }
    this.emit('settled');
  }
}
