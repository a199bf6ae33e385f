/** Search by name among up to a million, against a regular expression and plocate on the same names. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { NameIndex } from '../lib/share/names/name-index.js';
import { fold, matches, termsOf } from '../lib/share/names/names.js';
import { makeDistinctQueries, makeNames, makeQueries } from './search/names.js';
import { installed } from './common/processes.js';
import { median, type Row, type Table } from './common/report.js';
import type { Settings, Subject } from './common/subject.js';

export const search: Subject = {
  name: 'search',
  describe: 'search by name at four sizes, against a regular expression and plocate',
  run,
};

/** Parts of all names, for one table each. */
const SIZES = [0.01, 0.1, 0.3, 1];
const QUERIES = 1000;
/** Queries that are also given to those that take long, and whose answers are compared. */
const SAMPLE = 20;
const PAGE = 50;
const MOVED = 40_000;
/** Queries that find very much, or have many terms: what matters is how long they do not let go. */
const HOSTILE = ['', 'a', 'ab', '-', '.py', 'a b c d e f', 'e a r i o t n s l c', 'a/'.repeat(512)];

/** Answers one query: how many names match. */
type Answer = (query: string) => number;

function run({ names: count, runs, folder }: Settings): Promise<Table[]> {
  const all = makeNames(count);
  return Promise.resolve(SIZES.flatMap((part) => measure(some(all, part), runs, folder)));
}

function measure(names: readonly string[], runs: number, folder: string): Table[] {
  const { index, note } = build(names);
  const queries = makeQueries(names, QUERIES);
  const mixes = [
    { name: 'by the frequency of words', queries },
    { name: 'distinct words', queries: makeDistinctQueries(names, QUERIES) },
  ];
  const sample = queries.slice(0, SAMPLE);
  for (const query of sample) verify(index, names, query);
  const contestants: { name: string; answer: Answer }[] = [
    { name: 'index', answer: (query) => index.search(query, PAGE).total },
    { name: 'RegExp', answer: (query) => byRegExp(names, query) },
  ];
  const notes = [note];
  if (installed('plocate')) {
    const database = join(folder, `names-${names.length}`);
    buildPlocate(names, database);
    contestants.push({ name: 'plocate -c', answer: (query) => byPlocate(database, query) });
    const empty = timeOf(() => byPlocate(database, '\u0001\u0002\u0003'));
    notes.push(`of plocate, starting it for a query takes about ${empty.toFixed(1)} ms`);
  } else {
    notes.push('plocate is not installed: apt-get install plocate');
  }
  const rows = contestants.map(({ name }) => ({ name, p50: [] as number[], p99: [] as number[] }));
  const ofMixes = mixes.map(() => ({ p50: [] as number[], p99: [] as number[] }));
  // The first run warms up.
  for (let run = 0; run <= runs; run++) {
    contestants.forEach(({ answer }, i) => {
      index.remove(0);
      index.add(0, names[0] ?? '');
      const [p50, p99] = latencies(sample, answer);
      if (run === 0) return;
      rows[i]?.p50.push(p50);
      rows[i]?.p99.push(p99);
    });
    mixes.forEach(({ queries }, i) => {
      // A change: answers that are kept for those who ask again do not count from one run to the next.
      index.remove(0);
      index.add(0, names[0] ?? '');
      const [p50, p99] = latencies(queries, (query) => index.search(query, PAGE).total);
      if (run === 0) return;
      ofMixes[i]?.p50.push(p50);
      ofMixes[i]?.p99.push(p99);
    });
  }
  mixes.forEach(({ name, queries }, i) => {
    const { p50 = [], p99 = [] } = ofMixes[i] ?? {};
    notes.push(
      `index, ${queries.length} queries, ${name}: p50 ${median(p50).toFixed(0)} us, p99 ${median(p99).toFixed(0)} us`,
    );
  });
  const { all: slowest, step } = slices(index);
  notes.push(
    `of ${HOSTILE.length} queries that find or ask very much the slowest takes ${slowest.toFixed(0)} ms, ` +
      `in steps of at most ${step.toFixed(1)} ms`,
  );
  const title = `search in ${names.length} names, ${SAMPLE} queries, a page of ${PAGE} and the total`;
  const half: Row[] = rows.map(({ name, p50 }) => ({ name, values: p50 }));
  const most: Row[] = rows.map(({ name, p99 }) => ({ name, values: p99 }));
  return [
    { title: `${title}: median`, unit: 'us', rows: half, notes },
    { title: `${title}: slowest`, unit: 'us', rows: most },
  ];
}

