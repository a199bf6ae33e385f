/** A search for one term: files below folders that hold it are counted folder by folder. */
import { TOP } from './folder-tree.js';
import type { TermWords } from './term-words.js';
import type { Lookup } from './lookup.js';
import { AS_WORD, HOLDS, type Term } from './match.js';
import { NAME_STEP, rankOf, WORD_STEP } from './rank.js';

const BLOCK = 1024;

/** @returns folders: all files below them match, and were not counted one by one */
export function* singleTerm(
  lookup: Lookup,
  found: TermWords,
): Generator<number, ReadonlySet<number>> {
  const { table, best, meter } = lookup;
  const { term } = found;
  const { tops, below } = yield* lookup.folders(found);
  yield* lookup.names(found, (count) => {
    offerNames(lookup, term, count);
  });
  // What is only in folders ranks behind.
  best.tighten();
  if (best.more && rankOf(0, 1, 0) > best.worst) return tops;
  // Shorter paths first: most then need not be looked at.
  const ranks = new Uint32Array(below.length);
  for (let from = 0; from < below.length; from += BLOCK) {
    const to = Math.min(below.length, from + BLOCK);
    leastRanks(lookup, term, below, ranks, from, to);
    if (meter.spend((to - from) * 4)) yield meter.take();
  }
  for (const i of inOrder(ranks)) {
    const folder = below[i] ?? 0;
    const rank = ranks[i] ?? 0;
    // Behind the best there is more, unless all of it was seen.
    if (rank > best.worst && best.more) break;
    const path = table.tree.bytes[folder] ?? 0;
    const looked = lookup.unseen(folder, (id) => {
      lookup.offer(id, rank - path + lookup.bytes(id));
    });
    if (meter.spend(1 + looked * 2)) yield meter.take();
  }
  return tops;
}

/** The lowest ranks that files right in folders may have. */
function leastRanks(
  { matcher, table }: Lookup,
  term: Term,
  below: readonly number[],
  ranks: Uint32Array,
  from: number,
  to: number,
): void {
  const { bytes } = table.tree;
  for (let i = from; i < to; i++) {
    const folder = below[i] ?? TOP;
    const isWord = (matcher.folder(folder, term) & AS_WORD) !== 0;
    ranks[i] = rankOf(isWord ? 0 : 1, 1, bytes[folder] ?? 0);
  }
}

/** Count and offer the files in the block. */
function offerNames(lookup: Lookup, term: Term, count: number): void {
  const { best, block, isWord, matcher, table } = lookup;
  const { bytes, folders, tree } = table;
  // Files of a folder mostly are side by side.
  let last = -1;
  let inFolder = 0;
  let path = 0;
  for (let i = 0; i < count; i++) {
    const id = block[i] ?? 0;
    const folder = folders[id] ?? TOP;
    if (folder !== last) {
      last = folder;
      inFolder = matcher.folder(folder, term);
      path = tree.bytes[folder] ?? 0;
    }
    // Those in folders that hold the term are counted with all in there.
    if ((inFolder & HOLDS) === 0) lookup.countOnce(id);
    const rank = isWord[i] === 1 || (inFolder & AS_WORD) !== 0 ? 0 : WORD_STEP;
    // Mostly the path of the folder is too long already.
    if (rank + path > best.worst) best.more = true;
    else lookup.offer(id, rank + (bytes[id] ?? 0));
  }
}

/** The places of ranks (of one term) in the order of these. */
function inOrder(ranks: Uint32Array): Uint32Array {
  const begins = new Uint32Array(2 * NAME_STEP + 1);
  const keyOf = (rank: number): number => (rank >= WORD_STEP ? NAME_STEP : 0) + (rank % NAME_STEP);
  for (const rank of ranks) {
    const key = keyOf(rank) + 1;
    begins[key] = (begins[key] ?? 0) + 1;
  }
  for (let i = 1; i < begins.length; i++) begins[i] = (begins[i] ?? 0) + (begins[i - 1] ?? 0);
  const places = new Uint32Array(ranks.length);
  for (let i = 0; i < ranks.length; i++) {
    const key = keyOf(ranks[i] ?? 0);
    const place = begins[key] ?? 0;
    begins[key] = place + 1;
    places[place] = i;
  }
  return places;
}
