/**
 * The shared folder: keeps the catalog equal to the disk. A scan at the start and now and then, and the
 * watch, say what stands at a path; the indexer does something about it.
 */
import { EventEmitter } from 'node:events';
import { existsSync } from 'node:fs';
import { PeerError, asError } from '../errors.js';
import { HashPool } from '../hash/pool.js';
import type { Hash, ShareState } from '../wire/messages.js';
import { Catalog, type Page } from './catalog.js';
import { Indexer, type Change, type Progress } from './indexer.js';
import { RootFolder } from './root-folder.js';
import { scan, scanHere } from './scan.js';
import { openStore } from '../state/recovery.js';
import { MemoryStore, type Store } from '../state/store.js';
import { FairScheduler } from '../name-index/fair-scheduler.js';
import { isStateFolder, stateFiles } from '../state/state-files.js';
import { ShareFilter, type FilterOptions } from './filter.js';
import { ScanSchedule } from './scan-schedule.js';
import { Watcher } from './watcher.js';

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

/** Milliseconds after the first scan until the watch begins, unless all is hashed before. */
const WATCH_DELAY = 5000;
/** Files that a scan did not see, from which on a thread looks what has become of them. */
const MANY = 1000;

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
  #indexer: Indexer | undefined;
  #filter: FilterOptions | undefined;
  readonly #schedule: ScanSchedule;
  #watcher: Watcher | undefined;
  /** Until the watch begins. */
  #watchTimer: NodeJS.Timeout | undefined;
  #state: ShareState = 'hashing';
  #began = 0;
  #gone = false;

  constructor(options: ShareOptions) {
    super();
    this.#options = options;
    this.#root = new RootFolder(options.folder);
    this.#schedule = new ScanSchedule({
      every: options.rescan,
      scan: () => this.#scanAll(),
      onEnd: () => {
        this.#ifSettled();
      },
    });
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
    return this.#indexer?.progress ?? NOTHING_YET;
  }
  /** Files hashed since the start. */
  get hashed(): number {
    return this.#indexer?.hashed ?? 0;
  }

  /**
   * Look whether the folder can be shared.
   *
   * @throws PeerError ERR_USAGE when it does not exist, is not a folder, cannot be read or holds a node's state
   */
  async check(): Promise<void> {
    await this.#root.check();
    const { folder, state } = this.#options;
    const own = state !== undefined && existsSync(state) ? stateFiles(state) : [];
    if (this.#root.isOneOf(own) || isStateFolder(this.#root.path)) {
      throw new PeerError(
        'ERR_USAGE',
        `${folder}: a node's state is kept there; share another folder`,
      );
    }
  }

  /**
   * Open the store, and begin to index; what happens is told by events.
   *
   * @throws PeerError ERR_USAGE when the state folder cannot be used
   */
  async start(): Promise<void> {
    const { state, threads, workers = true, dotfiles, ignore } = this.#options;
    this.#began = performance.now();
    const store = state === undefined ? new MemoryStore() : await this.#openStore(state);
    this.#store = store;
    if (this.#abort.signal.aborted) {
      await store.close();
      return;
    }
    const root = this.#root.path;
    const own = state === undefined ? [] : stateFiles(state);
    const filter: FilterOptions = { root, dotfiles, ignore, state: own };
    this.#filter = filter;
    const catalog = new Catalog(store);
    this.#catalog = catalog;
    const pool = new HashPool({ threads: workers ? threads : 0, background: true });
    this.#pool = pool;
    const { signal } = this.#abort;
    const indexer = new Indexer(
      { root, catalog, pool, filter: new ShareFilter(filter), signal },
      {
        onChange: (change) => {
          if (this.#state === 'ready') this.emit('change', change);
        },
        onProgress: () => {
          this.emit('progress', indexer.progress);
        },
        onWarning: (path, reason) => {
          this.emit('warning', { path, reason });
        },
        onError: (error) => {
          this.emit('error', error);
        },
        onRootGone: () => {
          this.#rootGone();
        },
        isThere: () => this.#isThere(),
        onStep: () => {
          this.#ifSettled();
        },
      },
    );
    this.#indexer = indexer;
    this.#watcher = new Watcher(filter, {
      onWatching: (folders) => {
        this.emit('watching', { folders });
        // Between the last scan and now a change may have been missed.
        this.rescan();
      },
      onSeen: (seen, burst) => {
        this.#schedule.onChange(burst);
        void indexer.watched(seen);
      },
      onRestart: (why) => {
        this.#warn(`the watch ended (${why}) and begins again`);
      },
      onFailed: (why) => {
        this.#warn(`${why}; looking now and then instead`);
        this.#schedule.isPolling = true;
        // What the watch did not tell is found by a scan.
        this.rescan();
      },
    });
    this.#schedule.request(() =>
      this.#firstScan(catalog, indexer).catch((error: unknown) => {
        if (!signal.aborted) this.emit('error', asError(error));
      }),
    );
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
    const [catalog, indexer] = [this.#catalog, this.#indexer];
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
    this.#schedule.request();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    clearTimeout(this.#watchTimer);
    this.#root.close();
    const scanned = this.#schedule.close();
    const takenIn = this.#indexer?.close();
    this.#turns.close();
    await this.#watcher?.stop();
    await this.#pool?.close();
    await scanned;
    await takenIn;
    await this.#store?.close();
  }

  #openStore(state: string): Promise<Store> {
    return openStore(state, (path, reason) => {
      this.emit('warning', { path, reason });
    });
  }

  async #firstScan(catalog: Catalog, indexer: Indexer): Promise<void> {
    // The disk is walked while the store is read; what was seen is taken in after that.
    const restored = indexer.restore().then(() => {
      // Everything is to be hashed: the workers start while the first files are found.
      if (catalog.restored === 0) this.#pool?.start();
    });
    await Promise.all([restored, this.#walk(indexer)]);
    // An empty folder is what a file system that is not mounted leaves behind.
    if (!(await this.#root.isEmpty())) await indexer.forgetUnconfirmed();
    if (this.#abort.signal.aborted) return;
    indexer.progress.scanned = true;
    // Not before: the scan, and the hashing of many small files, would share the disk and the cores
    // with it. What happens until the watch is there is found by the scan that follows it.
    this.#watchTimer = setTimeout(() => {
      this.#startWatch();
    }, WATCH_DELAY);
  }

  async #scanAll(): Promise<void> {
    const [catalog, indexer] = [this.#catalog, this.#indexer];
    try {
      if (catalog === undefined || indexer === undefined || !(await this.#isThere())) return;
      catalog.beginScan();
      this.#watcher?.complete();
      await this.#walk(indexer);
      // What it did not see may be gone, or the whole share is.
      if (this.#abort.signal.aborted || !(await this.#isThere())) return;
      const unseen = [...catalog.unseen()];
      if (unseen.length < MANY) await indexer.look(unseen.map((path) => [path, 0]));
      else await this.#walk(indexer, unseen);
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#warn(`the scan failed: ${String(error)}`);
    }
  }

  /** @param paths all if left out */
  async #walk(indexer: Indexer, paths?: readonly string[]): Promise<void> {
    if (this.#filter === undefined) return;
    const { workers = true } = this.#options;
    await (workers ? scan : scanHere)(
      { ...this.#filter, ...(paths && { paths }) },
      (found) => void indexer.scanned(found),
      this.#abort.signal,
    );
    await indexer.takenIn();
  }

  #startWatch(): void {
    clearTimeout(this.#watchTimer);
    this.#watchTimer = undefined;
    if (this.#options.watch) this.#watcher?.start();
  }

  async #isThere(): Promise<boolean> {
    if (await this.#root.isThere()) return true;
    if (!this.#abort.signal.aborted) this.#rootGone();
    return false;
  }

  /** The folder itself is gone, or another one stands in its place: wait for it. */
  #rootGone(): void {
    if (this.#gone) return;
    this.#gone = true;
    clearTimeout(this.#watchTimer);
    this.#watchTimer = undefined;
    this.#catalog?.hideAll();
    this.#warn('the shared folder is gone; waiting for it');
    void this.#watcher?.stop();
    this.#root.whenBack(() => {
      this.#gone = false;
      this.#warn('the shared folder is back');
      this.#schedule.isPolling = false;
      this.#startWatch();
      this.rescan();
    });
  }

  #warn(reason: string): void {
    this.emit('warning', { path: '.', reason });
  }

  #ifSettled(): void {
    const progress = this.#indexer?.progress;
    if (progress?.scanned !== true || this.#schedule.isScanning) return;
    if (this.#indexer?.idle !== true) return;
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
