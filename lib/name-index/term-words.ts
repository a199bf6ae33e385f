/** What is known of a term before any name is looked at: the words that may hold it. */
import { NONE, WORD } from './bytes.js';
import type { Term } from './match.js';
import type { Meter } from './meter.js';
import { FILES, FOLDERS, type Piece, type Words } from './words.js';

export interface TermWords {
  term: Term;
  /** Words, one of which is in each name that holds the term, or the end of it. */
  words: number[];
  /** So many of them, the first, are all of the term: it is a word where they are. */
  wholes: number;
  /** How many files and folders hold these words, at most. */
  files: number;
  folders: number;
}

/** With so few there is no use in looking for fewer. */
const FEW = 1000;
const BLOCK = 1024;

/** @returns nothing when there is no word in the term */
export function* findWords(
  words: Words,
  term: Term,
  meter: Meter,
): Generator<number, TermWords | undefined> {
  let least: TermWords | undefined;
  for (const piece of [...term.pieces].sort((a, b) => widthOf(a) - widthOf(b))) {
    if (least !== undefined && least.files + least.folders <= FEW) break;
    const found = yield* containing(words, term, piece, meter);
    if (least === undefined || found.files + found.folders < least.files + least.folders) {
      least = found;
    }
  }
  return least;
}

/** Whether the words of a term are found without a look at all words. */
export function isQuick(term: Term): boolean {
  return term.pieces.some((piece) => widthOf(piece) < 0);
}

/** What is found with less work comes first: whole words, then long pieces, then those without a trigram. */
function widthOf({ bytes, openBefore, openBehind }: Piece): number {
  if (!openBefore && !openBehind) return -Infinity;
  const length = bytes.length + (openBehind ? 0 : 1);
  return length < 3 ? 1 : -length;
}

function* containing(
  words: Words,
  term: Term,
  piece: Piece,
  meter: Meter,
): Generator<number, TermWords> {
  const { bytes, openBefore, openBehind } = piece;
  const wholes: number[] = [];
  const parts: number[] = [];
  if (!openBefore && !openBehind) {
    const word = words.find(bytes, 0, bytes.length);
    if (word >= 0) parts.push(word);
  } else {
    const candidates = words.candidates(piece);
    if (candidates !== undefined) meter.spend(candidates.length * 4);
    const count = candidates?.length ?? words.words;
    for (let from = 0; from < count; from += BLOCK) {
      const to = Math.min(count, from + BLOCK);
      for (let i = from; i < to; i++) {
        const word = candidates === undefined ? i : (candidates[i] ?? 0);
        const held = words.holds(word, piece);
        if (held === WORD && term.isPiece) wholes.push(word);
        else if (held !== NONE) parts.push(word);
      }
      if (meter.spend((to - from) * 4)) yield meter.take();
    }
  }
  const found = wholes.concat(parts);
  let files = 0;
  let folders = 0;
  for (let i = 0; i < found.length; i++) {
    files += words.lists.entries(words.list(found[i] ?? 0, FILES));
    folders += words.lists.entries(words.list(found[i] ?? 0, FOLDERS));
    if (i % BLOCK === BLOCK - 1 && meter.spend(BLOCK)) yield meter.take();
  }
  return { term, words: found, wholes: wholes.length, files, folders };
}
