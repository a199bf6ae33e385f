import t from 'tap';
import { exponentOf, sizesUpTo } from '../../bench/common/growth.js';
import { checkReport, type Report } from '../../bench/common/report.js';
import { median, summaryOf } from '../../bench/common/statistics.js';
import { formatReport } from '../../bench/common/format.js';
import { formatPage } from '../../bench/page/page.js';
import { thisMachine } from '../../bench/runner/machine.js';

/** Points on cost = c * size^e. */
function points(c: number, e: number): { size: number; cost: number }[] {
  return [1000, 3000, 9000, 27000].map((size) => ({ size, cost: c * size ** e }));
}

t.test('the exponent of costs that follow a power of the size', (t) => {
  for (const e of [-1, 0, 0.5, 1, 2]) {
    t.ok(Math.abs(exponentOf(points(7, e)) - e) < 1e-9, `${e}`);
  }
  t.end();
});

t.test('the exponent that fits best when they do not', (t) => {
  // By hand: log2 of the sizes 0, 1, 2, 3 and of the costs 0, 2, 1, 3; slope = 0.8.
  const some = [
    { size: 1, cost: 1 },
    { size: 2, cost: 4 },
    { size: 4, cost: 2 },
    { size: 8, cost: 8 },
  ];
  t.ok(Math.abs(exponentOf(some) - 0.8) < 1e-9);
  t.end();
});

t.test('no exponent where there is none', (t) => {
  t.ok(Number.isNaN(exponentOf([])));
  t.ok(Number.isNaN(exponentOf([{ size: 3, cost: 1 }])));
  t.ok(Number.isNaN(exponentOf(points(0, 1))), 'costs of nothing');
  t.end();
});

t.test('four sizes, the given one last', (t) => {
  t.same(sizesUpTo(27_000), [1000, 3000, 9000, 27_000]);
  t.same(sizesUpTo(64, 8), [8, 16, 32, 64], 'not below the least');
  t.throws(() => sizesUpTo(8, 8), RangeError);
  t.throws(() => sizesUpTo(2), RangeError);
  t.throws(() => sizesUpTo(7, 8), RangeError);
  t.end();
});

t.test('percentiles of latencies', (t) => {
  const values = Array.from({ length: 1000 }, (_, i) => (i + 1) / 10);
  const { count, p50, p90, p99, max } = summaryOf(values);
  t.equal(count, 1000);
  t.equal(max, 100);
  for (const [got, wanted] of [
    [p50, 50],
    [p90, 90],
    [p99, 99],
  ] as const) {
    t.ok(Math.abs(got - wanted) / wanted < 0.002, `${got} is ${wanted} to three digits`);
  }
  t.equal(median([4, 1, 3]), 3);
  t.equal(median([4, 1, 3, 2]), 2.5);
  t.end();
});

const GROWTH: Report = {
  kind: 'growth',
  title: 'by files',
  of: 'files',
  unit: 'ms',
  series: [
    { name: 'ours', points: points(2, 1).map(({ size, cost }) => ({ size, values: [cost] })) },
  ],
};
const TABLE: Report = {
  kind: 'table',
  title: 'a <b>race</b>',
  unit: 'ms',
  better: 'less',
  rows: [
    { name: 'ours', values: [10, 30, 20], uses: [{ name: 'server', cpu: 1.5, peak: 2 ** 21 }] },
    { name: 'an "other" & <script>', values: [50, 40, 30] },
    { name: 'wire', isLimit: true, values: [5] },
  ],
};

t.test('a report in which something is missing is refused', (t) => {
  checkReport(TABLE);
  checkReport(GROWTH);
  t.throws(() => {
    checkReport({ ...TABLE, rows: [{ name: 'ours', values: [] }] });
  }, /ours was not measured/);
  t.throws(() => {
    checkReport({ ...TABLE, rows: [{ name: 'ours', values: [NaN] }] });
  }, /ours was not measured/);
  const [series] = GROWTH.series;
  t.throws(() => {
    checkReport({ ...GROWTH, series: [{ name: 'ours', points: series?.points.slice(1) ?? [] }] });
  }, /ours at 4 sizes/);
  t.throws(() => {
    checkReport({ kind: 'grid', title: 'counts', columns: ['a'], rows: [['NaN']] });
  });
  t.end();
});

t.test('a table as text: median, spread, how many times as good', (t) => {
  const [, , ours = '', other = '', limit = ''] = formatReport(TABLE).split('\n');
  t.match(ours, /^ {2}ours +20\.0 +10\.0 to 30\.0 +server 1\.50, 2$/);
  t.match(other, /40\.0 +30\.0 to 50\.0 +2\.00 x$/, 'half the time is twice as good');
  t.match(limit, /^ {2}limit: wire +5\.00 +5\.00 to 5\.00 +0\.25 x$/);
  t.match(formatReport(GROWTH), / 1\.00$/m);
  t.end();
});

t.test('the page has no scripts, nothing from elsewhere, and everything escaped', (t) => {
  const settings = { size: 1, files: 1, names: 1, nodes: 1, peers: 1, clients: 1, processes: 1 };
  const page = formatPage({
    machine: thisMachine(),
    command: 'npm run bench -- <x>',
    subjects: [
      { name: 'hash', settings: { ...settings, runs: 1 }, seconds: 1, reports: [TABLE, GROWTH] },
      { name: 'index', settings: { ...settings, runs: 1 }, seconds: 1, reports: [], error: '<i>' },
    ],
  });
  t.notMatch(page, /<script|<b>|<i>|<x>| on[a-z]+=|src=|@import|<link|<foreignObject/i);
  const addresses = page.match(/[a-z]+:\/\/[^"' )]+/g) ?? [];
  // Names of XML, which nothing fetches.
  t.same(
    new Set(addresses),
    new Set(['http://www.w3.org/2000/svg', 'http://www.w3.org/1999/xlink']),
  );
  t.equal(page.match(/<svg /g)?.length, 2);
  t.match(page, 'prefers-color-scheme: dark');
  t.end();
});
