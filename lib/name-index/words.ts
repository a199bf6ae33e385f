/**
 * The words of names: letters and digits side by side, as far as they go, each with the separator before
 * it. Names are many and words are few, so a term is looked up in the words, by their trigrams, and every
 * word knows the names that hold it. A term without a separator, or with one at its begin, lies in one
 * word, and then that is the answer.
 */
import { MAX_PATH_BYTES } from '../wire/limits.js';
import { grown } from './arena.js';
import { IN_WORD, NONE, PART, seek, WORD } from './bytes.js';
import { HashTable, hashBytes } from './hash-table.js';
import { IdLists } from './lists.js';
import { Postings } from './posting.js';
import { difference, foldedAt, foldedBytes, Texts } from './texts.js';

/** Folding makes a text at most three times as long by its normal form, and less than twice by its case. */
const MAX_WORD_BYTES = 6 * MAX_PATH_BYTES;
/** Stands before a word that begins a name; and behind all when they are indexed, so that their ends are, too. */
export const EDGE = 0;

// A word: a row of numbers. Where the text is 0, there is none.
const ROW = 4;
const TEXT = 0;
/** The change that touched it last: a name may hold a word more than once. */
const TOUCHED = 1;
/** Lists of the files and of the folders in whose own name it is. */
export const FILES = 2;
export const FOLDERS = 3;
export type NameKind = typeof FILES | typeof FOLDERS;

/** A part of a term that lies in one word. */
export interface Piece {
  /** With the separator before the word, or EDGE, unless it is open before. */
  bytes: Uint8Array;
  /** Whether there may be more of the word before and behind it. */
  openBefore: boolean;
  openBehind: boolean;
}

export class Words {
  readonly lists = new IdLists();
  /** Above all words there were. */
  words = 0;
  #rows = new Uint32Array(ROW * 64);
  #change = 0;
  readonly #texts = new Texts();
  readonly #byText = new HashTable();
  readonly #trigrams = new Postings((word, trigram) => this.#holds(word, trigram));
  readonly #free: number[] = [];
  /** A word, and how long it is. */
  readonly #word = Buffer.alloc(MAX_WORD_BYTES + 2);
  #length = 0;

