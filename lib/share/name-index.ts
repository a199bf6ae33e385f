/**
 * Search by name among a million: terms (see names.ts) are looked up by their trigrams, in folders and
 * in file names apart, so that what many files have in common is kept and searched once.
 */
import { MAX_FILES, MAX_PATH_BYTES } from '../wire/limits.js';
import { grown } from './arena.js';
import { Best, cursorOf } from './best.js';
import { Matcher, Term } from './match.js';
import { termsOf } from './names.js';
import { PathTable } from './path-table.js';
import { Postings } from './posting.js';

export interface Results {
  /** How many match in all. */
  total: number;
  /** Best first. */
  ids: number[];
  /** Cursor for the next page, when there are more. */
  after?: Uint8Array;
}

/** What comes before a name in the text that is indexed for it: the slash and the byte before. */
const BEFORE = 2;
/** Folding makes a text five times as long at most: three by its normal form, and less than two by its case. */
const MAX_TEXT_BYTES = 5 * MAX_PATH_BYTES + BEFORE;

/** How a term is looked up: a list of files and one of folders (-1: there are none), and their cost. */
interface Plan {
  term: Term;
  files: number;
  folders: number;
  cost: number;
}

export class NameIndex {
  readonly #table = new PathTable();
  readonly #folders = new Postings((folder, trigram) => this.#folderHolds(folder, trigram));
  readonly #files = new Postings((id, trigram) => this.#fileHolds(id, trigram));
  readonly #text = Buffer.alloc(MAX_TEXT_BYTES);
  /** Ids considered in the search that runs. */
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
   * Add a path, or give an id another one. No two ids may have the same path.
   *
   * @param id a small number: memory is kept for all below it
   * @throws {RangeError} for a path longer than the wire allows
   */
  add(id: number, path: string): void {
    this.remove(id);
    const { folder, isNew } = this.#table.add(id, path);
    if (isNew) {
      this.#folders.add(folder, ...this.#table.folded(this.#table.folderText[folder] ?? 0));
    }
    this.#files.add(id, this.#text, 0, this.#fileText(id));
  }

