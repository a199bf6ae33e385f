/**
 * All clients at once: what they get together, against one alone, and how evenly; and how others serve
 * them.
 */
import {
  atSizes,
  inTurn,
  megabytesPerSecond,
  rowsOf,
  type Contestant,
  type Runs,
} from '../common/in-turn.js';
import { sizesUpTo } from '../common/growth.js';
import { installed, missing } from '../common/processes.js';
import type { Growth, Latencies, Report, Table } from '../common/report.js';
import { median } from '../common/statistics.js';
import type { Progress, Settings } from '../common/subject.js';
import { usesDuring, withChildren } from '../common/usage.js';
import { Crowd } from './crowd.js';
import type { Server } from './process.js';

/** Times that one client alone fetches the file. */
const ALONE = 32;

/** A server, what it is called, and its process. */
export interface Served {
  name: string;
  pid: number;
  server: Server;
}

/** @param servers the first is ours */
export async function measureAtOnce(
  servers: readonly Served[],
  { clients, processes, runs }: Settings,
  progress: Progress,
): Promise<Report[]> {
  const [ours] = servers;
  if (ours === undefined) throw new RangeError('no servers');
  const { size } = ours.server;
  /** Of ours, when all fetch: milliseconds by client, each run. */
  let times: number[][] = [];
  const peaks = new Map<number, readonly Runs[]>();
  const { last, series } = await atSizes(sizesUpTo(clients), async (count) => {
    times = [];
    const crowds = await openAll(servers, count, processes);
    const alone = await Crowd.open(ours.server, 1, 1);
    const contestants = crowds.map(({ served, crowd }) =>
      together(served, crowd, 1, (each) => {
        if (served === ours) times.push(each);
      }),
    );
    try {
      const all = await inTurn(
        [...contestants, { ...together(ours, alone, ALONE), name: ONE }],
        runs,
        (what) => {
          progress(`${count} clients: ${what}`);
        },
      );
      peaks.set(count, all);
      return all;
    } finally {
      await Promise.all([alone.close(), ...crowds.map(({ crowd }) => crowd.close())]);
    }
  });
  // The first one warmed up.
  const measured = times.slice(1);
  return [
    rates(last, size, clients, processes),
    fairness(measured, clients),
    {
      kind: 'growth',
      title: 'all clients have the file, by their number',
      of: 'clients',
      unit: 'ms',
      series: series.filter(({ name }) => name !== ONE),
    },
    memory(peaks),
  ];
}

const ONE = 'p2p-serve, one client alone';

async function openAll(
  servers: readonly Served[],
  count: number,
  processes: number,
): Promise<{ served: Served; crowd: Crowd }[]> {
  const crowds: { served: Served; crowd: Crowd }[] = [];
  for (const served of servers) {
    crowds.push({ served, crowd: await Crowd.open(served.server, count, processes) });
  }
  return crowds;
}

function together(
  { name, pid }: Served,
  crowd: Crowd,
  times: number,
  onTimes: (milliseconds: number[]) => void = () => undefined,
): Contestant {
  const groups = [
    { name: 'server', pids: () => withChildren(pid) },
    { name: 'clients', pids: () => crowd.pids },
  ];
  return {
    name,
    once: async () => {
      const { result, uses } = await usesDuring(groups, () => crowd.fetch(times));
      onTimes(result);
      return { milliseconds: Math.max(...result), uses };
    },
  };
}

function rates(last: readonly Runs[], size: number, clients: number, processes: number): Table {
  const all = last.filter(({ name }) => name !== ONE);
  const alone = last.filter(({ name }) => name === ONE);
  const [together] = rowsOf(all, (ms) => megabytesPerSecond(clients * size, ms));
  const [single] = rowsOf(alone, (ms) => megabytesPerSecond(ALONE * size, ms));
  const ratio = median(together?.values ?? []) / median(single?.values ?? []);
  return {
    kind: 'table',
    title: `${clients} clients in ${processes} processes at once, ${size} bytes each`,
    unit: 'MB/s',
    better: 'more',
    rows: [
      ...rowsOf(all, (ms) => megabytesPerSecond(clients * size, ms)),
      ...(single === undefined ? [] : [single]),
    ],
    notes: [
      `p2p-serve: together ${ratio.toFixed(2)} x one alone (wanted: 0.8)`,
      'clients of p2p-serve verify every byte, those of the others look at a few',
      ...(installed('nginx', '-v') ? [] : [missing('nginx', 'nginx-light')]),
    ],
  };
}

function fairness(times: readonly (readonly number[])[], clients: number): Latencies {
  const evenness = times.map((each) => median(each) / Math.max(...each));
  return {
    kind: 'latencies',
    title: `${clients} clients at once: until each has the file`,
    unit: 'ms',
    rows: [{ name: 'p2p-serve', values: times.flat() }],
    notes: [
      `slowest one's rate: ${median(evenness).toFixed(2)} x that of the one in the middle (wanted: 0.5)`,
    ],
  };
}

/** The server's peak, by number of clients. */
function memory(peaks: ReadonlyMap<number, readonly Runs[]>): Growth {
  const names = [...peaks.values()].at(-1)?.map(({ name }) => name) ?? [];
  return {
    kind: 'growth',
    title: 'memory of the server by clients at once',
    of: 'clients',
    unit: 'MiB at most',
    series: names
      .filter((name) => name !== ONE)
      .map((name) => ({
        name,
        points: [...peaks].map(([size, all]) => ({ size, values: peaksOf(all, name) })),
      })),
    notes: ['with what it takes without any client'],
  };
}

function peaksOf(all: readonly Runs[], name: string): number[] {
  const runs = all.find((one) => one.name === name)?.runs ?? [];
  return runs.map(({ uses }) => (uses[0]?.peak ?? NaN) / 2 ** 20);
}
