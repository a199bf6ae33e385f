/** Scans of the folder: the first, while the store is read, and those that find what the watch lost. */
import type { Catalog } from './catalog.js';
import type { FilterOptions } from './filter.js';
import type { Indexer } from './indexer.js';
import type { RootFolder } from './root-folder.js';
import { scan, scanHere } from './scan.js';

export interface ScannerOptions {
  root: RootFolder;
  filter: FilterOptions;
  catalog: Catalog;
  indexer: Indexer;
  /** Whether a thread of its own does it. */
  workers: boolean;
  /** Ends everything. */
  signal: AbortSignal;
  /** Whether the folder is there: of one that is gone nothing is gone for good. */
  isThere: () => Promise<boolean>;
}

/** Files that a scan did not see, from which on it is scanned for them, rather than looked at each. */
const RESCAN_THRESHOLD = 1000;

export class Scanner {
  readonly #options: ScannerOptions;

  constructor(options: ScannerOptions) {
    this.#options = options;
  }

  /** @param onNew nothing was known before: everything will have to be hashed */
  async first(onNew: () => void): Promise<void> {
    const { root, catalog, indexer, signal } = this.#options;
    // The disk is walked while the store is read; what was seen is taken in after that.
    const restored = indexer.restore().then(() => {
      if (catalog.restored === 0) onNew();
    });
    await Promise.all([restored, this.#walk()]);
    // An empty folder is what a file system that is not mounted leaves behind.
    if (!(await root.isEmpty())) await indexer.forgetUnconfirmed();
    if (!signal.aborted) indexer.progress.scanned = true;
  }

  /** Compare the folder with the catalog, entry by entry. */
  async all(): Promise<void> {
    const { catalog, indexer, signal, isThere } = this.#options;
    catalog.beginScan();
    await this.#walk();
    // What it did not see may be gone, or the whole share is.
    if (signal.aborted || !(await isThere())) return;
    const unseen = [...catalog.unseen()];
    if (unseen.length < RESCAN_THRESHOLD) await indexer.check(unseen);
    else await this.#walk(unseen);
  }

  /** @param paths all when not given */
  async #walk(paths?: readonly string[]): Promise<void> {
    const { filter, indexer, workers, signal } = this.#options;
    const request = paths === undefined ? filter : { ...filter, paths };
    await (workers ? scan : scanHere)(request, (found) => void indexer.scanned(found), signal);
    await indexer.drained();
  }
}
