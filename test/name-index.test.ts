/** Search by name in an index: the same answers, in the same order, as looking at every name. */
import fc from 'fast-check';
import t from 'tap';
import { NameIndex } from '../lib/share/name-index.js';
import { fold, matches, termsOf } from '../lib/share/names.js';

const MAX = 1000;

/** The rank as it is defined, on folded texts: terms not a whole word, terms not in the name, length. */
function rankOf(path: string, terms: readonly string[]): number[] {
  const folded = fold(path);
  const name = folded.lastIndexOf('/') + 1;
  const inWord = (c: string): boolean => /[a-z0-9\u0080-\uffff]/.test(c);
  const cut = (at: number): boolean =>
    !inWord(folded.charAt(at - 1)) || !inWord(folded.charAt(at)) || at === folded.length;
  const rank = [0, 0, Buffer.byteLength(path)];
  for (const term of terms) {
    let isWord = false;
    let inName = false;
    for (let at = folded.indexOf(term); at >= 0; at = folded.indexOf(term, at + 1)) {
      if (cut(at) && cut(at + term.length)) isWord = true;
      if (at + term.length > name) inName = true;
    }
    if (!isWord) rank[0] = (rank[0] ?? 0) + 1;
    if (!inName) rank[1] = (rank[1] ?? 0) + 1;
  }
  return rank;
}

/** All paths that match, best first. */
function naive(paths: Iterable<string>, query: string): string[] {
  const terms = [...new Set(termsOf(query))];
  return [...paths]
    .filter((path) => matches(fold(path), terms))
    .map((path) => ({ path, rank: rankOf(path, terms) }))
    .sort((a, b) => {
      for (let i = 0; i < 3; i++) {
        const difference = (a.rank[i] ?? 0) - (b.rank[i] ?? 0);
        if (difference !== 0) return difference;
      }
      return a.path < b.path ? -1 : 1;
    })
    .map(({ path }) => path);
}

function indexOf(paths: readonly string[]): NameIndex {
  const index = new NameIndex();
  paths.forEach((path, id) => {
    index.add(id, path);
  });
  return index;
}

function found(index: NameIndex, query: string, max = MAX): string[] {
  return index.search(query, max).ids.map((id) => index.path(id) ?? 'gone');
}

const part = fc.oneof(
  fc.constantFrom('lib', 'Lib', 'usr', 'share', 'a', 'ab', 'abc', 'doc', 'README.md', 'stdio.h'),
  fc.string({ unit: fc.constantFrom('a', 'b', 'B', '.', '-', ' ', '0'), minLength: 1, maxLength: 6 }),
  fc.string({
    unit: fc.constantFrom('é', 'e\u0301', 'Σ', 'σ', 'ς', 'İ', '😀', '\ufb2c', '\ue000', '\n', '字'),
    minLength: 1,
    maxLength: 4,
  }),
);
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
const query = fc.oneof(
  fc.array(fc.oneof(part, path), { maxLength: 3 }).map((terms) => terms.join(' ')),
  fc.tuple(path, fc.nat(20), fc.nat(8)).map(([text, from, n]) => text.slice(from, from + n)),
);
const wellFormed = query.filter((text) => Buffer.from(text).toString() === text);

t.test('the same answers as looking at every name, while files come and go', (t) => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ add: path, id: fc.nat(40) }) },
    { weight: 3, arbitrary: fc.record({ remove: fc.nat(40) }) },
    { weight: 2, arbitrary: fc.record({ query: wellFormed, max: fc.integer({ min: 1, max: 9 }) }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const index = new NameIndex();
      const model = new Map<number, string>();
      for (const step of steps) {
        if ('add' in step) {
          if ([...model.values()].includes(step.add)) continue;
          index.add(step.id, step.add);
          model.set(step.id, step.add);
        } else if ('remove' in step) {
          index.remove(step.remove);
          model.delete(step.remove);
        } else {
          check(index, model, step.query, step.max);
        }
      }
      for (const [id, path] of model) {
        if (index.path(id) !== path || index.find(path) !== id) throw new Error(`lost ${path}`);
      }
      check(index, model, '', 3);
      if (index.size !== model.size) throw new Error('size');
    }),
    { numRuns: 400 },
  );
  t.end();
});

/** Pages joined are the whole. */
function check(
  index: NameIndex,
  model: ReadonlyMap<number, string>,
  query: string,
  max: number,
): void {
  const expected = naive(model.values(), query);
  const paths: string[] = [];
  for (let after: Uint8Array | undefined; ;) {
    const page = index.search(query, max, after);
    if (page.total !== expected.length) throw new Error(`total ${page.total} of "${query}"`);
    paths.push(...page.ids.map((id) => index.path(id) ?? 'gone'));
    after = page.after;
    if (after === undefined) break;
    if (page.ids.length !== max) throw new Error('a page that is not full goes on');
  }
  if (JSON.stringify(paths) !== JSON.stringify(expected)) {
    throw new Error(`"${query}": ${JSON.stringify({ paths, expected })}`);
  }
}

t.test('x', (t) => {
  t.same(found(indexOf(['a']), 'a'), ['a']);
  t.end();
});
