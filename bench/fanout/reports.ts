/** What searches took and cost, as reports. */
import type { Grid, Growth, Latencies, Report } from '../common/report.js';
import { median, quantile } from '../common/statistics.js';
import type { Settings } from '../common/subject.js';
import { TTL, type Measured, type Searched } from './searched.js';

/** The goals: milliseconds to the last answer, half of the time; milliseconds above the delays. */
const GOAL_BARE = 60;
const GOAL_ABOVE = 30;

export function bareReports(settings: Settings, all: readonly Measured[]): Report[] {
  const largest = all.at(-1);
  return [
    latencies('on bare loopback: first answer', all, 'first'),
    {
      ...latencies('on bare loopback: last answer', all, 'last'),
      notes: [
        goal(
          `half of all last answers within ${GOAL_BARE} ms (${largest?.nodes ?? 0} nodes)`,
          median(column(largest, 'last')) <= GOAL_BARE,
        ),
      ],
    },
    {
      ...costs('on bare loopback', all, 'bytes'),
      notes: [
        ...notes(settings, all),
        'frames: RQFS with an RPFL and an ACKN for each, and TPHF; KB: all bytes on all connections meanwhile',
        goal(
          'RQFS never more than directed links',
          all.every((one) => quantile(column(one, 'RQFS'), 1) <= one.links),
        ),
      ],
    },
  ];
}

export function delayedReports(
  settings: Settings,
  all: readonly Measured[],
  delay: number,
): Report[] {
  const title = `with ${delay} ms added to each hop, one way`;
  const above = all.map((one) => ({
    name: nameOf(one),
    values: one.costs.map(({ last, farthest }) => last - farthest * 2 * delay),
  }));
  return [
    latencies(`${title}: last answer`, all, 'last'),
    {
      kind: 'latencies',
      title: `${title}: last answer above ${2 * delay} ms for each hop to the farthest node`,
      unit: 'ms',
      rows: above,
      notes: [
        goal(
          `last answer at most ${GOAL_ABOVE} ms above: half of them in each network`,
          above.every(({ values }) => median(values) <= GOAL_ABOVE),
        ),
        goal(
          'all of them',
          above.every(({ values }) => quantile(values, 1) <= GOAL_ABOVE),
        ) + ` (${above.map(({ values }) => `${within(values)} %`).join(', ')})`,
      ],
    },
    {
      ...costs(title, all, 'searchBytes'),
      notes: [
        ...notes(settings, all),
        'frames and KB: of searches only, as the relays saw them; their counts are those of the nodes',
      ],
    },
  ];
}

/** How latency and messages grow with the number of peers. */
export function growthReports(all: readonly Measured[]): [Growth, Growth] {
  const kinds = [...new Set(all.map(kindOf))];
  const series = (name: string, cost: (one: Measured) => readonly number[]): Growth['series'] =>
    kinds.map((kind) => ({
      name: `${name}, ${kind}`,
      points: all
        .filter((one) => kindOf(one) === kind)
        .map((one) => ({ size: one.nodes, values: cost(one) })),
    }));
  return [
    {
      kind: 'growth',
      title: 'latency of a search by number of peers: until the last answer',
      of: 'peers',
      unit: 'ms',
      series: [
        ...series('p50', (one) => column(one, 'last')),
        ...series('p90', (one) => [quantile(column(one, 'last'), 0.9)]),
      ],
    },
    {
      kind: 'growth',
      title: 'cost of a search by number of peers',
      of: 'peers',
      unit: 'searches sent',
      series: series('median', (one) => column(one, 'RQFS')),
    },
  ];
}

function kindOf({ delay }: Measured): string {
  return delay > 0 ? `${delay} ms a hop` : 'bare loopback';
}

function nameOf({ nodes, links }: Measured): string {
  return `${nodes} peers, ${(links / nodes).toFixed(1)} links each`;
}

function latencies(title: string, all: readonly Measured[], key: 'first' | 'last'): Latencies {
  return {
    kind: 'latencies',
    title: `searches ${title}`,
    unit: 'ms',
    rows: all.map((one) => ({ name: nameOf(one), values: column(one, key) })),
  };
}

function costs(title: string, all: readonly Measured[], bytes: 'bytes' | 'searchBytes'): Grid {
  return {
    kind: 'grid',
    title: `searches ${title}: what one costs`,
    columns: [
      ...['peers', 'links', 'hops', 'RQFS p50', 'max', 'TPHF', 'frames', 'KB'],
      ...['end ms', 'CPU ms', 'peak MiB'],
    ],
    rows: all.map((one) => [
      ...[`${one.nodes}`, `${one.links}`],
      `${quantile(column(one, 'farthest'), 0.01)}-${quantile(column(one, 'farthest'), 1)}`,
      count(column(one, 'RQFS')),
      quantile(column(one, 'RQFS'), 1).toFixed(0),
      count(column(one, 'TPHF')),
      count(one.costs.map(framesOf)),
      (median(bytesOf(one, bytes)) / 1000).toFixed(1),
      median(column(one, 'end')).toFixed(1),
      one.use === undefined ? '?' : ((one.use.cpu / one.costs.length) * 1000).toFixed(1),
      one.use === undefined ? '?' : (one.use.peak / 2 ** 20).toFixed(0),
    ]),
  };
}

function framesOf({ RQFS, TPHF, seen }: Searched): number {
  return seen === undefined ? 3 * RQFS + TPHF : seen.RQFS + seen.RPFL + seen.TPHF + seen.ACKN;
}

function bytesOf({ costs }: Measured, which: 'bytes' | 'searchBytes'): number[] {
  return costs.map((cost) => (which === 'bytes' ? cost.bytes : (cost.seen?.bytes ?? NaN)));
}

function notes({ processes, runs }: Settings, all: readonly Measured[]): string[] {
  const largest = all.at(-1);
  const seconds = ((largest?.started ?? NaN) / 1000).toFixed(0);
  return [
    `${(largest?.costs.length ?? 0) / runs} searches in each of ${runs} runs with ttl ${TTL}, every answer checked`,
    `links: directed; hops: to the farthest node; ${largest?.nodes ?? 0} nodes were there after ${seconds} s`,
    `CPU and memory: of the ${processes} processes that the nodes run in, all searches and their checks`,
  ];
}

type Figure = Exclude<keyof Searched, 'seen'>;

function column(one: Measured | undefined, key: Figure): number[] {
  return one?.costs.map((cost) => cost[key]) ?? [];
}

function count(values: readonly number[]): string {
  return median(values).toFixed(0);
}

function within(above: readonly number[]): string {
  const good = above.filter((one) => one <= GOAL_ABOVE).length;
  return ((100 * good) / above.length).toFixed(0);
}

function goal(what: string, met: boolean): string {
  return `goal: ${what}: ${met ? 'met' : 'MISSED'}`;
}
