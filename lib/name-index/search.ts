/**
 * One search, in steps between which files may come and go. The answer is that of a search all at once
 * at the moment of the last step: ids that were added or removed meanwhile are noted, and when the rest
 * is done, what was found of them is undone and they are looked at as they are then.
 */
import { singleTerm } from './single-term.js';
import { TopK } from './top-k.js';
import { TOP } from './folder-tree.js';
import { findWords } from './term-words.js';
import { Lookup } from './lookup.js';
import { Matcher } from './match.js';
import type { Meter } from './meter.js';
import type { PathTable } from './path-table.js';
import type { Scratch } from './scratch.js';
import { multiTerm } from './multi-term.js';
import type { Words } from './words.js';

/** What a search found. */
export interface Matches {
  /** How many match in all. */
  total: number;
  /** Best first. */
  best: { id: number; rank: number }[];
  /** Whether there are more behind them. */
  more: boolean;
}

/** Units of work to look at one file closely, and how many are looked at without an interruption. */
const RECHECK_COST = 200;

export class NameSearch {
  /** Ids that were added or removed since the search began. */
  readonly changed = new Set<number>();
  /** Folders that were removed since: another may have their number. */
  readonly gone = new Set<number>();
  readonly #table: PathTable;
  readonly #terms: readonly string[];
  readonly #lookup: Lookup;
  readonly #hasCursor: boolean;
  /** All files below these match, and were not counted one by one. */
  #tops: ReadonlySet<number> = new Set();

  /** @param after cursor: whatever is in it */
  constructor(
    table: PathTable,
    words: Words,
    terms: readonly string[],
    max: number,
    after: Uint8Array | undefined,
    scratch: Scratch,
    meter: Meter,
  ) {
    this.#table = table;
    this.#terms = terms;
    this.#hasCursor = after !== undefined;
    const matcher = new Matcher(table, terms, scratch.folders);
    const best = new TopK(table, max, after);
    this.#lookup = new Lookup(table, words, matcher, best, scratch, meter);
  }

  /** Yields the units of work done since the last time. */
  *run(): Generator<number, Matches> {
    const { best, meter } = this.#lookup;
    yield* this.#lookUp();
    const matcher = this.#fresh();
    while (this.changed.size > 0) {
      for (const id of this.changed) {
        this.changed.delete(id);
        this.#recheck(id, matcher);
        if (meter.spend(RECHECK_COST)) break;
      }
      if (this.changed.size === 0) break;
      yield meter.take();
      matcher.forget();
    }
    let total = this.#lookup.count;
    for (const top of this.#tops) {
      if (!this.gone.has(top)) total += this.#table.tree.filesBelow[top] ?? 0;
    }
    const found = best.take();
    return { total, best: found, more: this.#hasCursor ? best.more : total > found.length };
  }

  *#lookUp(): Generator<number> {
    const lookup = this.#lookup;
    const { matcher, words, meter } = lookup;
    const [term] = matcher.terms;
    if (matcher.terms.length === 1 && term !== undefined) {
      const found = yield* findWords(words, term, meter);
      if (found !== undefined) {
        this.#tops = yield* singleTerm(lookup, found);
        return;
      }
    } else if (yield* multiTerm(lookup)) return;
    if (!matcher.isMany) for (const term of matcher.terms) matcher.remember(term);
    yield* lookup.all();
  }

  /** A matcher that knows nothing yet. */
  #fresh(): Matcher {
    return new Matcher(this.#table, this.#terms);
  }

  /** Look at a file as it is now, and take back what was found before. */
  #recheck(id: number, matcher: Matcher): void {
    const { best } = this.#lookup;
    this.#lookup.uncount(id);
    best.drop(id);
    if (!this.#table.has(id)) return;
    const rank = matcher.rank(id, this.#table.folder(id));
    if (rank < 0) return;
    best.offer(id, rank);
    if (!this.#isBelowTops(this.#table.folder(id))) this.#lookup.countOnce(id);
  }

  #isBelowTops(folder: number): boolean {
    for (let up = folder; up !== TOP; up = this.#table.tree.parent[up] ?? TOP) {
      if (this.#tops.has(up) && !this.gone.has(up)) return true;
    }
    return false;
  }
}
