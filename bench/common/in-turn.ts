/** Contestants, measured in turn. */
import { median } from './statistics.js';
import type { Row, Series } from './report.js';
import type { Progress } from './subject.js';
import { ownProcess, usesDuring, type Group, type Use } from './usage.js';

/** One run of one contestant. */
export interface Run {
  milliseconds: number;
  /** What each side took meanwhile. */
  uses: readonly Use[];
}

/** Something that is measured: does its work once, and checks its result. */
export interface Contestant {
  name: string;
  /** It does not do the same work: it is what the machine can do at most. */
  isLimit?: boolean;
  /** Rejects when the result is wrong. */
  once(): Promise<Run>;
}

/** What a contestant did in each run. */
export interface Runs {
  name: string;
  isLimit: boolean;
  runs: readonly Run[];
}

/**
 * Run contestants in turn (A B A B ...), so that what slows the machine for a while slows all of them.
 * The first run of each warms up and is left out.
 */
export async function inTurn(
  contestants: readonly Contestant[],
  runs: number,
  progress: Progress,
): Promise<Runs[]> {
  const all = contestants.map(({ name, isLimit = false }) => ({
    name,
    isLimit,
    runs: [] as Run[],
  }));
  for (let run = 0; run <= runs; run++) {
    for (const [i, contestant] of contestants.entries()) {
      progress(`${contestant.name}, ${run === 0 ? 'warming up' : `run ${run} of ${runs}`}`);
      const one = await contestant.once();
      if (run > 0) all[i]?.runs.push(one);
    }
  }
  return all;
}

/**
 * Measure the same at several sizes.
 *
 * @returns the runs at the last size; and, of those contestants that were there at every size, their
 * milliseconds by size
 */
export async function atSizes(
  sizes: readonly number[],
  at: (size: number) => Promise<readonly Runs[]>,
): Promise<{ last: readonly Runs[]; series: Series[] }> {
  const all: { size: number; runs: readonly Runs[] }[] = [];
  for (const size of sizes) all.push({ size, runs: await at(size) });
  const last = all.at(-1)?.runs ?? [];
  const series = last.map(({ name }) => ({
    name,
    points: all.flatMap(({ size, runs }) => {
      const own = runs.find((one) => one.name === name);
      return own === undefined ? [] : [{ size, values: own.runs.map((run) => run.milliseconds) }];
    }),
  }));
  return { last, series: series.filter(({ points }) => points.length === sizes.length) };
}

/** Milliseconds that a piece of work takes, and what these processes took meanwhile. */
export async function timed(
  work: () => Promise<unknown>,
  groups: readonly Group[] = [ownProcess('benchmark')],
): Promise<Run> {
  const { result: milliseconds, uses } = await usesDuring(groups, async () => {
    const begin = performance.now();
    await work();
    return performance.now() - begin;
  });
  return { milliseconds, uses };
}

/** A run of a program, with what servers took meanwhile. */
export async function withServers(groups: readonly Group[], run: () => Promise<Run>): Promise<Run> {
  const { result, uses } = await usesDuring(groups, run);
  return { milliseconds: result.milliseconds, uses: [...uses, ...result.uses] };
}

/** Rows of a table, in milliseconds. */
export function inMilliseconds(all: readonly Runs[]): Row[] {
  return rowsOf(all, (milliseconds) => milliseconds);
}

/** Rows of a table, in MB/s (10^6 bytes). */
export function inMegabytesPerSecond(all: readonly Runs[], bytes: number): Row[] {
  return rowsOf(all, (milliseconds) => megabytesPerSecond(bytes, milliseconds));
}

/** Rows of a table, in what `value` makes of milliseconds. */
export function rowsOf(all: readonly Runs[], value: (milliseconds: number) => number): Row[] {
  return all.map(({ name, isLimit, runs }) => ({
    ...{ name, isLimit },
    values: runs.map(({ milliseconds }) => value(milliseconds)),
    uses: medianUses(runs),
  }));
}

/** Bytes in milliseconds as MB/s (10^6 bytes). */
export function megabytesPerSecond(bytes: number, milliseconds: number): number {
  return bytes / milliseconds / 1000;
}

/** Of each side the median CPU time, and the highest peak. */
function medianUses(runs: readonly Run[]): Use[] {
  const sides = runs[0]?.uses ?? [];
  return sides.map(({ name }, i) => ({
    name,
    cpu: median(runs.map(({ uses }) => uses[i]?.cpu ?? NaN)),
    peak: Math.max(...runs.map(({ uses }) => uses[i]?.peak ?? NaN)),
  }));
}
