/**
 * The shared folder: keeps the catalog equal to the disk. A scan and the watch both say what stands at
 * a path; what is known is confirmed, what was renamed is adopted, what is new or changed is hashed,
 * what is gone is forgotten.
 */
import { EventEmitter } from 'node:events';
import { access, constants, lstat, realpath, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { identityOf, openInside, sameContent, type FileIdentity } from '../disk/open.js';
import { PeerError, systemCode } from '../errors.js';
import { HashPool } from '../hash/pool.js';
import type { Lists } from '../hash/tree.js';
import type { Hash, ShareState } from '../wire/messages.js';
import { Catalog, type Page, type SharedFile } from './catalog.js';
import { HashQueue } from './hash-queue.js';
import { scan } from './scan.js';
import { LmdbStore, MemoryStore, type Store } from './store.js';
import { Watcher, type Seen } from './watcher.js';

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
/** Milliseconds between scans where the folder cannot be watched. */
const POLL = 10_000;
/** Milliseconds in which a file that is gone may turn up under another name. */
const GRACE = 10_000;
/** Errors of open(2) that say nothing about the file. */
const SHORTAGES = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR']);
/** Milliseconds between looks for a share that is gone. */
const LOOK_FOR_SHARE = 1000;

export class Share extends EventEmitter<ShareEvents> {
  readonly #options: ShareOptions;
  readonly #abort = new AbortController();
  #root = '';
  #device = 0n;
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
  /** Files to look at later, and when. */
  readonly #later = new Map<string, { due: number; tries: number }>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #laterTimer: NodeJS.Timeout | undefined;
  /** Files that are not shown any more, and when they are forgotten; in the order of that. */
  readonly #retired = new Map<string, number>();
  #retiredTimer: NodeJS.Timeout | undefined;
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
    const { folder } = this.#options;
    try {
      this.#root = await realpath(folder);
      const there = await stat(this.#root, { bigint: true });
      if (there.isDirectory()) {
        await access(this.#root, constants.R_OK | constants.X_OK);
        this.#device = there.dev;
        return;
      }
    } catch (error) {
      const code = systemCode(error);
      const why = code === 'ENOENT' ? 'no such folder' : `cannot be read (${code ?? 'unknown'})`;
      throw new PeerError('ERR_USAGE', `${folder}: ${why}`, { cause: error });
    }
    throw new PeerError('ERR_USAGE', `${folder}: not a folder`);
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
    this.#queue = new HashQueue(this.#root, pool, {
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
    this.#every(this.#options.rescan, () => {
      this.rescan();
    });
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
        const { handle, identity } = await openInside(this.#root, file.path);
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
    for (const timer of [...this.#timers, this.#laterTimer, this.#burstTimer, this.#retiredTimer])
      clearTimeout(timer);
    this.#queue?.close();
    await this.#watcher?.close();
    await this.#pool?.close();
    await this.#scanning;
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
    this.#later.delete(path);
    this.#queue?.delete(path);
    for (const gone of [path, ...catalog.below(path)]) {
      if (this.#retire(gone)) this.#changed('removed', gone);
    }
  }

  /** Show a file no longer; forget it when it has not turned up under another name after a while. */
  #retire(path: string): boolean {
    if (this.#catalog?.retire(path) !== true) return false;
    this.#retired.set(path, Date.now() + GRACE);
    this.#retiredTimer ??= setTimeout(() => {
      this.#forgetRetired();
    }, GRACE);
    return true;
  }

  #forgetRetired(): void {
    this.#retiredTimer = undefined;
    const now = Date.now();
    for (const [path, due] of this.#retired) {
      if (due > now) {
        this.#retiredTimer = setTimeout(() => {
          this.#forgetRetired();
        }, due - now);
        return;
      }
      this.#retired.delete(path);
      this.#catalog?.forget(path);
    }
  }

  #saw(seen: readonly Seen[], burst: boolean): void {
    // What appears before what is gone: a renamed file's hash must still be known.
    for (const entry of seen) {
      if (entry.kind === 'file') this.#sawFile(entry.path, entry.identity, true);
      else if (entry.kind === 'folder') this.#sawFolder(entry.path, entry.files);
    }
    for (const { path, kind } of seen) {
      if (kind !== 'gone') continue;
      if (path === '') this.#shareGone();
      else this.#sawNothing(path);
    }
    if (burst || this.#burstTimer !== undefined) this.#afterBurst();
    this.#ifSettled();
  }

  /** A folder, and the files that are directly in it. */
  #sawFolder(folder: string, files: readonly { path: string; identity: FileIdentity }[]): void {
    // It may have been a file.
    if (this.#retire(folder)) this.#changed('removed', folder);
    for (const { path, identity } of files) this.#sawFile(path, identity, true);
    const found = new Set(files.map(({ path }) => path));
    for (const path of this.#catalog?.directlyIn(folder) ?? []) {
      if (!found.has(path)) this.#lookLater(path, 0, 0);
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
    this.#later.set(path, { due: Date.now() + pause, tries });
    this.#laterTimer ??= setTimeout(() => {
      this.#laterTimer = undefined;
      void this.#lookAtDue();
    }, QUIET / 2);
  }

  async #lookAtDue(): Promise<void> {
    const now = Date.now();
    const due = [...this.#later].filter((entry) => entry[1].due <= now);
    for (const [path] of due) this.#later.delete(path);
    const next = due.values();
    const lookSome = async (): Promise<void> => {
      for (const [path, { tries }] of next) await this.#lookAt(path, tries);
    };
    await Promise.all(Array.from({ length: 16 }, lookSome));
    if (this.#later.size > 0 && !this.#abort.signal.aborted) {
      this.#laterTimer ??= setTimeout(() => {
        this.#laterTimer = undefined;
        void this.#lookAtDue();
      }, QUIET / 2);
    }
    this.#ifSettled();
  }

  async #lookAt(path: string, tries: number): Promise<void> {
    try {
      const there = await lstat(join(this.#root, path), { bigint: true });
      if (this.#abort.signal.aborted) return;
      if (there.isFile()) this.#sawFile(path, identityOf(there), true, tries);
      else this.#sawNothing(path);
    } catch {
      this.#sawNothing(path);
    }
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
    // The disk is walked while the store is read.
    const waiting: { path: string; identity: FileIdentity }[][] = [];
    let take = (files: (typeof waiting)[number]): void => {
      waiting.push(files);
    };
    const walked = this.#walk((files) => {
      take(files);
    });
    walked.catch(() => undefined);
    for (const step of catalog.restore()) {
      await nextTurn(step);
      if (this.#abort.signal.aborted) return;
    }
    // What has come so far, then what comes.
    let turn = Promise.resolve();
    take = (files) => {
      turn = turn.then(() => this.#sawAll(files));
    };
    for (const files of waiting.splice(0)) take(files);
    await walked;
    await turn;
    if (this.#abort.signal.aborted) return;
    catalog.forgetUnconfirmed();
    this.#progress.scanned = true;
    // Not before: the scan would share the disk and the cores with it. What happens until the watch is
    // there is found by the scan that follows it.
    this.#startWatch();
    this.#endScan();
  }

  async #scanAll(): Promise<void> {
    const catalog = this.#catalog;
    if (catalog === undefined || !(await this.#isThere())) return;
    catalog.beginScan();
    let turn = Promise.resolve();
    await this.#walk((files) => {
      turn = turn.then(() => this.#sawAll(files));
    });
    await turn;
    for (const path of [...catalog.unseen()]) {
      if (this.#abort.signal.aborted) return;
      await this.#lookAt(path, 0);
    }
  }

  /** In steps, so that the event loop gets its turns. */
  async #sawAll(files: { path: string; identity: FileIdentity }[]): Promise<void> {
    for (let i = 0; i < files.length; i++) {
      const file = files[i];
      if (file === undefined) continue;
      const known = this.#catalog?.identity(file.path);
      if (this.#state === 'hashing') {
        this.#progress.totalFiles++;
        if (known === undefined || !sameContent(known, file.identity)) {
          this.#progress.totalBytes += file.identity.size;
        }
      }
      this.#sawFile(file.path, file.identity, false);
      if (i % 500 === 499) {
        this.emit('progress', this.#progress);
        await nextTurn();
        if (this.#abort.signal.aborted) return;
      }
    }
    this.emit('progress', this.#progress);
  }

  #walk(onFiles: (files: { path: string; identity: FileIdentity }[]) => void): Promise<void> {
    const { dotfiles, ignore } = this.#options;
    return scan(
      { root: this.#root, dotfiles, ignore },
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
    this.#watcher = new Watcher(this.#root, this.#options, {
      onWatching: (folders) => {
        this.emit('watching', { folders });
        // Between the first scan and now a change may have been missed.
        this.rescan();
      },
      onSeen: (seen, burst) => {
        this.#saw(seen, burst);
      },
      onWatchError: (code, message) => {
        this.#watchError(code, message);
      },
    });
  }

  #watchError(code: string, message: string): void {
    if (this.#polling) return;
    this.#polling = true;
    const why =
      code === 'ENOSPC'
        ? 'there are not enough watches (raise fs.inotify.max_user_watches to more than the number ' +
          'of folders)'
        : `the folder cannot be watched (${message})`;
    this.emit('warning', { path: '.', reason: `${why}; scanning every ${POLL / 1000} s instead` });
    this.rescan();
    this.#every(POLL, () => {
      this.rescan();
    });
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
    const there = await stat(this.#root, { bigint: true }).catch(() => undefined);
    if (there?.isDirectory() === true && (there.dev === this.#device || this.#gone)) return true;
    this.#shareGone();
    return false;
  }

  /** The folder itself is gone, or another file system stands in its place: wait for it. */
  #shareGone(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#catalog?.hideAll();
    this.emit('warning', { path: '.', reason: 'the shared folder is gone; waiting for it' });
    void this.#watcher?.close();
    const look = (): void => {
      void stat(this.#root, { bigint: true }).then(
        (there) => {
          if (!there.isDirectory()) return;
          clearInterval(timer);
          this.#timers.delete(timer);
          this.#device = there.dev;
          this.#gone = false;
          this.emit('warning', { path: '.', reason: 'the shared folder is back' });
          this.#startWatch();
          this.rescan();
        },
        () => undefined,
      );
    };
    const timer = setInterval(look, LOOK_FOR_SHARE);
    this.#timers.add(timer);
  }

  // ------------------------------------------------------------ ends

  #every(milliseconds: number, action: () => void): void {
    this.#timers.add(setInterval(action, milliseconds));
  }

  #changed(kind: Change['kind'], path: string): void {
    if (this.#state === 'ready') this.emit('change', { kind, path });
  }

  #ifSettled(): void {
    if (this.#scanning !== undefined || this.#queue?.size !== 0 || !this.#progress.scanned) return;
    if ([...this.#later.values()].some(({ tries }) => tries > 0 && tries < PATIENCE)) return;
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
