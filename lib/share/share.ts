/**
 * The shared folder: keeps the catalog equal to the disk. A scan at the start and now and then, and the
 * watch, say what stands at a path; the intake does something about it.
 */
import { EventEmitter } from 'node:events';
import { PeerError } from '../errors.js';
import { HashPool } from '../hash/pool.js';
import type { Hash, ShareState } from '../wire/messages.js';
import { Catalog, type Page } from './catalog.js';
import { Indexer, type Change, type Progress } from './indexer.js';
import { RootFolder } from './root-folder.js';
import { scan, scanHere } from './scan.js';
import { LmdbStore, MemoryStore, type Store } from '../state/store.js';
import { FairScheduler } from '../name-index/fair-scheduler.js';
import type { ScannedFile } from './walk.js';
import { Watcher, type WatchFailure } from './watcher.js';

export interface ShareOptions {
  /** The folder. */
  folder: string;
  dotfiles: boolean;
  ignore: readonly string[];
  /** Hashing threads. */
  threads?: number | undefined;
  /** False: scan and hash in this thread. @default true */
  workers?: boolean | undefined;
  /** Folder for the index; without it nothing survives a restart. */
  state?: string | undefined;
  /** Whether changes are followed. */
  watch: boolean;
  /** Milliseconds between scans that catch what the watch lost. */
  rescan: number;
}

export type { Change, Progress };

/** For the code that reads shared files. */
export interface ShareContent {
  /** The folder, resolved. */
  readonly root: string;
  readonly catalog: Catalog;
  readonly indexer: Indexer;
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

/** Milliseconds after the last of many changes, until a scan looks for what was lost. */
const AFTER_BURST = 500;
/** Milliseconds after the first scan until the watch begins, unless all is hashed before. */
const WATCH_DELAY = 5000;
/** Milliseconds between scans where the folder cannot be watched; more when a scan takes long. */
const POLL = 10_000;
/** Pauses between such scans take at least so many times as long as a scan. */
const POLL_SHARE = 10;
/** Times in so many milliseconds that the watch may die before scans take its place. */
const MAX_DEATHS = 3;
const DEATHS_COUNT = 600_000;
/** The longest that setTimeout can wait, in milliseconds. */
const MAX_TIMER = 2 ** 31 - 1;

const NOTHING_YET: Readonly<Progress> = {
  files: 0,
  bytes: 0,
  totalFiles: 0,
  totalBytes: 0,
  scanned: false,
};

export class Share extends EventEmitter<ShareEvents> {
  readonly #options: ShareOptions;
  readonly #abort = new AbortController();
  readonly #turns = new FairScheduler();
  readonly #root: RootFolder;
  #store: Store | undefined;
  #catalog: Catalog | undefined;
  #pool: HashPool | undefined;
  #intake: Indexer | undefined;
  #watcher: Watcher | undefined;
  #state: ShareState = 'hashing';
  #began = 0;
  /** The scan that is under way, and whether another is wanted after it. */
  #scanning: Promise<void> | undefined;
  #scanAgain = false;
  /** When the last scan began, and how many milliseconds it took. */
  #scanBegan = performance.now();
  #scanTook = 0;
  #rescanTimer: NodeJS.Timeout | undefined;
  #burstTimer: NodeJS.Timeout | undefined;
  #watchTimer: NodeJS.Timeout | undefined;
  #polling = false;
  /** When the watch died, by performance.now(). */
  #watchDeaths: number[] = [];
  #gone = false;

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
    return this.#intake?.progress ?? NOTHING_YET;
  }
  /** Files hashed since the start. */
  get hashed(): number {
    return this.#intake?.hashed ?? 0;
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
   * Open the store, and begin to index; what happens is told by events.
   *
   * @throws PeerError ERR_USAGE when the state folder cannot be used
   */
  async start(): Promise<void> {
    const { state, threads, workers = true } = this.#options;
    this.#began = performance.now();
    const store = state === undefined ? new MemoryStore() : await this.#openStore(state);
    this.#store = store;
    if (this.#abort.signal.aborted) {
      await store.close();
      return;
    }
    const catalog = new Catalog(store);
    this.#catalog = catalog;
    const pool = new HashPool({ threads: workers ? threads : 0, background: true });
    this.#pool = pool;
    const intake = new Indexer(this.#root.path, catalog, pool, this.#abort.signal, {
      onChange: (change) => {
        if (this.#state === 'ready') this.emit('change', change);
      },
      onProgress: () => {
        this.emit('progress', intake.progress);
      },
      onWarning: (path, reason) => {
        this.emit('warning', { path, reason });
      },
      onError: (error) => {
        this.emit('error', error);
      },
      onRootGone: () => {
        this.#shareGone();
      },
      isThere: () => this.#isThere(),
      onStep: () => {
        this.#ifSettled();
      },
    });
    this.#intake = intake;
    this.#scanning = this.#firstScan(intake).catch((error: unknown) => {
      if (!this.#abort.signal.aborted) this.emit('error', error as Error);
    });
    this.#waitForRescan();
  }

