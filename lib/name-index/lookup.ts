/**
 * Parts of a search, each of which can be interrupted: files and folders may come and go meanwhile. What
 * stays is dealt with exactly once. What comes or goes may be dealt with wrongly, and is looked at again
 * when all is done (see search.ts). So no column of a table is kept across an interruption, and ids
 * may be gone.
 */
import { grown } from './arena.js';
import type { TopK } from './top-k.js';
import { NONE, WORD } from './bytes.js';
import { TOP } from './folder-tree.js';
import type { TermWords } from './term-words.js';
import { AS_WORD, HOLDS, type Matcher, type Term } from './match.js';
import type { Meter } from './meter.js';
import { NEXT, ROW, TEXT, type PathTable } from './path-table.js';
import { clearBit, hasBit, setBit, type Scratch } from './scratch.js';
import { FILES, FOLDERS, type NameKind, type Words } from './words.js';

const BLOCK = 1024;
/** Units of work: to look at a list, at a text. */
const LIST = 8;
const SEEK = 12;
/** To look at a path for very many terms. */
const READ_PATH = 48;
/** With more folders than this, it would take too long to go through a tree without an interruption. */
const MANY_FOLDERS = 500_000;

/** Folders whose paths hold a term. */
interface FolderMatches {
  /** Those that do while those above do not. */
  tops: ReadonlySet<number>;
  /** Those with files right in them. */
  below: readonly number[];
}

/** Takes the first `count` files in `block`, in whose own names a term is. */
type Take = (count: number) => void;

export class Lookup {
  /** Files that were counted one by one. */
  count = 0;
  /** Files, and for each, whether the term at hand is a word in its name. */
  readonly block = new Uint32Array(BLOCK);
  readonly isWord = new Uint8Array(BLOCK);

  // Loops over very many are in functions of their own: generators are not made as fast.
  constructor(
    readonly table: PathTable,
    readonly words: Words,
    readonly matcher: Matcher,
    readonly best: TopK,
    readonly scratch: Scratch,
    readonly meter: Meter,
  ) {
    scratch.clear('counted', table.ids);
  }

  /** Count a file, if it was not. */
  countOnce(id: number): void {
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
  all(): Generator<number> {
    return this.each(this.table.ids);
  }

  /** Look at the first `count` files of those in `ids`, or of all, for all terms. */
  *each(count: number, ids?: Uint32Array): Generator<number> {
    const { isMany, terms } = this.matcher;
    const cost = isMany ? READ_PATH : terms.length === 0 ? 1 : SEEK;
    const block = isMany ? BLOCK / 4 : BLOCK;
    for (let from = 0; from < count; from += block) {
      const to = Math.min(count, from + block);
      this.#matchRange(from, to, ids);
      if (this.meter.spend((to - from) * cost)) yield this.meter.take();
    }
  }

  #matchRange(from: number, to: number, ids?: Uint32Array): void {
    const { matcher, best } = this;
    const { rows, folders, bytes } = this.table;
    matcher.forget();
    for (let i = from; i < to; i++) {
      const id = ids === undefined ? i : (ids[i] ?? 0);
      if (rows[id * ROW + TEXT] === 0) continue;
      const folder = folders[id] ?? TOP;
      if (!matcher.mayMatch(id, folder)) continue;
      const isBehind = (bytes[id] ?? 0) > best.worst;
      const rank = isBehind ? 0 : matcher.rank(id, folder);
      if (isBehind ? !matcher.matches(id, folder) : rank < 0) continue;
      this.countOnce(id);
      if (isBehind) best.more = true;
      else best.offer(id, rank);
    }
  }

