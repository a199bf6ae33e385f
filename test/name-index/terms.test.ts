/** The terms of a query: what separates them, and that all of them count. */
import fc from 'fast-check';
import t from 'tap';
import { NameIndex } from '../../lib/name-index/name-index.js';
import { STEP } from '../../lib/name-index/meter.js';
import { fold, termsOf } from '../../lib/name-index/names.js';
import { naive } from '../fixtures/naive-search.js';

const MAX = 1000;

function indexOf(paths: readonly string[]): NameIndex {
  const index = new NameIndex();
  paths.forEach((path, id) => {
    index.add(id, path);
  });
  return index;
}

function found(index: NameIndex, query: string): string[] {
  return index.search(query, MAX).ids.map((id) => index.path(id) ?? 'gone');
}

t.test('white space is what PROTOCOL.md lists, and U+FEFF is none', (t) => {
  const white = '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000';
  for (const space of white)
    t.same(termsOf(`a${space}b`), ['a', 'b'], `U+${space.codePointAt(0)?.toString(16)}`);
  const paths = ['\ufeff', '\ufeffreport.txt', 'report.txt', '\ufeff/\ufeff\ufeff', 'a\u200bb'];
  const index = indexOf(paths);
  t.same(found(index, '\ufeff'), naive(paths, '\ufeff'));
  t.equal(found(index, '\ufeff').length, 3);
  t.same(found(index, '\ufeffreport'), ['\ufeffreport.txt']);
  t.same(found(index, 'a\u200bb'), ['a\u200bb']);
  t.same(index.path(0), '\ufeff');
  t.equal(index.find('\ufeff'), 0);
  t.end();
});

t.test('a term that is part of another is left out, and no other', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom('a', 'b', ' ', '/'), maxLength: 5 })),
      (texts) => {
        const all = [...new Set(texts.join(' ').split(' '))].filter(Boolean);
        const needed = all.filter((a) => !all.some((b) => a !== b && b.includes(a)));
        t.same(termsOf(texts.join(' ')), needed);
      },
    ),
  );
  t.end();
});

const part = fc.string({
  unit: fc.constantFrom('a', 'B', 'c', '.', '-', '_', '0', 'é', 'ς', '\ufeff', '字', '😀'),
  minLength: 1,
  maxLength: 12,
});
const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));

t.test('all of very many terms count, with the rank of each', (t) => {
  let many = 0;
  let matched = 0;
  fc.assert(
    fc.property(
      fc.uniqueArray(path, { minLength: 1, maxLength: 30 }),
      fc.nat(29),
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom('', 'no', '-0', 'aa'),
      (paths, pick, length, extra) => {
        // Pieces of one path in lengths that differ, so that most are not part of another.
        const text = Array.from(fold(paths[pick % paths.length] ?? ''));
        const terms = text.map((_, i) => text.slice(i, i + length).join(''));
        const query = [...terms, extra].join(' ');
        if (termsOf(query).length > 16) many++;
        const expected = naive(paths, query);
        if (expected.length > 0) matched++;
        t.same(found(indexOf(paths), query), expected, JSON.stringify(query));
      },
    ),
    { numRuns: 300 },
  );
  t.ok(many > 30 && matched > 30, `${many} queries of many terms, ${matched} with results`);
  t.end();
});

t.test('the last of 300 terms decides', (t) => {
  const pairs: string[] = [];
  for (let i = 0; pairs.length < 300; i++) pairs.push(String.fromCharCode(0x100 + 2 * i));
  const paths = [pairs.join(''), pairs.slice(1).join(''), pairs.slice(0, -1).join('/')];
  const index = indexOf(paths);
  const terms = [...new Set(pairs.map(fold))];
  t.ok(terms.length > 200);
  t.same(found(index, terms.join(' ')), [paths[0]]);
  t.same(found(index, terms.reverse().join(' ')), [paths[0]]);
  t.end();
});

t.test('queries of very many terms cost little more than those of a few', (t) => {
  const index = new NameIndex();
  const n = 60_000;
  const folder = 'archive/company-department_project.2019/quarterly reports/final';
  for (let id = 0; id < n; id++) index.add(id, `${folder}/${id % 500}/document-${id}.pdf`);
  const pieces = (length: number): string[] =>
    Array.from({ length: folder.length - length }, (_, i) => folder.slice(i, i + length));
  for (const query of [
    pieces(2).join(' '),
    [...pieces(2), 'zq'].join(' '),
    pieces(4).join(' '),
    [...new Set(folder)].join(' '),
    pieces(2)
      .filter((piece) => /^[^a-z0-9]/.test(piece))
      .join(' '),
    Array.from({ length: 340 }, (_, i) => i.toString(36).padStart(2, '0')).join(' '),
    Array.from({ length: 200 }, (_, i) => `-${'_-./ '[i % 4]}`).join(' '),
  ]) {
    let all = 0;
    let most = 0;
    for (const units of index.searching(query.slice(0, 1024), MAX)) {
      all += units;
      most = Math.max(most, units);
    }
    // A list is read at once, whatever is on it.
    t.ok(most <= 2 * STEP + n, `at most ${most} at once: ${query.slice(0, 40)}`);
    t.ok(all <= 16 * 40 * n, `${all} in all`);
  }
  t.end();
});