  /**
   * One page of the files that match: see Catalog. Searches that take long take turns, with each other
   * and with everything else.
   *
   * @param client for whom; when it is aborted, the search is given up
   * @throws PeerError ERR_BUSY when too many searches are waiting; ERR_CLOSED
   */
  async search(
    query: string,
    { max, after, client }: { max?: number; after?: Uint8Array; client?: AbortSignal } = {},
  ): Promise<Page> {
    if (this.#catalog === undefined) return { total: 0, files: [], after: undefined };
    return this.#turns.run(this.#catalog.search(query, max, after), client);
  }

  /** Files with this content: some of them, if they are many. */
  withHash(hash: Hash, max = Infinity): Page {
    const all = this.#catalog?.withHash(hash) ?? [];
    const files = all.slice(0, Math.max(max, 1)).map(({ path, identity }) => {
      return { path, hash, size: identity.size };
    });
    return { total: all.length, files, after: undefined };
  }

  /** What is needed to read its files. @throws PeerError ERR_HASHING before it has started */
  get content(): ShareContent {
    const [catalog, indexer] = [this.#catalog, this.#intake];
    if (catalog === undefined || indexer === undefined) {
      throw new PeerError('ERR_HASHING', 'still starting');
    }
    return { root: this.#root.path, catalog, indexer };
  }

  /** What is kept beside the index for somebody else; nothing without a state folder. */
  note(name: string): Uint8Array | undefined {
    return this.#store?.note(name);
  }
  putNote(name: string, bytes: Uint8Array): void {
    this.#store?.putNote(name, bytes);
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

  async close(): Promise<void> {
    this.#abort.abort();
    clearTimeout(this.#rescanTimer);
    clearTimeout(this.#burstTimer);
    clearTimeout(this.#watchTimer);
    this.#root.close();
    const takenIn = this.#intake?.close();
    this.#turns.close();
    await this.#watcher?.close();
    await this.#pool?.close();
    await this.#scanning;
    await takenIn;
    await this.#store?.close();
  }

  #openStore(state: string): Promise<Store> {
    const warn = (path: string, reason: string): void => {
      this.emit('warning', { path, reason });
    };
    return LmdbStore.open(
      state,
      (why, where) => {
        warn(where, `the index was set aside and is built anew: ${why}`);
      },
      {
        onTrouble: (code) => {
          warn(state, `the index cannot be written (${code}); changes wait in memory until it can`);
        },
        onWell: () => {
          warn(state, 'the index is written again');
        },
      },
    );
  }

  // ------------------------------------------------------------ scans

  async #firstScan(intake: Indexer): Promise<void> {
    // The disk is walked while the store is read; what was seen is taken in after that.
    const restored = intake.restore().then(() => {
      // Everything is to be hashed: the workers start while the first files are found.
      if (this.#catalog?.restored === 0) this.#pool?.start();
    });
    await Promise.all([restored, this.#walk((files) => intake.scanned(files))]);
    await intake.takenIn();
    // An empty folder is what a file system that is not mounted leaves behind.
    if (!(await this.#root.isEmpty())) await intake.forgetUnconfirmed();
    if (this.#abort.signal.aborted) return;
    intake.progress.scanned = true;
    // Not before: the scan, and the hashing of many small files, would share the disk and the cores
    // with it. What happens until the watch is there is found by the scan that follows it.
    this.#watchTimer = setTimeout(() => {
      this.#startWatch();
    }, WATCH_DELAY);
    this.#endScan();
  }

  async #scanAll(): Promise<void> {
    const [catalog, intake] = [this.#catalog, this.#intake];
    if (catalog === undefined || intake === undefined || !(await this.#isThere())) return;
    catalog.beginScan();
    this.#watcher?.complete();
    await this.#walk((files) => intake.scanned(files));
    await intake.takenIn();
    // What it did not see may be gone, or the whole share is.
    if (this.#abort.signal.aborted || !(await this.#isThere())) return;
    await intake.look([...catalog.unseen()].map((path) => [path, 0]));
  }

  #walk(onFiles: (files: () => ScannedFile[]) => unknown): Promise<void> {
    const { dotfiles, ignore, workers = true } = this.#options;
    return (workers ? scan : scanHere)(
      { root: this.#root.path, dotfiles, ignore },
      ({ files, warnings }) => {
        // At the start only: what is said once need not be said with every scan.
        if (!this.progress.scanned) for (const w of warnings) this.emit('warning', w);
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
    clearTimeout(this.#watchTimer);
    this.#watchTimer = undefined;
    if (!this.#options.watch) return;
    this.#watcher = new Watcher(this.#root.path, this.#options, {
      onWatching: (folders) => {
        this.emit('watching', { folders });
        // Between the first scan and now a change may have been missed.
        this.rescan();
      },
      onSeen: (seen, burst) => {
        if (burst || this.#burstTimer !== undefined) this.#afterBurst();
        void this.#intake?.watched(seen);
      },
      onWatchError: (failure) => {
        this.#watchError(failure);
      },
      onWatchDied: (why) => {
        this.#watchDied(why);
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
    this.emit('warning', { path: '.', reason: `${why}; looking now and then instead` });
    void this.#watcher?.close();
    this.#waitForRescan();
  }

  /** Its thread died: another takes its place, and a scan finds what was missed; but not for ever. */
  #watchDied(why: string): void {
    const now = performance.now();
    this.#watchDeaths = this.#watchDeaths.filter((at) => now - at < DEATHS_COUNT).concat(now);
    if (this.#watchDeaths.length > MAX_DEATHS) {
      this.#watchError({ code: 'unknown', message: `the thread that does it dies: ${why}` });
      return;
    }
    this.emit('warning', { path: '.', reason: `the watch ended (${why}) and begins again` });
    this.#startWatch();
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
    clearTimeout(this.#watchTimer);
    this.#watchTimer = undefined;
    this.#catalog?.hideAll();
    this.emit('warning', { path: '.', reason: 'the shared folder is gone; waiting for it' });
    void this.#watcher?.close();
    this.#root.whenBack(() => {
      this.#gone = false;
      this.emit('warning', { path: '.', reason: 'the shared folder is back' });
      this.#polling = false;
      this.#watchDeaths = [];
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

  #ifSettled(): void {
    const progress = this.#intake?.progress;
    if (progress?.scanned !== true || this.#scanning !== undefined) return;
    if (this.#intake?.idle !== true) return;
    if (this.#state === 'hashing') {
      this.#state = 'ready';
      progress.totalBytes = progress.bytes;
      this.emit('indexed', {
        files: this.files,
        bytes: this.bytes,
        hashed: this.hashed,
        milliseconds: performance.now() - this.#began,
      });
      if (this.#watchTimer !== undefined) this.#startWatch();
    }
    this.emit('settled');
  }
}
