/** Search by name among very many, against a regular expression and plocate on the same names. */
import { setImmediate as breathe } from 'node:timers/promises';
import { sizesUpTo } from './common/growth.js';
import { installed, missing } from './common/processes.js';
import type { Latencies, Report, Series } from './common/report.js';
import { median } from './common/statistics.js';
import type { Progress, Settings, Subject } from './common/subject.js';
import { cpuSecondsSoFar, peakBytes } from './common/usage.js';
import { expectedOf, byRegExp, checkAnswer, type Answer, type Expected } from './search/answers.js';
import { buildIndex, slices, type Built } from './search/index-cost.js';
import { makeDistinctQueries, makeNames, makeQueries } from './search/names.js';
import { Plocate } from './search/plocate.js';

export const search: Subject = {
  name: 'search',
  describe: 'search by name; against a regular expression, plocate',
  defaults: { names: 300_000, runs: 3 },
  run,
};

const QUERIES = 1000;
/** Queries that are also given to those that take long, and whose answers are compared. */
const SAMPLE = 20;
const PAGE = 50;
/** Names that stay neighbours when only some are taken. */
const NEIGHBOURS = 50;

const OURS = 'ours';

/** Names, and everybody's times of queries among them. */
interface Measured {
  names: number;
  built: Built;
  /** Microseconds of each query, one list a run, by contestant. */
  times: Map<string, number[][]>;
  notes: string[];
}

async function run(settings: Settings, progress: Progress): Promise<Report[]> {
  const all = makeNames(settings.names);
  const measured: Measured[] = [];
  const sizes = sizesUpTo(settings.names, SAMPLE * NEIGHBOURS);
  // What runs first is slower, whatever it is.
  measure(some(all, sizes[0] ?? 0), settings);
  for (const size of sizes) {
    progress(`${size} names`);
    // Whoever waits is told.
    await breathe();
    measured.push(measure(some(all, size), settings));
  }
  const byNames = (name: string, cost: (one: Measured) => readonly number[]): Series => ({
    name,
    points: measured.map((one) => ({ size: one.names, values: cost(one) })),
  });
  const contestants = [...(measured[0]?.times.keys() ?? [])];
  return [
    ...measured.map(latencies),
    {
      kind: 'growth',
      title: 'a search by number of names: the median of its queries',
      of: 'names',
      unit: 'us',
      series: contestants.map((name) =>
        byNames(name, ({ times }) => (times.get(name) ?? []).map(median)),
      ),
    },
    {
      kind: 'growth',
      title: 'changing the index by number of names',
      of: 'names',
      unit: 'ms',
      series: [
        byNames('to add all', ({ built }) => [built.adding]),
        byNames('to remove one and add it again', ({ built }) => [built.changing]),
      ],
    },
    {
      kind: 'growth',
      title: 'memory of the index by number of names',
      of: 'names',
      unit: 'MiB',
      series: [byNames('with the paths', ({ built }) => [built.memory / 2 ** 20])],
    },
  ];
}

function measure(names: readonly string[], { runs, folder }: Settings): Measured {
  const built = buildIndex(names);
  const { index } = built;
  const queries = makeQueries(names, QUERIES);
  const sample = expectedOf(names, queries.slice(0, SAMPLE));
  const ours: Answer = (query) => index.search(query, PAGE).total;
  for (const one of sample) checkAnswer(index, names, one, PAGE);
  const contestants = new Map<string, Answer>([
    [`${OURS}, the same ${SAMPLE} queries`, ours],
    [`a regular expression over an array`, (query) => byRegExp(names, query)],
  ]);
  const notes: string[] = [];
  if (installed('plocate')) {
    const plocate = new Plocate(names, folder);
    contestants.set('plocate -c', (query) => plocate.count(query));
    notes.push(
      `of plocate, starting it for a query takes about ${plocate.starting().toFixed(1)} ms`,
    );
  } else {
    notes.push(missing('plocate'));
  }
  const mixes = new Map([
    [`${OURS}, ${QUERIES} queries by the frequency of words`, queries],
    [`${OURS}, ${QUERIES} different words`, makeDistinctQueries(names, QUERIES)],
  ]);
  const times = new Map<string, number[][]>(
    [...contestants.keys(), ...mixes.keys()].map((name) => [name, []]),
  );
  /** A change: answers that are cached for the same search do not count from one run to the next. */
  const forget = (): void => {
    index.remove(0);
    index.add(0, names[0] ?? '');
  };
  const cpu = new Map<string, number>();
  const spend = (name: string, act: () => void): void => {
    const begin = cpuSecondsSoFar();
    act();
    cpu.set(name, (cpu.get(name) ?? 0) + cpuSecondsSoFar() - begin);
  };
  // The first run warms up.
  for (let run = 0; run <= runs; run++) {
    for (const [name, answer] of contestants) {
      forget();
      spend(name, () => {
        const each = sample.map((one) => timeOfAnswer(answer, one));
        if (run > 0) times.get(name)?.push(each);
      });
    }
    for (const [name, mix] of mixes) {
      forget();
      spend(name, () => {
        const each = mix.map((query) => microseconds(() => ours(query)));
        if (run > 0) times.get(name)?.push(each);
      });
    }
  }
  const seconds = [...cpu].map(([name, used]) => `${name} ${used.toFixed(2)}`);
  notes.push(
    `CPU s of all runs: ${seconds.join('; ')}`,
    `this process had ${(peakBytes([process.pid]) / 2 ** 20).toFixed(0)} MiB at most, with all names`,
  );
  const { queries: hostile, longest, step } = slices(index, PAGE);
  notes.push(
    `of ${hostile} queries that find or ask very much the slowest takes ${longest.toFixed(0)} ms, ` +
      `in steps of at most ${step.toFixed(1)} ms`,
    `${built.bytes.toFixed(0)} bytes a name; the index has ${(built.memory / 2 ** 20).toFixed(0)} MiB with the paths`,
  );
  return { names: names.length, built, times, notes };
}

/** The answer's own check is part of the time: a comparison of two numbers. */
function timeOfAnswer(answer: Answer, { query, total }: Expected): number {
  let got = 0;
  const time = microseconds(() => {
    got = answer(query);
  });
  if (got !== total) throw new Error(`"${query}": ${got} found, not ${total}`);
  return time;
}

function latencies({ names, times, notes }: Measured): Latencies {
  return {
    kind: 'latencies',
    title: `a search in ${names} names, a page of ${PAGE} and the total`,
    unit: 'us',
    compared: true,
    rows: [...times].map(([name, runs]) => ({
      ...{ name, values: runs.flat() },
      isOther: name.startsWith(`${OURS}, ${QUERIES}`),
    })),
    notes,
  };
}

/** About so many of the names, neighbours together. */
function some(names: readonly string[], count: number): string[] {
  const one = Math.round(names.length / count);
  return names.filter((_, i) => Math.floor(i / NEIGHBOURS) % one === 0);
}

function microseconds(work: () => unknown): number {
  const begin = performance.now();
  work();
  return (performance.now() - begin) * 1000;
}
