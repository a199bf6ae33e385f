/** Whether a path matches a query, and its rank. */
import { grown } from './arena.js';
import {
  endsWord,
  IN_WORD,
  isKind,
  kindsOf,
  kindsOfWordStarts,
  kindsOfWordEnds,
  NONE,
  PART,
  seek,
  SLASH,
  WORD,
} from './bytes.js';
import { TOP } from './folder-tree.js';
import { ManyTerms } from './many-terms.js';
import { KINDS, ROW, type PathTable } from './path-table.js';
import { rankOf } from './rank.js';
import { foldedAt, foldedBytes } from './texts.js';
import { EDGE, type Piece } from './words.js';

/** Terms that are looked up one by one. Of a query with more, these are the longest. */
const MAX_LOOKED_UP = 16;

// What is known of a term in the path of a folder. Without KNOWN: in its own name, as far as it is known.
const KNOWN = 1;
export const HOLDS = 2;
export const AS_WORD = 4;
/** The path ends with the head of the term, and no word goes across the begin of that. */
const UP_TO_REST = 8;
const UP_TO_REST_AS_WORD = 16;

export class Term {
  readonly bytes: Uint8Array;
  /** Up to its last slash but one at the end: this has to be the end of what is above the rest. */
  readonly head: Uint8Array;
  /** This lies in one name, with the slash behind that of a folder. */
  readonly rest: { bytes: Uint8Array; kinds: number };
  readonly kinds: number;
  /** The kinds with which words of a name must begin and end so that the rest may be one. */
  readonly wordStarts: number;
  readonly wordEnds: number;
  /** Its kind says it all. */
  readonly isKind: boolean;
  /** The words in the rest, or parts of words: what holds the term holds all of them. */
  readonly pieces: readonly Piece[];
  /** It is a piece as a whole. */
  readonly isPiece: boolean;
  /** By folder, what is known; empty when it is not remembered. */
  folders: Uint8Array = new Uint8Array(0);
  /** All folders in whose own name it ends are known: others have it from above, or not at all. */
  complete = false;
  /** All folders are known: where nothing is noted, there is nothing. */
  isSpread = false;

  constructor(bytes: Buffer) {
    const slash = bytes.subarray(0, -1).lastIndexOf(SLASH) + 1;
    const rest = bytes.subarray(slash);
    this.bytes = bytes;
    this.head = bytes.subarray(0, slash);
    this.rest = { bytes: rest, kinds: kindsOf(rest, 0, rest.length) };
    this.kinds = kindsOf(bytes, 0, bytes.length);
    this.wordStarts = slash > 0 ? 0 : kindsOfWordStarts(rest, 0, 1);
    this.wordEnds = kindsOfWordEnds(rest, rest.length - 1, rest.length);
    this.isKind = bytes.length === 1 && isKind(bytes[0] ?? 0);
    this.pieces = [...piecesOf(rest, slash > 0)];
    this.isPiece = slash === 0 && this.pieces[0]?.bytes.length === bytes.length;
  }
}

/** @param isBegin whether the text is at the begin of a name */
function* piecesOf(text: Uint8Array, isBegin: boolean): Generator<Piece> {
  for (let at = 0; at < text.length; at++) {
    const begin = at;
    while (at < text.length && IN_WORD[text[at] ?? 0] === 1) at++;
    if (at === begin) continue;
    const openBehind = at === text.length;
    // With the separator before it, if that is known.
    if (begin > 0) yield { bytes: text.subarray(begin - 1, at), openBefore: false, openBehind };
    else if (!isBegin) yield { bytes: text.subarray(0, at), openBefore: true, openBehind };
    else yield { bytes: Buffer.of(EDGE, ...text.subarray(0, at)), openBefore: false, openBehind };
  }
}

export class Matcher {
  /** Those that are looked up: all, unless `isMany`. */
  readonly terms: readonly Term[];
  /** So many terms that a path is read once for all of them. */
  readonly #many: ManyTerms | undefined;
  readonly #table: PathTable;
  readonly #kinds: number;
  readonly #memory: Uint8Array[] | undefined;
  #remembered = 0;
  /** By term, what is known in the folder `#at`. */
  readonly #there: Uint8Array;
  #at = -1;

  /** @param memory for what is found in folders; without it, nothing is remembered */
  constructor(table: PathTable, terms: readonly string[], memory?: Uint8Array[]) {
    this.#table = table;
    // The longest are the rarest, most likely.
    const all = terms.map((term) => Buffer.from(term)).sort((a, b) => b.length - a.length);
    this.terms = all.slice(0, MAX_LOOKED_UP).map((term) => new Term(term));
    this.#many = all.length > MAX_LOOKED_UP ? new ManyTerms(table, all) : undefined;
    this.#memory = memory;
    this.#there = new Uint8Array(this.terms.length);
    this.#kinds = all.reduce((kinds, term) => kinds | kindsOf(term, 0, term.length), 0);
  }

  /** Whether there are more terms than those that are looked up. */
  get isMany(): boolean {
    return this.#many !== undefined;
  }

