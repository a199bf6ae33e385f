/**
 * Parts of a search, each of which can be interrupted: files and folders may come and go meanwhile. What
 * stays is dealt with exactly once. What comes or goes may be dealt with wrongly, and is looked at again
 * when all is done (see search.ts). So no column of a table is kept across an interruption, and ids
 * may be gone.
 */
import { grown } from './arena.js';
import type { Best } from './best.js';
import { NONE, WORD } from './bytes.js';
import { TOP } from './folder-tree.js';
import type { Found } from './found.js';
import { AS_WORD, HOLDS, NAME_STEP, WORD_STEP, type Matcher } from './match.js';
import type { Meter } from './meter.js';
import { BYTES, FOLDER, NEXT, ROW, TEXT, type PathTable } from './path-table.js';
import { clearBit, hasBit, setBit, type Scratch } from './scratch.js';
import { FILES, FOLDERS, type Holders, type Words } from './words.js';

const BLOCK = 1024;
/** Units of work: to look at a list, at a text. */
const LIST = 8;
const SEEK = 12;
/** Below folders with so few files, the folders are sought one by one, and else among all folders. */
const FEW_BELOW = 16_384;

/** Takes a file in whose own name a term is. `inFolder`: what is known of the term in its folder. */
type Take = (id: number, inFolder: number, isWord: boolean) => void;

export class Lookup {
  /** Files that were counted one by one. */
  count = 0;

  constructor(
    readonly table: PathTable,
    readonly words: Words,
    readonly matcher: Matcher,
    readonly best: Best,
    readonly scratch: Scratch,
    readonly meter: Meter,
  ) {
    scratch.clear('counted', table.ids);
  }

  /** Count a file, if it was not. */
  counts(id: number): void {
    const { scratch } = this;
    if (id >>> 5 >= scratch.counted.length)
      scratch.counted = grown(scratch.counted, (id >>> 5) + 1);
    if (hasBit(scratch.counted, id)) return;
    setBit(scratch.counted, id);
    this.count++;
  }

  uncount(id: number): void {
    if (!hasBit(this.scratch.counted, id)) return;
    clearBit(this.scratch.counted, id);
    this.count--;
  }

  /** Look at all files, for terms that are in no list. */
  *all(): Generator<number> {
    const { table, matcher, best } = this;
    const cost = matcher.terms.length === 0 ? 1 : SEEK;
    for (let from = 0; from < table.ids; from += BLOCK) {
      const { rows } = table;
      const to = Math.min(table.ids, from + BLOCK);
      for (let id = from; id < to; id++) {
        if (rows[id * ROW + TEXT] === 0) continue;
        const folder = rows[id * ROW + FOLDER] ?? TOP;
        if (!matcher.mayMatch(id, folder)) continue;
        if (matcher.bound(id, folder) > best.worst) {
          if (!matcher.matches(id, folder)) continue;
          best.more = true;
        } else {
          const rank = matcher.rank(id, folder);
          if (rank < 0) continue;
          best.offer(id, rank);
        }
        this.counts(id);
      }
      if (this.meter.spend((to - from) * cost)) yield this.meter.take();
    }
  }

  /** Find what folders hold a term. @returns those that do while those above do not */
  *folders({ term, words, isFirstWhole }: Found): Generator<number, Set<number>> {
    const { matcher, meter, scratch } = this;
    matcher.remember(term);
    const own: number[] = [];
    for (let i = 0; i < words.length; i++) {
      const n = this.#read(words[i] ?? 0, FOLDERS);
      const bits = isFirstWhole && i === 0 ? HOLDS | AS_WORD : HOLDS;
      for (let j = 0; j < n; j++) {
        const folder = scratch.list[j] ?? TOP;
        if (term.isPiece) term.folders[folder] = (term.folders[folder] ?? 0) | bits;
        own.push(folder);
      }
      if (meter.spend(LIST + n)) yield meter.take();
    }
    term.complete = term.isPiece;
    const tops = new Set<number>();
    for (let from = 0; from < own.length; from += BLOCK) {
      const { text, parent } = this.table.tree;
      const to = Math.min(own.length, from + BLOCK);
      for (let i = from; i < to; i++) {
        const folder = own[i] ?? TOP;
        if (text[folder] === 0 || (matcher.folder(folder, term) & HOLDS) === 0) continue;
        if ((matcher.folder(parent[folder] ?? TOP, term) & HOLDS) === 0) tops.add(folder);
      }
      if (meter.spend((to - from) * (term.isPiece ? 4 : SEEK))) yield meter.take();
    }
    term.complete = true;
    term.absent = tops.size === 0 && term.head.length === 0;
    return tops;
  }