/** Median and 99th percentile of the time that queries take, in microseconds. */
function latencies(queries: readonly string[], answer: Answer): [p50: number, p99: number] {
  const taken = queries.map((query) => timeOf(() => answer(query)) * 1000).sort((a, b) => a - b);
  return [median(taken), taken[Math.ceil(taken.length * 0.99) - 1] ?? NaN];
}

/** The longest time that a search takes, and the longest between two places where others have their turn. */
function slices(index: NameIndex): { all: number; step: number } {
  const longest = { all: 0, step: 0 };
  for (const query of HOSTILE) {
    const steps = index.searching(query, PAGE);
    let all = 0;
    for (let begin = performance.now(); ;) {
      const { done } = steps.next();
      const end = performance.now();
      all += end - begin;
      longest.step = Math.max(longest.step, end - begin);
      if (done === true) break;
      begin = end;
    }
    longest.all = Math.max(longest.all, all);
  }
  return longest;
}

/** Build an index, and say what that takes. */
function build(names: readonly string[]): { index: NameIndex; note: string } {
  // Twice: what the first finds, the second gives back.
  collectGarbage();
  collectGarbage();
  const before = process.memoryUsage();
  const index = new NameIndex();
  const adding = timeOf(() => {
    names.forEach((name, id) => {
      index.add(id, name);
    });
  });
  collectGarbage();
  const after = process.memoryUsage();
  const memory = (after.arrayBuffers - before.arrayBuffers) / 2 ** 20;
  // With what was allocated on the way and has not gone back to the system.
  const resident = (after.rss - before.rss) / 2 ** 20;
  const moved = Math.min(MOVED, names.length);
  const removing = timeOf(() => {
    for (let id = 0; id < moved; id++) index.remove(id);
  });
  for (let id = 0; id < moved; id++) index.add(id, names[id] ?? '');
  const bytes = names.reduce((sum, name) => sum + Buffer.byteLength(name), 0);
  const note =
    `${(bytes / names.length).toFixed(0)} bytes a name; memory ${memory.toFixed(0)} MiB with the paths, the process grew by ${resident.toFixed(0)} MiB; ` +
    `${(names.length / adding).toFixed(0)} added and ${(moved / removing).toFixed(0)} removed a ms`;
  return { index, note };
}

/** Answers are those of looking at every name. */
function verify(index: NameIndex, names: readonly string[], query: string): void {
  const terms = termsOf(query);
  const expected = new Set(names.filter((name) => matches(fold(name), terms)));
  const { total, ids } = index.search(query, PAGE);
  const found = new Set(ids.map((id) => index.path(id) ?? ''));
  const right =
    total === expected.size &&
    found.size === Math.min(PAGE, total) &&
    [...found].every((path) => expected.has(path));
  if (!right) throw new Error(`wrong answer to "${query}": ${total}, not ${expected.size}`);
}

function byRegExp(names: readonly string[], query: string): number {
  const terms = query.split(/\s+/u).map((term) => term.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'));
  const pattern =
    terms.length === 1 ? (terms[0] ?? '') : terms.map((term) => `(?=.*${term})`).join('');
  const regExp = new RegExp(terms.length === 1 ? pattern : `^${pattern}`, 'isu');
  let total = 0;
  for (const name of names) if (regExp.test(name)) total++;
  return total;
}

function buildPlocate(names: readonly string[], database: string): void {
  // It wants absolute paths in order, and one a line.
  const lines = names.filter((name) => !name.includes('\n')).map((name) => `/${name}\n`);
  writeFileSync(`${database}.txt`, lines.sort().join(''));
  const args = ['--plaintext', '--require-visibility', 'no', `${database}.txt`, database];
  const { status } = spawnSync('plocate-build', args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error('plocate-build failed');
}

function byPlocate(database: string, query: string): number {
  const args = ['-d', database, '-i', '-c', '-N', '--', ...query.split(/\s+/u)];
  return Number(spawnSync('plocate', args, { encoding: 'utf8' }).stdout);
}

/** About this part of the names, neighbours together. */
function some(names: readonly string[], part: number): string[] {
  return names.filter((_, i) => Math.floor(i / 50) % Math.round(1 / part) === 0);
}

/** Typed arrays that were replaced by larger ones are counted as memory until this. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

function timeOf(work: () => unknown): number {
  const begin = performance.now();
  work();
  return performance.now() - begin;
}
