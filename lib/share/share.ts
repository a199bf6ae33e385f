/**
 * The shared folder: keeps the catalog equal to the disk. A scan at the start and now and then, and the
 * watch, say what stands at a path; the indexer does something about it.
 */
import { EventEmitter } from 'node:events';
import { PeerError, asError } from '../errors.js';
import { HashPool } from '../hash/pool.js';
import type { FileMatch, Hash, ShareState } from '../wire/messages.js';
import { Catalog } from './catalog.js';
import { NOTHING_YET, type Progress, type ShareEvents, type ShareOptions } from './share-types.js';
import { Indexer } from './indexer.js';
import type { FolderPage } from './folder-page.js';
import type { Page } from './search-page.js';
import { RootFolder } from './root-folder.js';
import { Scanner } from './scanner.js';
import { openStore } from '../state/recovery.js';
import { MemoryStore, type Store } from '../state/store.js';
import { FairScheduler } from '../name-index/fair-scheduler.js';
import { stateFiles } from '../state/state-files.js';
import { ShareFilter, type FilterOptions } from './filter.js';
import { ScanSchedule } from './scan-schedule.js';
import { Watcher } from './watcher.js';

export type { Change, Progress, ShareEvents, ShareOptions } from './share-types.js';

/** For the code that reads shared files. */
export interface ShareContent {
  /** The folder, resolved. */
  readonly root: string;
  readonly catalog: Catalog;
  readonly indexer: Indexer;
}

interface SearchOptions {
  max?: number;
  after?: Uint8Array;
  client?: AbortSignal;
}

/** Milliseconds after the first scan until the watch begins, unless all is hashed before. */
const WATCH_DELAY = 5000;

export class Share extends EventEmitter<ShareEvents> {
  readonly #options: ShareOptions;
  readonly #abort = new AbortController();
  readonly #scheduler = new FairScheduler();
  readonly #root: RootFolder;
  #store: Store | undefined;
  #catalog: Catalog | undefined;
  #pool: HashPool | undefined;
  #indexer: Indexer | undefined;
  #scanner: Scanner | undefined;
  readonly #schedule: ScanSchedule;
  #watcher: Watcher | undefined;
  #state: ShareState = 'hashing';
  #began = 0;
  #gone = false;

  constructor(options: ShareOptions) {
    super();
    this.#options = options;
    this.#root = new RootFolder(options.folder);
    this.#schedule = new ScanSchedule({
      every: options.rescan,
      scan: () => this.#scan(),
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
    await this.#root.check(this.#options.state);
  }