  /** Take the files in whose own name a term is, or the end of it. A bit in `seen` is set for each. */
  *names({ term, words, isFirstWhole }: Found, take: Take): Generator<number> {
    const { matcher, meter, scratch, table } = this;
    scratch.clear('seen', table.ids);
    const { seen } = scratch;
    for (let i = 0; i < words.length; i++) {
      const isWhole = isFirstWhole && i === 0;
      const n = this.#read(words[i] ?? 0, FILES);
      const { list } = scratch;
      for (let from = 0; from < n; from += BLOCK) {
        const to = Math.min(n, from + BLOCK);
        const { rows } = table;
        for (let j = from; j < to; j++) {
          const id = list[j] ?? 0;
          if (hasBit(seen, id)) continue;
          const inFolder = matcher.folder(rows[id * ROW + FOLDER] ?? TOP, term);
          if (term.isPiece) {
            setBit(seen, id);
            take(id, inFolder, isWhole);
          } else if (rows[id * ROW + TEXT] !== 0) {
            const inName = matcher.name(id, inFolder, term, true);
            if (inName === NONE) continue;
            setBit(seen, id);
            take(id, inFolder, inName === WORD);
          }
        }
        if (meter.spend((to - from) * (term.isPiece ? 2 : SEEK))) yield meter.take();
      }
      if (meter.spend(LIST + (n >>> 2))) yield meter.take();
    }
  }

  /** Folders with files right in them, at and below these. */
  *below(
    tops: ReadonlySet<number>,
    isBelow: (folder: number) => boolean,
  ): Generator<number, number[]> {
    const { tree } = this.table;
    const found: number[] = [];
    let files = 0;
    for (const top of tops) files += tree.filesBelow[top] ?? 0;
    if (files <= FEW_BELOW) {
      for (const top of tops) {
        for (const folder of tree.walk(top)) if (tree.firstFile[folder] !== 0) found.push(folder);
      }
      if (this.meter.spend(files * 2)) yield this.meter.take();
      return found;
    }
    for (let from = 0; from < tree.folders; from += BLOCK) {
      const to = Math.min(tree.folders, from + BLOCK);
      for (let folder = from; folder < to; folder++) {
        if (tree.text[folder] === 0 || tree.firstFile[folder] === 0) continue;
        if (isBelow(folder)) found.push(folder);
      }
      if (this.meter.spend(to - from)) yield this.meter.take();
    }
    return found;
  }

  /** The files right in a folder that were not seen. */
  unseen(folder: number, take: (id: number) => void): number {
    const { rows, tree } = this.table;
    const { seen } = this.scratch;
    let looked = 0;
    for (let at = tree.firstFile[folder] ?? 0; at !== 0; at = rows[(at - 1) * ROW + NEXT] ?? 0) {
      if (!hasBit(seen, at - 1)) take(at - 1);
      looked++;
    }
    return looked;
  }

  /** Bytes of the path of a file. */
  bytes(id: number): number {
    return this.table.rows[id * ROW + BYTES] ?? 0;
  }

  offer(id: number, rank: number): void {
    if (rank > this.best.worst) this.best.more = true;
    else this.best.offer(id, rank);
  }

  #read(word: number, holders: Holders): number {
    const list = this.words.list(word, holders);
    this.scratch.list = grown(this.scratch.list, this.words.lists.entries(list));
    return this.words.lists.read(list, this.scratch.list);
  }
}

/** The rank of a file by how many terms are no word in it, and how many are not in its name. */
export function rankOf(notWord: number, notName: number, bytes: number): number {
  return notWord * WORD_STEP + notName * NAME_STEP + bytes;
}
