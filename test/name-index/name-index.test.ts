/** Search by name in an index: the same answers, in the same order, as looking at every name. */
import fc from 'fast-check';
import t from 'tap';
import { NameIndex } from '../../lib/name-index/name-index.js';
import { naive } from '../fixtures/naive-search.js';

const MAX = 1000;

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
  fc.string({
    unit: fc.constantFrom('a', 'b', 'B', '.', '-', ' ', '0'),
    minLength: 1,
    maxLength: 6,
  }),
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

t.test('no file that stayed is given twice or left out while others come and go', (t) => {
  fc.assert(
    fc.property(
      fc.uniqueArray(path, { minLength: 1, maxLength: 60 }),
      wellFormed,
      fc.integer({ min: 1, max: 5 }),
      fc.infiniteStream(fc.nat(59)),
      (paths, query, max, picks) => {
        const staying = paths.filter((_, i) => i % 3 !== 0);
        const moving = paths.filter((_, i) => i % 3 === 0);
        const index = indexOf(staying);
        const there = new Set<number>();
        const seen: string[] = [];
        for (let after: Uint8Array | undefined; ;) {
          const page = index.search(query, max, after);
          seen.push(...page.ids.map((id) => index.path(id) ?? 'gone'));
          after = page.after;
          if (after === undefined) break;
          const pick = (picks.next().value ?? 0) % moving.length;
          const moved = moving[pick] ?? '';
          if (there.delete(pick)) index.remove(staying.length + pick);
          else {
            index.add(staying.length + pick, moved);
            there.add(pick);
          }
        }
        const kept = seen.filter((found) => staying.includes(found));
        if (JSON.stringify(kept) !== JSON.stringify(naive(staying, query)))
          throw new Error('paging');
      },
    ),
    { numRuns: 300 },
  );
  t.end();
});

t.test('words first, then file names, then short paths', (t) => {
  const paths = [
    'a/b/report.txt',
    'reports/2019/x',
    'report/x',
    'my_reports',
    'annual-report-2019.pdf',
    'z/report.txt',
    'y/report.txt',
  ];
  t.same(found(indexOf(paths), 'Report'), [
    'y/report.txt',
    'z/report.txt',
    'a/b/report.txt',
    'annual-report-2019.pdf',
    'report/x',
    'my_reports',
    'reports/2019/x',
  ]);
  t.same(found(indexOf(paths), 'report x'), naive(paths, 'report x'));
  t.end();
});

t.test('names as people see them, and as file systems have them', (t) => {
  const paths = [
    'cafe\u0301/Men\u00fc.txt',
    'ΑΣΟΣ/ΟΔΥΣΣΕΥΣ',
    'pictures/😀 smile.png',
    'two\nlines/na\nme',
    '字/漢字.txt',
    'İstanbul',
    '\ufb2c',
    'ends/😀',
    'ends/\uffee',
  ];
  const index = indexOf(paths);
  for (const [query, expected] of [
    ['caf\u00e9', [0]],
    ['CAFE\u0301/men', [0]],
    ['cafe', []],
    ['ασος', [1]],
    ['οδυσ', [1]],
    ['😀', [7, 2]],
    ['\ufffd', []],
    ['two lines', [3]],
    ['s/na', [3]],
    ['字', [4]],
    ['漢', [4]],
    ['i\u0307s', [5]],
    ['\u05e9\u05bc\u05c1', [6]],
    ['ends', [8, 7]],
  ] as const) {
    t.same(index.search(query, MAX).ids, expected, JSON.stringify(query));
    t.same(found(index, query), naive(paths, query), JSON.stringify(query));
  }
  paths.forEach((path, id) => {
    t.equal(index.path(id), path);
    t.equal(index.find(path), id);
  });
  t.end();
});

t.test('slashes and odd paths', (t) => {
  const paths = ['', '/', '//', 'a//b', '/usr/lib', 'usr/lib/x', 'a/', 'b/a/b/a', 'x/b/a', 'xb/a'];
  const index = indexOf(paths);
  for (const query of [
    '',
    '/',
    '//',
    '/u',
    '/usr',
    'r/l',
    'usr/lib',
    'b/a',
    '/b/a',
    'b/a/',
    '/a/b/',
    'a/b a',
    '///',
  ]) {
    t.same(found(index, query), naive(paths, query), JSON.stringify(query));
  }
  t.end();
});

t.test('cursors of any content', (t) => {
  const index = indexOf(['a', 'b/a', 'c/😀a', 'a'.repeat(4096)]);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom('', 'a', 'aaa', 'b/a'),
      (after, query) => {
        const { total, ids } = index.search(query, 10, after);
        return ids.length <= total && new Set(ids).size === ids.length;
      },
    ),
  );
  for (const fill of [0, 0x61, 0xff]) {
    t.ok(index.search('a', 10, new Uint8Array(8192).fill(fill)).ids.length <= 4);
  }
  const page = index.search('a', 3);
  t.ok((page.after?.length ?? 0) <= 8192);
  t.equal(index.search('a', 3, page.after).ids.length, 1, 'the longest path');
  for (const max of [0, -1, NaN, 0.5]) t.equal(index.search('a', max).ids.length, 1);
  t.end();
});

t.test('what is no path or no id', (t) => {
  const index = new NameIndex();
  t.throws(() => {
    index.add(0, 'é'.repeat(2049));
  }, RangeError);
  for (const id of [-1, 0.5, NaN, 2 ** 40]) {
    t.throws(() => {
      index.add(id, 'x');
    }, RangeError);
  }
  t.equal(index.size, 0);
  t.equal(index.find('é'.repeat(2049)), undefined);
  t.equal(index.path(7), undefined);
  index.remove(7);
  index.add(1, '\ufb2c'.repeat(1365));
  t.equal(index.search('\u05e9', 1).total, 1, 'folding makes it longer');
  index.add(1, 'other');
  t.same([index.size, index.search('\u05e9', 1).total], [1, 0]);
  t.end();
});

t.test('many files go and others come', (t) => {
  const index = new NameIndex();
  const model = new Map<number, string>();
  const n = 20_000;
  const put = (id: number, round: number): void => {
    const path = `round ${round}/folder${id % 300}/${id % 7 === 0 ? 'Common' : 'file'}_${id}.dat`;
    index.add(id, path);
    model.set(id, path);
  };
  const compare = (): void => {
    for (const query of ['common', 'folder12/', 'round', '_123', 'dat file 7', 'r1', 'e_19']) {
      check(index, model, query, MAX);
    }
  };
  for (let id = 0; id < n; id++) put(id, 0);
  compare();
  for (let round = 1; round < 4; round++) {
    for (let id = round; id < n; id++) {
      if (id % 5 === 0) continue;
      index.remove(id);
      model.delete(id);
    }
    compare();
    for (let id = n - 1; id > 0; id -= round) put(id, round);
    compare();
  }
  for (let id = 0; id < n; id++) index.remove(id);
  model.clear();
  compare();
  t.equal(index.size, 0);
  t.equal(index.find('round 0/folder0/Common_0.dat'), undefined);
  t.end();
});