  /**
   * Open the store, and begin to index; what happens is told by events.
   *
   * @throws PeerError ERR_USAGE when the state folder cannot be used
   */
  async start(): Promise<void> {
    const { state, threads, workers = true, dotfiles, ignore } = this.#options;
    this.#began = performance.now();
    const store = state === undefined ? new MemoryStore() : await openStore(state, this.#warn);
    this.#store = store;
    if (this.#abort.signal.aborted) {
      await store.close();
      return;
    }
    const root = this.#root.path;
    const own = state === undefined ? [] : stateFiles(state);
    const filter: FilterOptions = { root, dotfiles, ignore, state: own };
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
        onWarning: this.#warn,
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
    const isThere = (): Promise<boolean> => this.#isThere();
    const scanner = new Scanner({
      root: this.#root,
      filter,
      catalog,
      indexer,
      workers,
      signal,
      isThere,
    });
    this.#scanner = scanner;
    if (this.#options.watch) this.#watcher = this.#makeWatcher(filter, indexer);
    this.#schedule.request(() => this.#firstScan(scanner, pool));
  }

  /**
   * One page of the files that match: see Catalog. Searches that take long take turns, with each other
   * and with everything else.
   *
   * @param client that asks; when it is aborted, the search is given up
   * @throws PeerError ERR_BUSY when too many searches are waiting; ERR_CLOSED
   */
  search(query: string, options: SearchOptions = {}): Promise<Page> {
    return this.searchThen(query, options, (page) => page);
  }

  /**
   * As `search`, for many pages at once.
   *
   * @param use is called with the page in the step that finds it. A promise of the page itself would keep it for
   * longer than it is needed: one that has waited long lies where memory is seldom collected.
   * @returns what `use` does
   */
  async searchThen<T>(
    query: string,
    { max, after, client }: SearchOptions,
    use: (page: Page) => T,
  ): Promise<T> {
    if (this.#catalog === undefined) return use({ total: 0, files: [], after: undefined });
    return this.#scheduler.run(using(this.#catalog.search(query, max, after), use), client);
  }

  /**
   * One page of what is in a folder, `''` for the share itself; undefined when no file is in it, or below it. In turns,
   * as a search.
   *
   * @param after the `next` of the page before
   * @throws PeerError as `search`
   */
  async list(
    folder: string,
    { max, after, client }: { max: number; after?: string | undefined; client?: AbortSignal },
  ): Promise<FolderPage | undefined> {
    if (this.#catalog === undefined) return undefined;
    return this.#scheduler.run(this.#catalog.list(folder, max, after), client);
  }

  /** Files in a folder and below it; undefined: more than `max`. As `list`. */
  async below(folder: string, max: number, client: AbortSignal): Promise<FileMatch[] | undefined> {
    if (this.#catalog === undefined) return [];
    return this.#scheduler.run(this.#catalog.allBelow(folder, max), client);
  }

  /** Files with this content: some of them, if they are many. */
  withHash(hash: Hash, max = Infinity): Page {
    const catalog = this.#catalog;
    if (catalog === undefined) return { total: 0, files: [], after: undefined };
    const all = catalog.withHash(hash);
    const files = all.slice(0, Math.max(max, 1)).map(({ slot }) => catalog.match(slot));
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
    this.#root.close();
    const scanned = this.#schedule.close();
    const takenIn = this.#indexer?.close();
    this.#scheduler.close();
    await this.#watcher?.stop();
    await this.#pool?.close();
    await scanned;
    await takenIn;
    await this.#store?.close();
  }

  #makeWatcher(filter: FilterOptions, indexer: Indexer): Watcher {
    return new Watcher(filter, {
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
        this.#warn('.', `the watch ended (${why}) and was restarted`);
      },
      onFailed: (why) => {
        this.#warn('.', `${why}; scanning periodically instead`);
        this.#schedule.isPolling = true;
        // What the watch did not tell is found by a scan.
        this.rescan();
      },
    });
  }

  async #firstScan(scanner: Scanner, pool: HashPool): Promise<void> {
    try {
      // The hashing threads start while the first files are found.
      await scanner.first(() => {
        pool.start();
      });
    } catch (error) {
      if (!this.#abort.signal.aborted) this.emit('error', asError(error));
      return;
    }
    if (this.#abort.signal.aborted) return;
    // Not before: the scan, and the hashing of many small files, would share the disk and the cores
    // with it. What happens until the watch is there is found by the scan that follows it.
    this.#watcher?.start(WATCH_DELAY);
  }

  async #scan(): Promise<void> {
    try {
      if (!(await this.#isThere())) return;
      this.#watcher?.checkWatches();
      await this.#scanner?.all();
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#warn('.', `the scan failed: ${String(error)}`);
    }
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
    this.#catalog?.hideAll();
    this.#warn('.', 'the shared folder is gone; waiting for it');
    void this.#watcher?.stop();
    this.#root.whenBack(() => {
      this.#gone = false;
      this.#warn('.', 'the shared folder is back');
      this.#schedule.isPolling = false;
      this.#watcher?.start();
      this.rescan();
    });
  }

  readonly #warn = (path: string, reason: string): void => {
    this.emit('warning', { path, reason });
  };

  #ifSettled(): void {
    const progress = this.#indexer?.progress;
    if (progress?.scanned !== true || this.#indexer?.idle !== true) return;
    if (this.#schedule.isScanning) return;
    if (this.#state === 'hashing') {
      this.#state = 'ready';
      progress.totalBytes = progress.bytes;
      this.emit('indexed', {
        files: this.files,
        bytes: this.bytes,
        hashed: this.hashed,
        milliseconds: performance.now() - this.#began,
      });
      this.#watcher?.startNow();
    }
    this.emit('settled');
  }
}

function* using<T>(search: Generator<number, Page>, use: (page: Page) => T): Generator<number, T> {
  return use(yield* search);
}
