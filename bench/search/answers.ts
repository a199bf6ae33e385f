/** What a query should find, and the plain way to find it. */
import { NameIndex } from '../../lib/name-index/name-index.js';
import { fold, matches, termsOf } from '../../lib/name-index/names.js';

/** Answers one query: how many names match. */
export type Answer = (query: string) => number;

export interface Expected {
  query: string;
  total: number;
  /** Numbers of the names that match. */
  found: ReadonlySet<number>;
}

/** What looking at every name finds. */
export function expectedOf(names: readonly string[], queries: readonly string[]): Expected[] {
  const folded = names.map(fold);
  return queries.map((query) => {
    const terms = termsOf(query);
    const found = new Set<number>();
    folded.forEach((name, i) => {
      if (matches(name, terms)) found.add(i);
    });
    return { query, total: found.size, found };
  });
}

/** @throws Error when the index finds something else, or a page of something else */
export function checkAnswer(
  index: NameIndex,
  names: readonly string[],
  { query, total, found }: Expected,
  page: number,
): void {
  const got = index.search(query, page);
  const right =
    got.total === total &&
    new Set(got.ids).size === Math.min(page, total) &&
    got.ids.every((id) => found.has(id) && index.path(id) === names[id]);
  if (!right) throw new Error(`wrong answer to "${query}": ${got.total}, not ${total}`);
}

/** As one writes it first: an array of names, and a regular expression for each query. */
export function byRegExp(names: readonly string[], query: string): number {
  const terms = query.split(/\s+/u).map((term) => term.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
  const pattern =
    terms.length === 1 ? (terms[0] ?? '') : `^${terms.map((term) => `(?=.*${term})`).join('')}`;
  const regExp = new RegExp(pattern, 'isu');
  let total = 0;
  for (const name of names) if (regExp.test(name)) total++;
  return total;
}
