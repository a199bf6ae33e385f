/** What a benchmark subject is, and what it may use. */
import type { Report } from './report.js';

export interface Settings {
  /** Bytes of the large file. */
  size: number;
  /** Small files in one folder. */
  files: number;
  /** File names in the largest index. */
  names: number;
  /** Peers in the largest network. */
  nodes: number;
  /** Real nodes in the largest network. */
  peers: number;
  /** Clients of one node at once. */
  clients: number;
  /** Processes that many nodes or clients run in. */
  processes: number;
  /** Measured runs of each contestant, after one that warms up. */
  runs: number;
  /** A folder that is removed at the end. */
  folder: string;
}

export interface Subject {
  name: string;
  /** One line: what it measures, against what. */
  describe: string;
  run(settings: Settings): Promise<Report[]>;
}

/** Something that is measured: does its work once, checks its result, and says how long it took. */
export interface Contestant {
  name: string;
  /** Resolves with milliseconds; rejects when the result is wrong. */
  once(): Promise<number>;
}

/**
 * Run contestants in turn (A B A B ...), so that what slows the machine for a while slows all of them.
 *
 * @returns milliseconds of each run, by contestant, without the first, which warms up
 */
export async function inTurn(
  contestants: readonly Contestant[],
  runs: number,
  onRun: (done: number, all: number) => void = () => undefined,
): Promise<Map<string, number[]>> {
  const times = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
  const all = (runs + 1) * contestants.length;
  let done = 0;
  for (let run = 0; run <= runs; run++) {
    for (const contestant of contestants) {
      const milliseconds = await contestant.once();
      if (run > 0) times.get(contestant.name)?.push(milliseconds);
      onRun(++done, all);
    }
  }
  return times;
}

/** Milliseconds that a piece of work takes. */
export async function timed(work: () => Promise<void>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}
