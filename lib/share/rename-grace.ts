/**
 * Files that are gone: they are shown no longer, but what is known of them is kept for a while, because
 * they may turn up under another name.
 */
import { inSlices } from '../support/time-slicer.js';
import type { Catalog } from './catalog.js';
import { DelayQueue } from './delay-queue.js';

/** Milliseconds that they are remembered. */
const GRACE = 10_000;

export class RenameGrace {
  readonly #catalog: Catalog;
  readonly #gone: DelayQueue<undefined>;

  /**
   * @param isRootThere whether the shared folder is there: of one that is gone everything is kept
   * @param signal ends everything
   */
  constructor(catalog: Catalog, isRootThere: () => Promise<boolean>, signal: AbortSignal) {
    this.#catalog = catalog;
    this.#gone = new DelayQueue(async (due) => {
      if (!(await isRootThere())) return;
      await inSlices(due.keys(), signal, (path) => {
        catalog.forget(path);
      });
    });
  }

  /** Show a file no longer. @returns whether it was shown */
  unpublish(path: string): boolean {
    if (!this.#catalog.unpublish(path)) return false;
    this.keep(path);
    return true;
  }

  /** Forget in a while a file that is shown no longer. */
  keep(path: string): void {
    this.#gone.add(path, GRACE, undefined);
  }

  close(): void {
    this.#gone.close();
  }
}
