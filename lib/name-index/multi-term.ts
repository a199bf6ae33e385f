/** A search for several terms: what one of them finds is gone through for each of the others. */
import { grown } from './arena.js';
import { NONE, PART, WORD } from './bytes.js';
import { TOP } from './folder-tree.js';
import { findWords, isQuick, type TermWords } from './term-words.js';
import type { Lookup } from './lookup.js';
import { AS_WORD, HOLDS, type Term } from './match.js';
import { ROW, TEXT } from './path-table.js';
import { rankOf } from './rank.js';
import { hasBit, setBit } from './scratch.js';

// The score of a file: terms that are no word in it, and terms that are not in its name.
const NOT_WORD = 256;
const NOT_NAME = 1;
const BLOCK = 1024;
/** What it costs to look at a text, in entries of lists. */
const SEEK = 12;
/** A term with so few files is good enough to begin with. */
const FEW = 2000;

/** @returns false when none of the terms can be looked up, and nothing was done */
export function* multiTerm(lookup: Lookup): Generator<number, boolean> {
  const { matcher, words, meter } = lookup;
  const founds = new Map<Term, TermWords>();
  let least: TermWords | undefined;
  const quickFirst = [...matcher.terms].sort((a, b) => Number(isQuick(b)) - Number(isQuick(a)));
  for (const term of quickFirst) {
    if (least !== undefined && !isQuick(term) && costOf(lookup, least) < FEW * SEEK) break;
    const found = yield* findWords(words, term, meter);
    if (found === undefined) continue;
    if (found.words.length === 0) return true;
    founds.set(term, found);
    if (least === undefined || costOf(lookup, found) < costOf(lookup, least)) least = found;
  }
  if (least === undefined) return false;
  let count = yield* gather(lookup, least);
  if (matcher.isMany) {
    yield* lookup.each(count, lookup.scratch.ids);
    return true;
  }
  for (const term of matcher.terms) {
    if (term !== least.term) count = yield* sift(lookup, term, founds.get(term), count);
  }
  for (let from = 0; from < count; from += BLOCK) {
    const to = Math.min(count, from + BLOCK);
    offerBlock(lookup, from, to);
    if (meter.spend((to - from) * 2)) yield meter.take();
  }
  return true;
}

function offerBlock(lookup: Lookup, from: number, to: number): void {
  const { ids, scores } = lookup.scratch;
  for (let i = from; i < to; i++) {
    const id = ids[i] ?? 0;
    const score = scores[i] ?? 0;
    lookup.countOnce(id);
    lookup.offer(id, rankOf(score >>> 8, score & 0xff, lookup.bytes(id)));
  }
}

/** Files to look at, more or less, to find those that hold a term. */
function costOf({ table }: Lookup, { files, folders }: TermWords): number {
  return files + (folders * table.size) / table.tree.live;
}

/** Put the files that hold a term into `ids`. @returns how many */
function* gather(lookup: Lookup, found: TermWords): Generator<number, number> {
  const { matcher, meter, scratch } = lookup;
  const { term } = found;
  let n = 0;
  const add = (id: number, score: number): void => {
    if (n === scratch.ids.length) {
      scratch.ids = grown(scratch.ids, n * 2);
      scratch.scores = grown(scratch.scores, n * 2);
    }
    scratch.ids[n] = id;
    scratch.scores[n++] = score;
  };
  const { below } = yield* lookup.folders(found);
  yield* lookup.names(found, (count) => {
    for (let i = 0; i < count; i++) {
      const id = lookup.block[i] ?? 0;
      const inFolder = matcher.folder(lookup.table.folders[id] ?? TOP, term);
      add(id, lookup.isWord[i] === 1 || (inFolder & AS_WORD) !== 0 ? 0 : NOT_WORD);
    }
  });
  for (const folder of below) {
    const isWord = (matcher.folder(folder, term) & AS_WORD) !== 0;
    const looked = lookup.unseen(folder, (id) => {
      add(id, isWord ? NOT_NAME : NOT_NAME + NOT_WORD);
    });
    if (meter.spend(1 + looked * 2)) yield meter.take();
  }
  return n;
}

/** Keep of the first `count` files those that hold another term, too. @returns how many */
function* sift(
  lookup: Lookup,
  term: Term,
  known: TermWords | undefined,
  count: number,
): Generator<number, number> {
  const { matcher, meter, scratch, table, words } = lookup;
  // By its lists, if that is less work than to look at every name.
  let found = count > FEW ? known : undefined;
  if (count > FEW * SEEK) found ??= yield* findWords(words, term, meter);
  if (found !== undefined && (!term.isPiece || costOf(lookup, found) > count * SEEK)) {
    found = undefined;
  }
  const isListed = found !== undefined;
  if (found !== undefined) {
    scratch.clear('words', table.ids);
    yield* lookup.folders(found);
    yield* lookup.names(found, (n) => {
      for (let i = 0; i < n; i++) {
        if (lookup.isWord[i] === 1) setBit(scratch.words, lookup.block[i] ?? 0);
      }
    });
  } else if (count > FEW) {
    matcher.remember(term);
  }
  let kept = 0;
  for (let from = 0; from < count; from += BLOCK) {
    const to = Math.min(count, from + BLOCK);
    kept = siftBlock(lookup, term, isListed, from, to, kept);
    if (meter.spend((to - from) * (isListed ? 3 : SEEK))) yield meter.take();
  }
  return kept;
}

/** @param isListed whether bits say which names hold the term, and where it is a word */
function siftBlock(
  { matcher, scratch, table }: Lookup,
  term: Term,
  isListed: boolean,
  from: number,
  to: number,
  end: number,
): number {
  const { rows, folders } = table;
  const { ids, scores, seen, words } = scratch;
  let kept = end;
  let last = -1;
  let inFolder = 0;
  for (let i = from; i < to; i++) {
    const id = ids[i] ?? 0;
    const folder = folders[id] ?? TOP;
    if (folder !== last) {
      last = folder;
      inFolder = matcher.folder(folder, term);
    }
    let inName = NONE;
    if (isListed) {
      if (hasBit(seen, id)) inName = hasBit(words, id) ? WORD : PART;
    } else if (rows[id * ROW + TEXT] !== 0) {
      inName = matcher.name(id, inFolder, term, (inFolder & AS_WORD) === 0);
    }
    if (inName === NONE && (inFolder & HOLDS) === 0) continue;
    let score = scores[i] ?? 0;
    if (inName === NONE) score += NOT_NAME;
    if (inName !== WORD && (inFolder & AS_WORD) === 0) score += NOT_WORD;
    ids[kept] = id;
    scores[kept++] = score;
  }
  return kept;
}
