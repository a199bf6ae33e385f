/**
 * A query of very many terms: all are found in one pass over a path (Aho and Corasick, "Efficient string
 * matching", 1975), since one pass a term would take too long. No term is part of another (see termsOf),
 * so at most one ends at any byte.
 */
import { grown } from './arena.js';
import { endsWord, NONE, PART, WORD } from './bytes.js';
import { TOP } from './folder-tree.js';
import type { PathTable } from './path-table.js';
import { rankOf } from './rank.js';
import { foldedAt, foldedBytes } from './texts.js';

const NO_TERM = -1;

export class ManyTerms {
  readonly #table: PathTable;
  readonly #lengths: readonly number[];
  /** By byte: its column in `#next`; 0 for bytes that are in no term. */
  readonly #column = new Uint8Array(256);
  #columns = 1;
  /** By state and column: the state after that byte. */
  readonly #next: Uint32Array;
  /** By state: the term that ends there. */
  readonly #ends: Int32Array;
  /** The folded path that was read last, and by term: how its folder and its name hold it. */
  #path = new Uint8Array(1024);
  readonly #inFolder: Uint8Array;
  readonly #inName: Uint8Array;
  /** Terms found by the last `#find`. */
  readonly #found: number[] = [];
  /** The folder of that path, or -1; where it ends; the state there; terms in it, and as whole words. */
  #folder = -1;
  #folderEnd = 0;
  #state = 0;
  #held = 0;
  #words = 0;

  constructor(table: PathTable, terms: readonly Uint8Array[]) {
    this.#table = table;
    this.#lengths = terms.map((term) => term.length);
    this.#inFolder = new Uint8Array(terms.length);
    this.#inName = new Uint8Array(terms.length);
    let states = 1;
    for (const term of terms) {
      states += term.length;
      for (const byte of term) this.#column[byte] ||= this.#columns++;
    }
    this.#next = new Uint32Array(states * this.#columns);
    this.#ends = new Int32Array(states).fill(NO_TERM);
    this.#build(terms);
  }

  /** Folders may have changed since the last call. */
  forget(): void {
    this.#folder = -1;
  }

  /** @returns the rank of a file, or -1 when a term is not in its path */
  rank(id: number, folder: number): number {
    if (folder !== this.#folder) this.#enter(folder);
    const end = this.#append(this.#table.text(id), this.#folderEnd);
    this.#find(this.#folderEnd, end, this.#inName);
    const terms = this.#lengths.length;
    let held = this.#held;
    let words = this.#words;
    for (const term of this.#found) {
      const inFolder = this.#inFolder[term] ?? NONE;
      if (inFolder === NONE) held++;
      if (inFolder !== WORD && this.#inName[term] === WORD) words++;
      this.#inName[term] = NONE;
    }
    if (held < terms) return -1;
    return rankOf(terms - words, terms - this.#found.length, this.#table.bytes[id] ?? 0);
  }

  #build(terms: readonly Uint8Array[]): void {
    const [next, ends, columns] = [this.#next, this.#ends, this.#columns];
    let states = 1;
    terms.forEach((term, number) => {
      let state = 0;
      for (const byte of term) {
        const at = state * columns + (this.#column[byte] ?? 0);
        state = next[at] ||= states++;
      }
      ends[state] = number;
    });
    // By length: the state of a text follows from that of its longest end that begins a term.
    const fallback = new Uint32Array(states);
    const queue = [0];
    for (const state of queue) {
      for (let column = 1; column < columns; column++) {
        const at = state * columns + column;
        const shorter = state === 0 ? 0 : (next[(fallback[state] ?? 0) * columns + column] ?? 0);
        const child = next[at] ?? 0;
        if (child === 0) {
          next[at] = shorter;
        } else {
          fallback[child] = shorter;
          if (ends[child] === NO_TERM) ends[child] = ends[shorter] ?? NO_TERM;
          queue.push(child);
        }
      }
    }
  }

  /** Read the path of a folder. */
  #enter(folder: number): void {
    const { tree } = this.#table;
    const texts: number[] = [];
    for (let up = folder; up !== TOP; up = tree.parent[up] ?? TOP) texts.push(tree.text[up] ?? 0);
    let end = 0;
    for (const text of texts.reverse()) end = this.#append(text, end);
    this.#folder = folder;
    this.#folderEnd = end;
    this.#inFolder.fill(NONE);
    this.#state = 0;
    this.#state = this.#find(0, end, this.#inFolder);
    this.#held = this.#found.length;
    this.#words = this.#found.filter((term) => this.#inFolder[term] === WORD).length;
  }

  /** Put a folded text behind the path. @returns where it ends */
  #append(text: number, at: number): number {
    const slab = this.#table.texts.slab(text);
    const from = foldedAt(text);
    const bytes = foldedBytes(slab, text);
    this.#path = grown(this.#path, at + bytes);
    for (let i = 0; i < bytes; i++) this.#path[at + i] = slab[from + i] ?? 0;
    return at + bytes;
  }

  /** Find the terms that end in a part of the path, which goes up to `to`. @returns the state there */
  #find(from: number, to: number, how: Uint8Array): number {
    const [path, next, ends, column] = [this.#path, this.#next, this.#ends, this.#column];
    const columns = this.#columns;
    this.#found.length = 0;
    let state = this.#state;
    for (let i = from; i < to; i++) {
      state = next[state * columns + (column[path[i] ?? 0] ?? 0)] ?? 0;
      const term = ends[state] ?? NO_TERM;
      if (term === NO_TERM || how[term] === WORD) continue;
      if (how[term] === NONE) this.#found.push(term);
      const begin = i + 1 - (this.#lengths[term] ?? 0);
      const isWord =
        (begin === 0 || endsWord(path, begin)) && (i + 1 === to || endsWord(path, i + 1));
      how[term] = isWord ? WORD : PART;
    }
    return state;
  }
}