  /** A name is there: its folded bytes. */
  add(kind: NameKind, id: number, bytes: Uint8Array, from: number, to: number): void {
    const change = this.#begin();
    for (
      let end = this.#take(bytes, from, from, to);
      end > 0;
      end = this.#take(bytes, from, end, to)
    ) {
      let word = this.find(this.#word, 0, this.#length);
      if (word < 0) word = this.#make();
      const row = word * ROW;
      const rows = this.#rows;
      if (rows[row + TOUCHED] === change) continue;
      rows[row + TOUCHED] = change;
      rows[row + kind] = this.lists.add(rows[row + kind] ?? 0, id);
    }
    this.lists.compact();
  }

  /** A name that was added is gone. */
  remove(kind: NameKind, id: number, bytes: Uint8Array, from: number, to: number): void {
    const change = this.#begin();
    const rows = this.#rows;
    for (
      let end = this.#take(bytes, from, from, to);
      end > 0;
      end = this.#take(bytes, from, end, to)
    ) {
      const word = this.find(this.#word, 0, this.#length);
      const row = word * ROW;
      // Found no more, when it comes twice and this was its last name.
      if (word < 0 || rows[row + TOUCHED] === change) continue;
      rows[row + TOUCHED] = change;
      rows[row + kind] = this.lists.remove(rows[row + kind] ?? 0, id);
      if (rows[row + FILES] === 0 && rows[row + FOLDERS] === 0) this.#drop(word);
    }
    this.lists.compact();
  }

  /** The word with these bytes, or -1. */
  find(bytes: Uint8Array, from: number, to: number): number {
    return this.#byText.find(hashBytes(0, bytes, from, to), (word) =>
      this.#texts.isOriginal(this.#rows[word * ROW + TEXT] ?? 0, bytes, from, to),
    );
  }

  /** The list of those that hold a word. */
  list(word: number, kind: NameKind): number {
    return this.#rows[word * ROW + kind] ?? 0;
  }

  /**
   * Words that may hold a piece, by their trigrams.
   *
   * @returns a copy; none if the piece has no trigram, and all words have to be looked at
   */
  candidates({ bytes, openBehind }: Piece): Uint32Array | undefined {
    const padded = openBehind ? bytes : Buffer.concat([bytes, Buffer.of(EDGE)]);
    if (padded.length < 3) return undefined;
    const count = this.#trigrams.read(this.#trigrams.lists(padded));
    return this.#trigrams.ids.slice(0, count);
  }

  /** Whether there is such a word, and it holds a piece: NONE or PART, or WORD when it is no more than that. */
  holds(word: number, { bytes, openBefore, openBehind }: Piece): number {
    const text = this.#rows[word * ROW + TEXT] ?? 0;
    if (text === 0) return NONE;
    const slab = this.#texts.slab(text);
    const from = foldedAt(text);
    const length = foldedBytes(slab, text);
    const n = bytes.length;
    if (n > length) return NONE;
    if (openBefore && openBehind) return seek(slab, from, from + length, bytes, true);
    if (!openBefore && !openBehind && n !== length) return NONE;
    const at = openBefore ? from + length - n : from;
    if (difference(slab, at, at + n, bytes, 0, n) !== 0) return NONE;
    return n === length ? WORD : PART;
  }

  #begin(): number {
    if (this.#change === 0xffffffff) {
      for (let at = TOUCHED; at < this.#rows.length; at += ROW) this.#rows[at] = 0;
      this.#change = 0;
    }
    return ++this.#change;
  }

  /**
   * Put the next word of a name into `#word`, and EDGE behind it.
   *
   * @returns where it ends in the name, or 0 when there is none
   */
  #take(bytes: Uint8Array, begin: number, from: number, to: number): number {
    let at = from;
    while (at < to && IN_WORD[bytes[at] ?? 0] === 0) at++;
    if (at === to) return 0;
    const word = this.#word;
    word[0] = at === begin ? EDGE : (bytes[at - 1] ?? 0);
    let n = 1;
    while (at < to && IN_WORD[bytes[at] ?? 0] === 1) word[n++] = bytes[at++] ?? 0;
    word[n] = EDGE;
    this.#length = n;
    return at;
  }

  /** Make a word of what is in `#word`. */
  #make(): number {
    const bytes = this.#word;
    const n = this.#length;
    const word = this.#free.pop() ?? this.words++;
    this.#rows = grown(this.#rows, this.words * ROW);
    this.#rows.fill(0, word * ROW, (word + 1) * ROW);
    this.#rows[word * ROW + TEXT] = this.#texts.put(bytes, 0, n, bytes, 0, n);
    this.#byText.add(hashBytes(0, bytes, 0, n), word);
    this.#trigrams.add(word, bytes, n + 1);
    return word;
  }

  /** There are no names any more with the word that is in `#word`. */
  #drop(word: number): void {
    const n = this.#length;
    this.#byText.remove(hashBytes(0, this.#word, 0, n), word);
    this.#texts.release(this.#rows[word * ROW + TEXT] ?? 0);
    this.#rows[word * ROW + TEXT] = 0;
    this.#trigrams.remove(this.#word, n + 1);
    this.#free.push(word);
  }

  #holds(word: number, trigram: number): boolean {
    const text = this.#rows[word * ROW + TEXT] ?? 0;
    if (text === 0) return false;
    const slab = this.#texts.slab(text);
    const at = foldedAt(text);
    const end = at + foldedBytes(slab, text);
    let window = 0;
    for (let i = at; i <= end; i++) {
      window = ((window << 8) | (i === end ? EDGE : (slab[i] ?? 0))) & 0xffffff;
      if (i > at + 1 && window === trigram) return true;
    }
    return false;
  }
}