  /** Find what folders hold a term. */
  *folders({ term, words, wholes }: TermWords): Generator<number, FolderMatches> {
    const { meter } = this;
    this.matcher.remember(term);
    const own: number[] = [];
    for (let i = 0; i < words.length; i++) {
      const n = this.#read(words[i] ?? 0, FOLDERS);
      const bits = i < wholes ? HOLDS | AS_WORD : HOLDS;
      this.#note(n, term, bits, own);
      if (meter.spend(LIST + n)) yield meter.take();
    }
    term.complete = term.isPiece;
    const tops = new Set<number>();
    for (let from = 0; from < own.length; from += BLOCK) {
      const to = Math.min(own.length, from + BLOCK);
      this.#topmost(own, from, to, term, tops);
      if (meter.spend((to - from) * (term.isPiece ? 4 : SEEK))) yield meter.take();
    }
    term.complete = true;
    const below: number[] = [];
    if (this.table.tree.live > MANY_FOLDERS) {
      for (let from = 0; tops.size > 0 && from < this.table.tree.folders; from += BLOCK) {
        this.#containing(from, Math.min(this.table.tree.folders, from + BLOCK), term, below);
        if (meter.spend(BLOCK * 4)) yield meter.take();
      }
      return { tops, below };
    }
    for (const top of tops) if (meter.spend(this.#spread(top, term, below))) yield meter.take();
    term.isSpread = term.head.length === 0;
    return { tops, below };
  }

  /** All folders at and below one that holds a term do so, too. @returns units of work */
  #spread(top: number, term: Term, below: number[]): number {
    const { tree } = this.table;
    const { firstChild, firstFile, nextSibling, parent, text } = tree;
    const { folders } = term;
    if (text[top] === 0) return 1;
    let work = 0;
    for (let folder = top; ;) {
      work += 2;
      if (folder !== top) {
        const above = folders[parent[folder] ?? TOP] ?? 0;
        folders[folder] = (folders[folder] ?? 0) | (above & (HOLDS | AS_WORD));
      }
      if (firstFile[folder] !== 0) below.push(folder);
      const child = firstChild[folder] ?? 0;
      if (child !== 0) {
        folder = child;
        continue;
      }
      while (folder !== top && nextSibling[folder] === 0) folder = parent[folder] ?? TOP;
      if (folder === top) return work;
      folder = nextSibling[folder] ?? TOP;
    }
  }

  #containing(from: number, to: number, term: Term, below: number[]): void {
    const { firstFile, text } = this.table.tree;
    for (let folder = from; folder < to; folder++) {
      if (text[folder] === 0 || firstFile[folder] === 0) continue;
      if ((this.matcher.folder(folder, term) & HOLDS) !== 0) below.push(folder);
    }
  }

  /** Note what folders on the list hold in their own names. */
  #note(n: number, term: Term, bits: number, own: number[]): void {
    const { list } = this.scratch;
    const { folders, isPiece } = term;
    for (let i = 0; i < n; i++) {
      const folder = list[i] ?? TOP;
      if (isPiece) folders[folder] = (folders[folder] ?? 0) | bits;
      own.push(folder);
    }
  }

  #topmost(own: number[], from: number, to: number, term: Term, tops: Set<number>): void {
    const { text, parent } = this.table.tree;
    for (let i = from; i < to; i++) {
      const folder = own[i] ?? TOP;
      if (text[folder] === 0 || (this.matcher.folder(folder, term) & HOLDS) === 0) continue;
      if ((this.matcher.folder(parent[folder] ?? TOP, term) & HOLDS) === 0) tops.add(folder);
    }
  }

  /** Take the files in whose own name a term is, or the end of it. A bit in `seen` is set for each. */
  *names({ term, words, wholes }: TermWords, take: Take): Generator<number> {
    const { meter, scratch, table } = this;
    scratch.clear('seen', table.ids);
    for (let i = 0; i < words.length; i++) {
      const n = this.#read(words[i] ?? 0, FILES);
      for (let from = 0; from < n; from += BLOCK) {
        const to = Math.min(n, from + BLOCK);
        if (term.isPiece) take(this.#take(from, to, i < wholes ? 1 : 0));
        else take(this.#takeHolding(from, to, term));
        if (meter.spend((to - from) * (term.isPiece ? 2 : SEEK))) yield meter.take();
      }
      if (meter.spend(LIST + (n >>> 2))) yield meter.take();
    }
  }

  /** Put those of the list that were not seen into `block`. */
  #take(from: number, to: number, isWord: number): number {
    const { block, scratch } = this;
    const { list, seen } = scratch;
    let n = 0;
    for (let i = from; i < to; i++) {
      const id = list[i] ?? 0;
      const bits = seen[id >>> 5] ?? 0;
      const bit = 1 << (id & 31);
      if ((bits & bit) !== 0) continue;
      seen[id >>> 5] = bits | bit;
      block[n++] = id;
    }
    this.isWord.fill(isWord, 0, n);
    return n;
  }

  /** Those that hold a term. */
  #takeHolding(from: number, to: number, term: Term): number {
    const { block, isWord, matcher, scratch, table } = this;
    const { list, seen } = scratch;
    const { rows, folders } = table;
    let n = 0;
    for (let i = from; i < to; i++) {
      const id = list[i] ?? 0;
      if (hasBit(seen, id) || rows[id * ROW + TEXT] === 0) continue;
      const inName = matcher.name(id, matcher.folder(folders[id] ?? TOP, term), term, true);
      if (inName === NONE) continue;
      setBit(seen, id);
      isWord[n] = inName === WORD ? 1 : 0;
      block[n++] = id;
    }
    return n;
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
    return this.table.bytes[id] ?? 0;
  }

  offer(id: number, rank: number): void {
    if (rank > this.best.worst) this.best.more = true;
    else this.best.offer(id, rank);
  }

  #read(word: number, kind: NameKind): number {
    const list = this.words.list(word, kind);
    this.scratch.list = grown(this.scratch.list, this.words.lists.entries(list));
    return this.words.lists.read(list, this.scratch.list);
  }
}