  /** Remember from now on what is found of a term in folders. */
  remember(term: Term): void {
    if (term.folders.length > 0 || this.#memory === undefined) return;
    const { folders } = this.#table.tree;
    const at = this.#remembered++;
    const column = grown(this.#memory[at] ?? new Uint8Array(0), folders);
    this.#memory[at] = column;
    term.folders = column.fill(0, 0, folders);
  }

  /** Folders may have changed since the last call, where nothing is remembered. */
  forget(): void {
    this.#at = -1;
    this.#many?.forget();
  }

  /** Whether a path has every kind of character that it needs. */
  mayMatch(id: number, folder: number): boolean {
    const { rows, tree } = this.#table;
    return (
      (((rows[id * ROW + KINDS] ?? 0) | (tree.kinds[folder] ?? 0)) & this.#kinds) === this.#kinds
    );
  }

  /** Whether a path matches. */
  matches(id: number, folder: number): boolean {
    if (this.#many !== undefined) return this.#many.rank(id, folder) >= 0;
    for (let i = 0; i < this.terms.length; i++) {
      const term = this.terms[i];
      if (term === undefined || term.isKind) continue;
      const inFolder = this.#inFolder(i, folder, term);
      if ((inFolder & HOLDS) === 0 && this.name(id, inFolder, term, false) === NONE) return false;
    }
    return true;
  }

  /** The rank of a path that matches, or -1. Lower is better. */
  rank(id: number, folder: number): number {
    if (this.#many !== undefined) return this.#many.rank(id, folder);
    let notWord = 0;
    let notName = 0;
    for (let i = 0; i < this.terms.length; i++) {
      const term = this.terms[i];
      if (term === undefined) break;
      const inFolder = this.#inFolder(i, folder, term);
      const isWord = (inFolder & AS_WORD) !== 0;
      const inName = this.name(id, inFolder, term, !isWord);
      if (inName === NONE) {
        if ((inFolder & HOLDS) === 0) return -1;
        notName++;
      }
      if (!isWord && inName !== WORD) notWord++;
    }
    return rankOf(notWord, notName, this.#table.bytes[id] ?? 0);
  }

  /** What `folder` says, kept while the folder is the same: mostly it is that of the file before. */
  #inFolder(i: number, folder: number, term: Term): number {
    if (folder !== this.#at) {
      this.#at = folder;
      this.#there.fill(0);
    }
    const known = this.#there[i] ?? 0;
    if (known !== 0) return known;
    const found = this.folder(folder, term);
    this.#there[i] = found;
    return found;
  }

  /**
   * How a file name holds a term, or the end of it.
   *
   * @param inFolder what is known of the term in its folder
   * @param closely whether to tell WORD from PART
   */
  name(id: number, inFolder: number, term: Term, closely: boolean): number {
    // Its characters: this says no to most, without a look at the text.
    if ((term.rest.kinds & ~(this.#table.rows[id * ROW + KINDS] ?? 0)) !== 0) return NONE;
    if (term.isKind && !closely) return PART;
    return this.#ownText(this.#table.text(id), inFolder, term, closely);
  }

  /** What there is to know of a term in the path of a folder: bits, see above. */
  folder(folder: number, term: Term): number {
    const known = term.folders[folder] ?? 0;
    if ((known & KNOWN) !== 0 || term.isSpread) return known;
    if (folder === TOP) return KNOWN;
    const { tree } = this.#table;
    const above = this.folder(tree.parent[folder] ?? TOP, term);
    let found = KNOWN | known | (above & (HOLDS | AS_WORD));
    const mayHold = (term.kinds & ~(tree.kinds[folder] ?? 0)) === 0;
    if ((found & AS_WORD) === 0 && !term.complete && mayHold) {
      const mayBeWord =
        ((tree.wordStarts[folder] ?? 0) & term.wordStarts) === term.wordStarts &&
        ((tree.wordEnds[folder] ?? 0) & term.wordEnds) === term.wordEnds;
      if (term.isKind) found |= HOLDS;
      if (mayBeWord || (found & HOLDS) === 0) {
        const own = this.#ownText(tree.text[folder] ?? 0, above, term, mayBeWord);
        if (own !== NONE) found |= own === WORD ? HOLDS | AS_WORD : HOLDS;
      }
    }
    if (term.head.length > 0) found |= this.#ends(folder, term.head);
    term.folders[folder] = found;
    return found;
  }

  /** How a name holds a term that lies in it, or begins above and ends in it. */
  #ownText(text: number, above: number, term: Term, closely: boolean): number {
    const slab = this.#table.texts.slab(text);
    const at = foldedAt(text);
    const end = at + foldedBytes(slab, text);
    const { bytes } = term.rest;
    if (term.head.length === 0) return seek(slab, at, end, bytes, closely);
    if ((above & UP_TO_REST) === 0 || end - at < bytes.length) return NONE;
    for (let i = 0; i < bytes.length; i++) if (slab[at + i] !== bytes[i]) return NONE;
    const to = at + bytes.length;
    return (above & UP_TO_REST_AS_WORD) !== 0 && (to === end || endsWord(slab, to)) ? WORD : PART;
  }

  /** Whether the path of a folder ends with these bytes. */
  #ends(folder: number, head: Uint8Array): number {
    const { tree, texts } = this.#table;
    let left = head.length;
    for (let up = folder; up !== TOP; up = tree.parent[up] ?? TOP) {
      const text = tree.text[up] ?? 0;
      const slab = texts.slab(text);
      const at = foldedAt(text);
      let i = at + foldedBytes(slab, text);
      while (i > at && left > 0) if (slab[--i] !== head[--left]) return 0;
      if (left > 0) continue;
      return i === at || endsWord(slab, i) ? UP_TO_REST | UP_TO_REST_AS_WORD : UP_TO_REST;
    }
    return 0;
  }
}
