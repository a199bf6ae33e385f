/**
 * Whether and how well a path matches a query. The rank of a path depends on nothing but the path and
 * the query: how many terms are no whole word in it, how many are only in its folders, its length.
 */
import { MAX_PATH_BYTES } from '../wire/limits.js';
import { offsetOf } from './arena.js';
import { endsWord, inWord, isKind, kindsOf, NONE, PART, seek, SLASH, WORD } from './bytes.js';
import type { PathTable } from './path-table.js';

/** Terms for which it is remembered what was found in a folder. Others wait until those have matched. */
const MAX_REMEMBERED = 16;
/** More terms than that count as that many, in a rank. */
const MAX_RANKED = 1023;
export const NAME_STEP = 2 ** Math.ceil(Math.log2(MAX_PATH_BYTES + 1));
export const WORD_STEP = NAME_STEP * (MAX_RANKED + 1);

// What is known of a term in a folder.
const KNOWN = 1;
const HOLDS = 2;
const AS_WORD = 4;
/** The folder ends with what the term has up to its last slash, and no word goes across its begin. */
const ENDS = 8;
const ENDS_AS_WORD = 16;

export class Term {
  readonly bytes: Uint8Array;
  /** Bytes up to its last slash; the rest may be the begin of a file name. */
  readonly head: Uint8Array;
  readonly rest: Uint8Array;
  readonly kinds: number;
  /** Its kind says it all. */
  readonly isKind: boolean;
  /** By folder, what is known; empty when it is not remembered. */
  folders = new Uint8Array(0);
  /** All folders that hold it are marked in `folders`. */
  complete = false;

  constructor(text: string) {
    this.bytes = Buffer.from(text);
    const slash = this.bytes.lastIndexOf(SLASH) + 1;
    this.head = this.bytes.subarray(0, slash);
    this.rest = this.bytes.subarray(slash);
    this.kinds = kindsOf(this.bytes, 0, this.bytes.length);
    this.isKind = this.bytes.length === 1 && isKind(this.bytes[0] ?? 0);
  }

  /** A slash is in it, and it does not end there: it may begin in a folder and end in a name. */
  get crosses(): boolean {
    return this.head.length > 0 && this.rest.length > 0;
  }
}

export class Matcher {
  readonly terms: readonly Term[];
  readonly #table: PathTable;
  readonly #kinds: number;
  /** What one term gives in `rank`. */
  #notWord = false;
  #notName = false;

  constructor(table: PathTable, terms: readonly Term[]) {
    this.#table = table;
    // The longest are the rarest, most likely.
    this.terms = [...terms].sort((a, b) => b.bytes.length - a.bytes.length);
    for (const term of this.terms.slice(0, MAX_REMEMBERED)) this.remember(term);
    this.#kinds = terms.reduce((kinds, term) => kinds | term.kinds, 0);
  }

  remember(term: Term): void {
    if (term.folders.length === 0) term.folders = new Uint8Array(this.#table.folders);
  }

  /** Whether a path has every kind of character that it needs. */
  mayMatch(id: number, folder: number): boolean {
    const { kinds, folderKinds } = this.#table;
    return (((kinds[id] ?? 0) | (folderKinds[folder] ?? 0)) & this.#kinds) === this.#kinds;
  }

  /** Whether a path matches; `sure` does. */
  matches(id: number, folder: number, sure?: Term): boolean {
    for (const term of this.terms) {
      if (term !== sure && !term.isKind && !this.#holds(id, folder, term)) return false;
    }
    return true;
  }

  /** The rank of a path that matches, or -1. Lower is better. */
  rank(id: number, folder: number): number {
    let notWord = 0;
    let notName = 0;
    for (const term of this.terms) {
      if (!this.#look(id, folder, term)) return -1;
      if (this.#notWord) notWord++;
      if (this.#notName) notName++;
    }
    return (
      Math.min(notWord, MAX_RANKED) * WORD_STEP +
      Math.min(notName, MAX_RANKED) * NAME_STEP +
      (this.#table.bytes[id] ?? 0)
    );
  }

  /** Whether a folder holds a term. */
  folderHolds(folder: number, term: Term): boolean {
    return (this.#folder(folder, term) & HOLDS) !== 0;
  }

  #holds(id: number, folder: number, term: Term): boolean {
    const inFolder = this.#folder(folder, term);
    if ((inFolder & HOLDS) !== 0) return true;
    if (term.head.length > 0) return (inFolder & ENDS) !== 0 && this.#begins(id, term) !== NONE;
    return this.#seekName(id, term, false) !== NONE;
  }

  #look(id: number, folder: number, term: Term): boolean {
    const inFolder = this.#folder(folder, term);
    let inName: number;
    if (term.head.length === 0) {
      inName = this.#seekName(id, term, true);
    } else {
      inName = (inFolder & ENDS) === 0 ? NONE : this.#begins(id, term);
      if (inName === WORD && (inFolder & ENDS_AS_WORD) === 0) inName = PART;
    }
    this.#notWord = inName !== WORD && (inFolder & AS_WORD) === 0;
    this.#notName = inName === NONE;
    return inName !== NONE || (inFolder & HOLDS) !== 0;
  }

  #seekName(id: number, term: Term, closely: boolean): number {
    const text = this.#table.text[id] ?? 0;
    const slab = this.#table.arena.slab(text);
    const at = offsetOf(text);
    const end = at + 4 + ((slab[at] ?? 0) | ((slab[at + 1] ?? 0) << 8));
    return seek(slab, at + 4, end, term.bytes, closely);
  }

  /** Whether a file name begins with the rest of a term that crosses into it. */
  #begins(id: number, { rest }: Term): number {
    const [slab, from, to] = this.#table.folded(this.#table.text[id] ?? 0);
    if (to - from < rest.length) return NONE;
    for (let i = 0; i < rest.length; i++) if (slab[from + i] !== rest[i]) return NONE;
    return to - from === rest.length || endsWord(slab, from + rest.length) ? WORD : PART;
  }

  #folder(folder: number, term: Term): number {
    const known = term.folders[folder] ?? 0;
    if (known !== 0) return known;
    if (term.complete && !term.crosses) return KNOWN;
    let found = KNOWN;
    const [slab, from, to] = this.#table.folded(this.#table.folderText[folder] ?? 0);
    if ((term.kinds & ~(this.#table.folderKinds[folder] ?? 0)) === 0) {
      const sought = seek(slab, from, to, term.bytes, true);
      if (sought !== NONE) found |= sought === WORD ? HOLDS | AS_WORD : HOLDS;
    }
    if (term.crosses) {
      const { head } = term;
      const begin = to - head.length;
      if (begin >= from && seek(slab, begin, to, head, false) !== NONE) {
        const word = begin === from || endsWord(slab, begin) || !inWord(head[0] ?? 0);
        found |= word ? ENDS | ENDS_AS_WORD : ENDS;
      }
    }
    term.folders[folder] = found;
    return found;
  }
}
