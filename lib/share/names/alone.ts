/** A search for one term: files below folders that hold it are counted folder by folder. */
import type { Found } from './found.js';
import { rankOf, type Lookup } from './lookup.js';
import { AS_WORD, HOLDS } from './match.js';

/** @returns folders: all files below them match, and were not counted one by one */
export function* alone(lookup: Lookup, found: Found): Generator<number, Set<number>> {
  const { table, matcher, best, meter } = lookup;
  const { term } = found;
  const tops = yield* lookup.folders(found);
  yield* lookup.names(found, (id, inFolder, isWord) => {
    if ((inFolder & HOLDS) === 0) lookup.counts(id);
    lookup.offer(id, rankOf(isWord || (inFolder & AS_WORD) !== 0 ? 0 : 1, 0, lookup.bytes(id)));
  });
  // What is only in folders ranks behind.
  best.tighten();
  if (best.more && rankOf(0, 1, 0) > best.worst) return tops;
  // Shorter paths first: most then need not be looked at.
  const least = (folder: number): number => {
    const isWord = (matcher.folder(folder, term) & AS_WORD) !== 0;
    return rankOf(isWord ? 0 : 1, 1, table.tree.bytes[folder] ?? 0);
  };
  const folders = yield* lookup.below(
    tops,
    (folder) =>
      (matcher.folder(folder, term) & HOLDS) !== 0 && (!best.more || least(folder) <= best.worst),
  );
  const ranks = Float64Array.from(folders, least);
  meter.spend(folders.length * 4);
  for (const i of inOrder(ranks)) {
    const folder = folders[i] ?? 0;
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

/** Places of numbers in the order of these. */
function inOrder(numbers: Float64Array): Uint32Array {
  const places = Float64Array.from(numbers, (number, i) => number * PLACES + i).sort();
  return Uint32Array.from(places, (place) => place % PLACES);
}

/** Above all places: ids are smaller. Ranks are below 2^27 here, so that both fit into a number. */
const PLACES = 2 ** 26;
