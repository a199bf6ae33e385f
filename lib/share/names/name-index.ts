/**
 * Search by name among a million: terms (see names.ts) are looked up by their trigrams, in the names
 * of folders and of files, so that what many files have in common is kept and searched once.
 */
import { MAX_FILES, MAX_PATH_BYTES } from '../../wire/limits.js';
import { grown } from './arena.js';
import { Best, cursorOf } from './best.js';
import { SLASH } from './bytes.js';
import { TOP } from './folder-tree.js';
import { Lookup, type Listed } from './lookup.js';
import { Matcher, Term } from './match.js';
import { termsOf } from './names.js';
import { PathTable } from './path-table.js';
import { Postings } from './posting.js';
import { foldedAt, foldedBytes } from './texts.js';

export interface Results {
  /** How many match in all. */
  total: number;
  /** Best first. */
  ids: number[];
  /** Cursor for the next page, when there are more. */
  after?: Uint8Array;
}

/** What is indexed with a name: the slash before it, and the byte before that. */
const BEFORE = 2;
/** Folding makes a text at most three times as long by its normal form, and less than twice by its case. */
const MAX_TEXT_BYTES = BEFORE + 6 * MAX_PATH_BYTES;

/** Folders below which files are counted before a search, to find what is least. */
const MANY_FOLDERS = 20_000;

/** How a term is looked up: by lists of files and of folders, and how many files that means. */
interface Plan {
  term: Term;
  files: readonly number[];
  folders: readonly number[];
  cost: number;
}

export class NameIndex {
  readonly #table = new PathTable();
  readonly #folders = new Postings((folder, trigram) => {
    const { text, parent } = this.#table.tree;
    return this.#holds(text[folder] ?? 0, parent[folder] ?? TOP, trigram);
  });
  readonly #files = new Postings((id, trigram) =>
    this.#holds(this.#table.text(id), this.#table.folder(id), trigram),
  );
  readonly #indexed = Buffer.alloc(MAX_TEXT_BYTES);
  readonly #before = Buffer.alloc(BEFORE);
  readonly #lent: Uint8Array[] = [];
  /** Ids seen in the search that runs. */
  #seen = new Uint32Array(64);

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
    this.#table.add(id, path, this.#addFolder);
    const end = this.#toIndex(this.#table.text(id), this.#table.folder(id));
    this.#files.add(id, this.#indexed, end);
  }

  readonly #addFolder = (folder: number): void => {
    const { text, parent } = this.#table.tree;
    const end = this.#toIndex(text[folder] ?? 0, parent[folder] ?? TOP);
    this.#folders.add(folder, this.#indexed, end);
  };

  remove(id: number): void {
    if (!this.#table.has(id)) return;
    const { tree } = this.#table;
    let folder = this.#table.folder(id);
    const end = this.#toIndex(this.#table.text(id), folder);
    this.#table.remove(id);
    this.#files.remove(this.#indexed, end);
    while (folder !== TOP && tree.filesBelow[folder] === 0) {
      const parent = tree.parent[folder] ?? TOP;
      const end = this.#toIndex(tree.text[folder] ?? 0, parent);
      tree.remove(folder);
      this.#folders.remove(this.#indexed, end);
      folder = parent;
    }
  }

  /**
   * The best matches of a query: paths with all terms as whole words first, then those with all terms
   * in the file name, then shorter ones.
   *
   * @param max ids wanted, 1000 at most
   * @param after cursor of the page before; whatever was added or removed since, no path that stayed
   *   is left out or comes twice
   */
  search(query: string, max: number, after?: Uint8Array): Results {
    const limit = Math.min(Math.max(Math.trunc(max), 1) || 1, MAX_FILES);
    const terms = [...new Set(termsOf(query))].map((text) => new Term(text));
    const matcher = new Matcher(this.#table, terms, this.#lent);
    const best = new Best(this.#table, limit, after);
    const total = this.#run(new Lookup(this.#table, matcher, best), this.#cheapest(terms));
    const ids = best.take();
    const last = ids.at(-1);
    if (!best.more || last === undefined) return { total, ids };
    const rank = matcher.rank(last, this.#table.folder(last));
    return { total, ids, after: cursorOf(this.#table.path(last) ?? '', rank) };
  }

  #run(lookup: Lookup, plan: Plan | undefined): number {
    if (plan === undefined) return lookup.scan();
    const { term, files, folders } = plan;
    this.#seen = grown(this.#seen, (this.#table.ids >>> 5) + 1);
    return lookup.lookUp(
      term,
      () => read(this.#folders, folders, term),
      () => read(this.#files, files, term),
      this.#seen,
    );
  }

  /** The term with the least to look at. None when no term has a trigram. */
  #cheapest(terms: readonly Term[]): Plan | undefined {
    let cheapest: Plan | undefined;
    for (const term of terms) {
      const { bytes, head } = term;
      if (bytes.length < 3) continue;
      // A name is indexed with no more than what comes right before it.
      const from = Math.max(0, head.length - BEFORE);
      const folders = this.#folders.lists(bytes, from);
      const files = bytes.at(-1) === SLASH ? [] : this.#files.lists(bytes, from);
      let cost = this.#files.live(files[0] ?? -1);
      if (terms.length > 1) cost += this.#filesBelow(folders);
      if (cheapest === undefined || cost < cheapest.cost) cheapest = { term, files, folders, cost };
    }
    return cheapest;
  }

  /** Files below the folders on lists, more or less. */
  #filesBelow(lists: readonly number[]): number {
    const { filesBelow, live } = this.#table.tree;
    const perFolder = this.#table.size / live;
    const folders = this.#folders.live(lists[0] ?? -1);
    if (folders > MANY_FOLDERS) return folders * perFolder;
    const count = this.#folders.read(lists);
    let files = 0;
    for (let i = 0; i < count; i++) files += filesBelow[this.#folders.ids[i] ?? TOP] ?? 0;
    return files;
  }

  /** Put what is indexed for a name into `#indexed`. @returns where it ends */
  #toIndex(text: number, above: number): number {
    let end = this.#table.tree.copyEnd(above, BEFORE, this.#indexed);
    const slab = this.#table.texts.slab(text);
    const at = foldedAt(text);
    const bytes = foldedBytes(slab, text);
    for (let i = 0; i < bytes; i++) this.#indexed[end++] = slab[at + i] ?? 0;
    return end;
  }

  /** Whether a trigram is indexed for a name. */
  #holds(text: number, above: number, trigram: number): boolean {
    if (text === 0) return false;
    const slab = this.#table.texts.slab(text);
    const at = foldedAt(text);
    const end = at + foldedBytes(slab, text);
    let window = 0;
    let bytes = 0;
    if (trigram >>> 16 === SLASH || ((trigram >>> 8) & 0xff) === SLASH) {
      // It may begin before the name.
      bytes = this.#table.tree.copyEnd(above, BEFORE, this.#before);
      for (let i = 0; i < bytes; i++) window = (window << 8) | (this.#before[i] ?? 0);
    }
    for (let i = at; i < end; i++) {
      window = ((window << 8) | (slab[i] ?? 0)) & 0xffffff;
      if (++bytes >= 3 && window === trigram) return true;
    }
    return false;
  }
}

function read(postings: Postings, lists: readonly number[], { bytes }: Term): Listed {
  const count = postings.read(lists);
  const [list] = lists;
  const exact = bytes.length === 3 && list !== undefined && postings.exact(list);
  return { ids: postings.ids, count, exact };
}
