/**
 * Search by name among a million: terms (see names.ts) are looked up by their words, in the names of
 * folders and of files, so that what many files have in common is kept and searched once.
 */
import { MAX_FILES } from '../wire/limits.js';
import { ResultCache } from './result-cache.js';
import { cursorOf } from './top-k.js';
import { TOP } from './folder-tree.js';
import { Meter, STEP } from './meter.js';
import { termsOf } from './names.js';
import { PathTable } from './path-table.js';
import { Scratch } from './scratch.js';
import { NameSearch, type Matches } from './search.js';
import { foldedAt, foldedBytes } from './texts.js';
import { FILES, FOLDERS, Words, type NameKind } from './words.js';

export interface Results {
  /** How many match in all. */
  total: number;
  /** Best first. */
  ids: number[];
  /** Cursor for the next page, when there are more. */
  after?: Uint8Array;
  /** A cursor that continues after another one of these. */
  cursorAfter(at: number): Uint8Array;
}

/** Memory of searches that is kept for the next ones. */
const MAX_SPARE = 2;

export class NameIndex {
  readonly #table = new PathTable();
  readonly #words = new Words();
  readonly #spare: Scratch[] = [];
  readonly #step: number;
  readonly #cache = new ResultCache();
  /** Those under way: they are told of what changes. */
  readonly #searches = new Set<NameSearch>();

  /** @param step units of work between two places where a search may be interrupted */
  constructor(step = STEP) {
    this.#step = step;
  }

  /** How many paths there are. */
  get size(): number {
    return this.#table.size;
  }

  has(id: number): boolean {
    return this.#table.has(id);
  }

  path(id: number): string | undefined {
    return this.#table.path(id);
  }

  /** The id of a path. */
  find(path: string): number | undefined {
    const id = this.#table.find(path);
    return id < 0 ? undefined : id;
  }

  /**
   * Add a path, or give an id another one: the one it had is gone, even if this throws. No two ids may
   * have the same path.
   *
   * @param id a small number: memory is kept for all below it
   * @throws {RangeError} for a path longer than the wire allows
   */
  add(id: number, path: string): void {
    this.remove(id);
    this.#cache.clear();
    this.#table.add(id, path, this.#addFolder);
    this.#index(FILES, id, this.#table.text(id), true);
    for (const { changed } of this.#searches) changed.add(id);
  }

  readonly #addFolder = (folder: number): void => {
    this.#index(FOLDERS, folder, this.#table.tree.text[folder] ?? 0, true);
  };

  remove(id: number): void {
    if (!this.#table.has(id)) return;
    this.#cache.clear();
    const { tree } = this.#table;
    this.#index(FILES, id, this.#table.text(id), false);
    let folder = this.#table.folder(id);
    this.#table.remove(id);
    for (const { changed } of this.#searches) changed.add(id);
    while (folder !== TOP && tree.filesBelow[folder] === 0) {
      const parent = tree.parent[folder] ?? TOP;
      this.#index(FOLDERS, folder, tree.text[folder] ?? 0, false);
      tree.remove(folder);
      for (const { gone } of this.#searches) gone.add(folder);
      folder = parent;
    }
  }

  /** A search all at once. See `searching`. */
  search(query: string, max: number, after?: Uint8Array): Results {
    const steps = this.searching(query, max, after);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  /**
   * The best matches of a query: paths with all terms as whole words first, then those with all terms
   * in the file name, then shorter ones. In steps of about equal work, whose units are yielded: between
   * them, names may be added and removed. The answer is that of the moment when it is given.
   *
   * @param max ids wanted, 1000 at most
   * @param after cursor of the page before; whatever was added or removed since, no path that stayed
   *   is missing or comes twice
   */
  *searching(query: string, max: number, after?: Uint8Array): Generator<number, Results> {
    const limit = Math.min(Math.max(Math.trunc(max), 1) || 1, MAX_FILES);
    const terms = termsOf(query);
    for (;;) {
      const matches = yield* this.#searching(terms, limit, after);
      // All that was found has gone meanwhile, while the rest was not kept: once more.
      if (matches.best.length === 0 && matches.more) continue;
      const { total, best, more } = matches;
      const ids = best.map(({ id }) => id);
      const cursorAfter = (at: number): Uint8Array => {
        const { id = -1, rank = 0 } = best[at] ?? {};
        return cursorOf(this.#table.path(id) ?? '', rank);
      };
      return { total, ids, cursorAfter, ...(more ? { after: cursorAfter(ids.length - 1) } : {}) };
    }
  }

  *#searching(
    terms: readonly string[],
    limit: number,
    after: Uint8Array | undefined,
  ): Generator<number, Matches> {
    const key = [limit, after === undefined ? '' : Buffer.from(after).toString('hex'), ...terms];
    const known = this.#cache.get(key.join(' '));
    if (known !== undefined) return known;
    const scratch = this.#spare.pop() ?? new Scratch();
    const meter = new Meter(this.#step);
    const search = new NameSearch(this.#table, this.#words, terms, limit, after, scratch, meter);
    this.#searches.add(search);
    try {
      const matches = yield* search.run();
      // What took long is kept until something changes; but no page that lost some while it was made.
      const isWhole = matches.best.length === limit || !matches.more;
      if (meter.all > this.#step / 2 && isWhole) {
        this.#cache.set(key.join(' '), matches);
      }
      return matches;
    } finally {
      this.#searches.delete(search);
      if (this.#spare.length < MAX_SPARE) {
        scratch.trim();
        this.#spare.push(scratch);
      }
    }
  }

  /** Have the words of a name lead to it, or no longer. */
  #index(kind: NameKind, id: number, text: number, isThere: boolean): void {
    const slab = this.#table.texts.slab(text);
    const from = foldedAt(text);
    const to = from + foldedBytes(slab, text);
    if (isThere) this.#words.add(kind, id, slab, from, to);
    else this.#words.remove(kind, id, slab, from, to);
  }
}
