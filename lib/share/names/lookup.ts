/**
 * The course of one search: all paths, or those that hold one term by its trigrams, are counted and
 * offered to the best few.
 */
import type { Best } from './best.js';
import { TOP } from './folder-tree.js';
import { AS_WORD, HOLDS, NAME_STEP, WORD_STEP, type Matcher, type Term } from './match.js';
import { NONE, WORD } from './bytes.js';
import { BYTES, FOLDER, NEXT, ROW, TEXT, type PathTable } from './path-table.js';

/** Ids from a posting list: some may be gone, and some may come twice. */
export interface Listed {
  ids: Uint32Array;
  count: number;
  /** Each of them holds the whole term, and comes once. */
  exact: boolean;
}

export class Lookup {
  readonly #table: PathTable;
  readonly #matcher: Matcher;
  readonly #best: Best;
  #total = 0;

  constructor(table: PathTable, matcher: Matcher, best: Best) {
    this.#table = table;
    this.#matcher = matcher;
    this.#best = best;
  }

  /** Look at all paths. @returns how many match */
  scan(): number {
    const { ids, rows } = this.#table;
    const matcher = this.#matcher;
    const best = this.#best;
    const [term] = matcher.terms;
    if (term === undefined || matcher.terms.length > 1) {
      for (let id = 0; id < ids; id++) {
        if (rows[id * ROW + TEXT] !== 0) this.#consider(id, rows[id * ROW + FOLDER] ?? TOP, 0);
      }
      return this.#total;
    }
    // Files of a folder mostly have ids side by side.
    let last = -1;
    let inFolder = 0;
    for (let id = 0; id < ids; id++) {
      if (rows[id * ROW + TEXT] === 0) continue;
      const folder = rows[id * ROW + FOLDER] ?? TOP;
      if (folder !== last) {
        last = folder;
        inFolder = matcher.folder(folder, term);
      }
      const path = rows[id * ROW + BYTES] ?? 0;
      const mayBeWord = matcher.mayBeWord(id, inFolder, term);
      if ((inFolder & HOLDS) !== 0) {
        this.#total++;
        if ((mayBeWord ? path : path + WORD_STEP) > best.worst) best.more = true;
        else if (!this.#alone(id, path, inFolder, mayBeWord, term)) {
          best.offer(id, path + NAME_STEP + ((inFolder & AS_WORD) !== 0 ? 0 : WORD_STEP));
        }
      } else if (this.#alone(id, path, inFolder, mayBeWord, term)) {
        this.#total++;
      }
    }
    return this.#total;
  }

  /**
   * Look at what holds a term.
   *
   * @param folders those in whose own name the term ends, and perhaps others
   * @param files the same
   * @param seen a bit for each id
   */
  lookUp(term: Term, folders: () => Listed, files: () => Listed, seen: Uint32Array): number {
    this.#matcher.remember(term);
    const tops = this.#topmost(term, folders());
    term.complete = true;
    term.absent = tops.size === 0 && term.head.length === 0;
    this.#names(term, files(), seen.fill(0));
    // Names first: what is only in folders ranks behind, and most of it need not be looked at.
    for (const top of tops) this.#below(top, term, seen);
    return this.#total;
  }