  remove(id: number): void {
    if (!this.#table.has(id)) return;
    const folder = this.#table.folderOf[id] ?? 0;
    const end = this.#fileText(id);
    const isEmpty = this.#table.remove(id);
    this.#files.remove(this.#text, 0, end);
    if (!isEmpty) return;
    const [slab, from, to] = this.#table.folded(this.#table.folderText[folder] ?? 0);
    const text = Buffer.from(slab.subarray(from, to));
    this.#table.removeFolder(folder);
    this.#folders.remove(text, 0, text.length);
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
    const matcher = new Matcher(this.#table, terms);
    const best = new Best(this.#table, limit, after);
    const plan = this.#cheapest(terms);
    const total =
      plan === undefined ? this.#scan(matcher, best) : this.#lookUp(plan, matcher, best);
    const { more } = best;
    const ids = best.take();
    const last = ids.at(-1);
    if (!more || last === undefined) return { total, ids };
    const rank = matcher.rank(last, this.#table.folderOf[last] ?? 0);
    return { total, ids, after: cursorOf(this.#table.path(last) ?? '', rank) };
  }

  /** Look at all paths. */
  #scan(matcher: Matcher, best: Best): number {
    const { ids, text, folderOf } = this.#table;
    let total = 0;
    for (let id = 0; id < ids; id++) {
      if (text[id] !== 0) total += this.#consider(id, folderOf[id] ?? 0, matcher, best);
    }
    return total;
  }

  #lookUp({ term, files, folders }: Plan, matcher: Matcher, best: Best): number {
    const { firstFile, next, text, folderOf, folderText } = this.#table;
    let total = 0;
    matcher.remember(term);
    const inFolders = folders < 0 ? 0 : this.#folders.read(folders);
    const { ids: found } = this.#folders;
    for (let i = 0; i < inFolders; i++) {
      const folder = found[i] ?? 0;
      // Folders may be on the list twice: those known have been here.
      if (folderText[folder] === 0 || term.folders[folder] !== 0) continue;
      if (!matcher.folderHolds(folder, term)) continue;
      for (let id = firstFile[folder] ?? 0; id !== 0; id = next[id - 1] ?? 0) {
        total += this.#consider(id - 1, folder, matcher, best, term);
      }
    }
    term.complete = true;
    if (files < 0) return total;
    const sure = term.bytes.length === 3 && this.#files.exact(files) ? term : undefined;
    const inNames = this.#files.read(files);
    const { ids } = this.#files;
    this.#seen = grown(this.#seen, (this.#table.ids >>> 5) + 1);
    const seen = this.#seen.fill(0);
    for (let i = 0; i < inNames; i++) {
      const id = ids[i] ?? 0;
      const bits = seen[id >>> 5] ?? 0;
      const bit = 1 << (id & 31);
      if ((bits & bit) !== 0 || text[id] === 0) continue;
      seen[id >>> 5] = bits | bit;
      const folder = folderOf[id] ?? 0;
      if (matcher.folderHolds(folder, term)) continue;
      total += this.#consider(id, folder, matcher, best, sure);
    }
    return total;
  }

  /** @returns 1 for a match */
  #consider(id: number, folder: number, matcher: Matcher, best: Best, sure?: Term): number {
    if (!matcher.mayMatch(id, folder)) return 0;
    // Its length is the best rank that it can have.
    const bound = this.#table.bytes[id] ?? 0;
    if (bound > best.worst) {
      if (!matcher.matches(id, folder, sure)) return 0;
      best.more = true;
      return 1;
    }
    const rank = matcher.rank(id, folder);
    if (rank < 0) return 0;
    best.offer(id, rank);
    return 1;
  }

  /** The term with the shortest lists. None when no term has a trigram. */
  #cheapest(terms: readonly Term[]): Plan | undefined {
    let cheapest: Plan | undefined;
    for (const term of terms) {
      const { bytes, head } = term;
      if (bytes.length < 3) continue;
      const folders = rarest(this.#folders, bytes, 0);
      // A name has no slash: of a term that crosses into it, it has what ends behind the last one.
      const inName = Math.max(0, head.length - BEFORE);
      const files = head.length === bytes.length ? -1 : rarest(this.#files, bytes, inName);
      const perFolder = this.#table.size / Math.max(1, this.#table.liveFolders);
      const cost = this.#files.live(files) + this.#folders.live(folders) * perFolder;
      if (cheapest === undefined || cost < cheapest.cost) cheapest = { term, files, folders, cost };
    }
    return cheapest;
  }

  /** Put the text that is indexed for a file name into `#text`. */
  #fileText(id: number): number {
    const { folderOf, folderText, text } = this.#table;
    const [folder, folderFrom, folderTo] = this.#table.folded(folderText[folderOf[id] ?? 0] ?? 0);
    const [name, from, to] = this.#table.folded(text[id] ?? 0);
    const begin = Math.max(folderFrom, folderTo - BEFORE);
    folder.copy(this.#text, 0, begin, folderTo);
    name.copy(this.#text, folderTo - begin, from, to);
    return folderTo - begin + to - from;
  }

  #fileHolds(id: number, trigram: number): boolean {
    return this.#table.has(id) && holds(this.#text, 0, this.#fileText(id), trigram);
  }

  #folderHolds(folder: number, trigram: number): boolean {
    const text = this.#table.folderText[folder] ?? 0;
    return text !== 0 && holds(...this.#table.folded(text), trigram);
  }
}

/** The shortest of the lists for the trigrams from `from` on, or -1 when one has none. */
function rarest(postings: Postings, bytes: Uint8Array, from: number): number {
  let shortest = -1;
  for (let i = from; i + 2 < bytes.length; i++) {
    const list = postings.list(trigramAt(bytes, i));
    if (postings.live(list) === 0) return -1;
    if (shortest < 0 || postings.live(list) < postings.live(shortest)) shortest = list;
  }
  return shortest;
}

function holds(bytes: Uint8Array, from: number, to: number, trigram: number): boolean {
  for (let i = from; i + 2 < to; i++) if (trigramAt(bytes, i) === trigram) return true;
  return false;
}

function trigramAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
}
