/**
 * The words of names: letters and digits side by side, as long as they go. Names are many and words are
 * few, so a term is sought in the words, by their trigrams, and every word knows the names that hold it.
 * What has no separator in it lies in one word, and then that is the answer.
 */
import { MAX_PATH_BYTES } from '../../wire/limits.js';
import { grown } from './arena.js';
import { IN_WORD, NONE, seek } from './bytes.js';
import { HashTable, hashBytes } from './hash-table.js';
import { Lists } from './lists.js';
import { Postings } from './posting.js';
import { difference, foldedAt, foldedBytes, Texts } from './texts.js';

/** Folding makes a text at most three times as long by its normal form, and less than twice by its case. */
const MAX_WORD_BYTES = 6 * MAX_PATH_BYTES;
/** A word is indexed with this before and behind it: so its begin and its end are part of a trigram. */
const EDGE = 0;

// A word: a row of numbers. Where the text is 0, there is none.
const ROW = 4;
const TEXT = 0;
/** The change that touched it last: a name may hold a word more than once. */
const TOUCHED = 1;
/** Lists of the files and of the folders in whose own name it is. */
export const FILES = 2;
export const FOLDERS = 3;
export type Holders = typeof FILES | typeof FOLDERS;

/** A part of a term: a word, or with what may come before or behind it in a word. */
export interface Piece {
  bytes: Uint8Array;
  openBefore: boolean;
  openBehind: boolean;
}

export class Words {
  readonly lists = new Lists();
  /** Above all words there were. */
  words = 0;
  #rows = new Uint32Array(ROW * 64);
  #change = 0;
  readonly #texts = new Texts();
  readonly #byText = new HashTable();
  readonly #trigrams = new Postings((word, trigram) => this.#holds(word, trigram));
  readonly #free: number[] = [];
  readonly #padded = Buffer.alloc(MAX_WORD_BYTES + 2, EDGE);

  /** A name is there: its folded bytes. */
  add(holders: Holders, id: number, bytes: Uint8Array, from: number, to: number): void {
    const change = this.#begin();
    for (let at = from; at < to;) {
      const begin = at;
      while (at < to && IN_WORD[bytes[at] ?? 0] === 1) at++;
      if (at > begin) {
        let word = this.find(bytes, begin, at);
        if (word < 0) word = this.#make(bytes, begin, at);
        const row = word * ROW;
        const rows = this.#rows;
        if (rows[row + TOUCHED] !== change) {
          rows[row + TOUCHED] = change;
          rows[row + holders] = this.lists.add(rows[row + holders] ?? 0, id);
        }
      } else at++;
    }
    this.lists.tidy();
  }

  /** A name that was added is gone. */
  remove(holders: Holders, id: number, bytes: Uint8Array, from: number, to: number): void {
    const change = this.#begin();
    const rows = this.#rows;
    for (let at = from; at < to;) {
      const begin = at;
      while (at < to && IN_WORD[bytes[at] ?? 0] === 1) at++;
      if (at > begin) {
        const word = this.find(bytes, begin, at);
        const row = word * ROW;
        // Found no more, when it came twice and this was its last name.
        if (word >= 0 && rows[row + TOUCHED] !== change) {
          rows[row + TOUCHED] = change;
          rows[row + holders] = this.lists.remove(rows[row + holders] ?? 0, id);
          if (rows[row + FILES] === 0 && rows[row + FOLDERS] === 0) this.#drop(word);
        }
      } else at++;
    }
    this.lists.tidy();
  }

  /** The word with these bytes, or -1. */
  find(bytes: Uint8Array, from: number, to: number): number {
    return this.#byText.find(hashBytes(0, bytes, from, to), (word) =>
      this.#texts.isOriginal(this.#rows[word * ROW + TEXT] ?? 0, bytes, from, to),
    );
  }

  /** The list of those that hold a word. */
  list(word: number, holders: Holders): number {
    return this.#rows[word * ROW + holders] ?? 0;
  }

  /**
   * Words that may hold a piece, by their trigrams.
   *
   * @returns a copy; none if the piece has no trigram, and all words have to be looked at
   */
  candidates({ bytes, openBefore, openBehind }: Piece): Uint32Array | undefined {
    const padded = Buffer.concat([
      openBefore ? Buffer.alloc(0) : Buffer.of(EDGE),
      bytes,
      openBehind ? Buffer.alloc(0) : Buffer.of(EDGE),
    ]);
    if (padded.length < 3) return undefined;
    const count = this.#trigrams.read(this.#trigrams.lists(padded));
    return this.#trigrams.ids.slice(0, count);
  }

  /** Whether there is such a word, and it holds a piece. */
  matches(word: number, { bytes, openBefore, openBehind }: Piece): boolean {
    const text = this.#rows[word * ROW + TEXT] ?? 0;
    if (text === 0) return false;
    const slab = this.#texts.slab(text);
    const from = foldedAt(text);
    const length = foldedBytes(slab, text);
    const n = bytes.length;
    if (n > length) return false;
    if (openBefore && openBehind) return seek(slab, from, from + length, bytes, false) !== NONE;
    if (!openBefore && !openBehind && n !== length) return false;
    const at = openBefore ? from + length - n : from;
    return difference(slab, at, at + n, bytes, 0, n) === 0;
  }

  #begin(): number {
    if (this.#change === 0xffffffff) {
      for (let at = TOUCHED; at < this.#rows.length; at += ROW) this.#rows[at] = 0;
      this.#change = 0;
    }
    return ++this.#change;
  }

  #make(bytes: Uint8Array, from: number, to: number): number {
    const word = this.#free.pop() ?? this.words++;
    this.#rows = grown(this.#rows, this.words * ROW);
    this.#rows.fill(0, word * ROW, (word + 1) * ROW);
    this.#rows[word * ROW + TEXT] = this.#texts.put(bytes, from, to, bytes, from, to);
    this.#byText.add(hashBytes(0, bytes, from, to), word);
    this.#trigrams.add(word, this.#padded, this.#pad(bytes, from, to));
    return word;
  }

  #drop(word: number): void {
    const text = this.#rows[word * ROW + TEXT] ?? 0;
    const slab = this.#texts.slab(text);
    const from = foldedAt(text);
    const to = from + foldedBytes(slab, text);
    const end = this.#pad(slab, from, to);
    this.#byText.remove(hashBytes(0, slab, from, to), word);
    this.#texts.release(text);
    this.#rows[word * ROW + TEXT] = 0;
    this.#trigrams.remove(this.#padded, end);
    this.#free.push(word);
  }

  /** Put a word with its edges into `#padded`. @returns where it ends */
  #pad(bytes: Uint8Array, from: number, to: number): number {
    let end = 1;
    for (let i = from; i < to; i++) this.#padded[end++] = bytes[i] ?? 0;
    this.#padded[end++] = EDGE;
    return end;
  }

  #holds(word: number, trigram: number): boolean {
    const text = this.#rows[word * ROW + TEXT] ?? 0;
    if (text === 0) return false;
    const slab = this.#texts.slab(text);
    const at = foldedAt(text);
    const end = at + foldedBytes(slab, text);
    let window = EDGE;
    for (let i = at; i <= end; i++) {
      window = ((window << 8) | (i === end ? EDGE : (slab[i] ?? 0))) & 0xffffff;
      if (i > at && window === trigram) return true;
    }
    return false;
  }
}