  /** Folders that hold a term, while those above do not. */
  #topmost(term: Term, { ids, count }: Listed): Set<number> {
    const { text, parent } = this.#table.tree;
    const tops = new Set<number>();
    for (let i = 0; i < count; i++) {
      const folder = ids[i] ?? TOP;
      if (text[folder] === 0 || (this.#matcher.folder(folder, term) & HOLDS) === 0) continue;
      const above = this.#matcher.folder(parent[folder] ?? TOP, term);
      if ((above & HOLDS) === 0) tops.add(folder);
    }
    return tops;
  }

  /** Files in whose name a term ends. */
  #names(term: Term, { ids, count, exact }: Listed, seen: Uint32Array): void {
    const { rows } = this.#table;
    const matcher = this.#matcher;
    const best = this.#best;
    const isAlone = matcher.terms.length === 1;
    for (let i = 0; i < count; i++) {
      const id = ids[i] ?? 0;
      const bits = seen[id >>> 5] ?? 0;
      const bit = 1 << (id & 31);
      if (!exact && ((bits & bit) !== 0 || rows[id * ROW + TEXT] === 0)) continue;
      const folder = rows[id * ROW + FOLDER] ?? TOP;
      const inFolder = matcher.folder(folder, term);
      const path = rows[id * ROW + BYTES] ?? 0;
      if (isAlone) {
        const mayBeWord = matcher.mayBeWord(id, inFolder, term);
        if (exact && (mayBeWord ? path : path + WORD_STEP) > best.worst) best.more = true;
        else if (!this.#alone(id, path, inFolder, mayBeWord, term)) continue;
      } else if (!exact && matcher.name(id, inFolder, term, false) === NONE) continue;
      seen[id >>> 5] = bits | bit;
      if (!isAlone) this.#consider(id, folder, 0, term);
      // Those in folders that hold the term are counted with all in there.
      else if ((inFolder & HOLDS) === 0) this.#total++;
    }
  }

  /** Offer a file if its name holds the only term. @returns whether it does */
  #alone(id: number, path: number, inFolder: number, mayBeWord: boolean, term: Term): boolean {
    const best = this.#best;
    const isBehind = (mayBeWord ? path : path + WORD_STEP) > best.worst;
    const isWord = (inFolder & AS_WORD) !== 0;
    const found = this.#matcher.name(id, inFolder, term, mayBeWord && !isBehind && !isWord);
    if (found === NONE) return false;
    if (isBehind) best.more = true;
    else best.offer(id, isWord || found === WORD ? path : path + WORD_STEP);
    return true;
  }

  /** Files below a folder that holds a term, but those seen. */
  #below(top: number, term: Term, seen: Uint32Array): void {
    const { tree, rows } = this.#table;
    const { parent, firstChild, nextSibling, firstFile } = tree;
    const isAlone = this.#matcher.terms.length === 1;
    if (isAlone) this.#total += tree.filesBelow[top] ?? 0;
    for (let folder = top; ;) {
      const skip =
        isAlone &&
        NAME_STEP + (tree.bytes[folder] ?? 0) > this.#best.worst &&
        (this.#best.more || this.#hasUnseen(folder, seen));
      if (!skip) {
        const asWord = (this.#matcher.folder(folder, term) & AS_WORD) !== 0;
        const bound = asWord ? NAME_STEP : NAME_STEP + WORD_STEP;
        for (let at = firstFile[folder] ?? 0; at !== 0; at = rows[(at - 1) * ROW + NEXT] ?? 0) {
          const id = at - 1;
          if ((((seen[id >>> 5] ?? 0) >>> (id & 31)) & 1) !== 0) continue;
          if (!isAlone) this.#consider(id, folder, NAME_STEP, term);
          else if (bound + (rows[id * ROW + BYTES] ?? 0) > this.#best.worst) this.#best.more = true;
          else this.#best.offer(id, bound + (rows[id * ROW + BYTES] ?? 0));
        }
      }
      const child = skip ? 0 : (firstChild[folder] ?? 0);
      if (child !== 0) {
        folder = child;
        continue;
      }
      while (folder !== top && nextSibling[folder] === 0) folder = parent[folder] ?? TOP;
      if (folder === top) return;
      folder = nextSibling[folder] ?? TOP;
    }
  }

  /** Whether right in a folder there is a file not seen: then what is skipped is more to come. */
  #hasUnseen(folder: number, seen: Uint32Array): boolean {
    const { tree, rows } = this.#table;
    for (let at = tree.firstFile[folder] ?? 0; at !== 0; at = rows[(at - 1) * ROW + NEXT] ?? 0) {
      const id = at - 1;
      if ((((seen[id >>> 5] ?? 0) >>> (id & 31)) & 1) === 0) {
        this.#best.more = true;
        return true;
      }
    }
    return false;
  }

  /**
   * @param bound added to the rank that it may have
   * @param sure a term that it holds
   */
  #consider(id: number, folder: number, bound: number, sure?: Term): void {
    const matcher = this.#matcher;
    const best = this.#best;
    if (!matcher.mayMatch(id, folder)) return;
    if (bound + matcher.bound(id, folder) > best.worst) {
      if (!matcher.matches(id, folder, sure)) return;
      best.more = true;
      this.#total++;
    } else {
      const rank = matcher.rank(id, folder);
      if (rank < 0) return;
      best.offer(id, rank);
      this.#total++;
    }
  }
}
