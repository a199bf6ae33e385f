/** Searches in networks of real nodes over TCP: how long the answers take, and what they cost. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FanoutNetwork, type Cost } from './fanout/network.js';
import { hopsFrom, randomGraph, type Graph } from './common/graphs.js';
import { seededRandom } from './common/random.js';
import { median, quantile, type Grid } from './common/report.js';
import type { Settings, Subject } from './common/subject.js';

export const fanout: Subject = {
  name: 'fanout',
  describe: 'searches in networks of real nodes, on bare loopback and with a delay a hop',
  run: async (settings: Settings) => [await measureBare(settings), await measureDelayed(settings)],
};

const DEGREES = [4, 8];
const SMALLEST = 8;
const TTL = 7;
/** Milliseconds that a relay adds to each hop, one way; so a round trip takes twice that. */
const DELAY = 20;
/** Searches measured for each of `runs`, and those before them that warm up. */
const SEARCHES = 20;
const WARM_UP = 20;
/** Milliseconds between the begins of two searches: a node takes 50 a second from one neighbour. */
const PACE = 25;
/** The goals: milliseconds to the last answer, half of the time; milliseconds above the delays. */
const GOAL_BARE = 60;
const GOAL_ABOVE = 30;

interface Setting {
  nodes: number;
  degree: number;
  delay: number;
}

interface Measured extends Setting {
  /** Links, each counted in both directions. */
  links: number;
  costs: Searched[];
  /** Milliseconds until the network was there. */
  started: number;
}

interface Searched extends Cost {
  /** Hops to the node that is farthest away. */
  farthest: number;
}

async function measureBare(settings: Settings): Promise<Grid> {
  const all = await measureAll(settings, 0);
  const largest = all.at(-1);
  return {
    title: 'searches on bare loopback, ms',
    columns: [...WHERE, ...TIMES, 'last max', ...COSTS],
    rows: all.map((one) => [
      ...where(one),
      ...times(one),
      ms(column(one, 'last'), 1),
      ...costs(one, 'bytes'),
    ]),
    notes: [
      ...notes(settings, all),
      'frames: RQFS with an RPFL and an ACKN for each, and TPHF; KB: all bytes on all connections meanwhile',
      goal(
        `half of all last answers within ${GOAL_BARE} ms (${largest?.nodes ?? 0} nodes, degree 8)`,
        median(column(largest, 'last')) <= GOAL_BARE,
      ),
      goal(
        'RQFS never more than directed links',
        all.every((one) => quantile(column(one, 'RQFS'), 1) <= one.links),
      ),
    ],
  };
}

async function measureDelayed(settings: Settings): Promise<Grid> {
  const all = await measureAll(settings, DELAY);
  for (const one of all) for (const cost of one.costs) checkCounts(cost);
  const above = (one: Measured): number[] => {
    return one.costs.map(({ last, farthest }) => last - farthest * 2 * DELAY);
  };
  return {
    title: `searches with ${DELAY} ms added to each hop, one way (a round trip: ${2 * DELAY} ms), ms`,
    columns: [...WHERE, 'hops', ...TIMES, 'above p50', 'p90', 'p99', 'max', ...COSTS],
    rows: all.map((one) => [
      ...where(one),
      `${quantile(column(one, 'farthest'), 0.01)}-${quantile(column(one, 'farthest'), 1)}`,
      ...times(one),
      ...[0.5, 0.9, 0.99, 1].map((part) => ms(above(one), part)),
      ...costs(one, 'searchBytes'),
    ]),
    notes: [
      ...notes(settings, all),
      'hops: to the node farthest from the one that searches; above: last answer less so many round trips',
      'frames and KB: of searches only, as the relays saw them',
      goal(
        `last answer at most ${GOAL_ABOVE} ms above: half of them in each network`,
        all.every((one) => median(above(one)) <= GOAL_ABOVE),
      ),
      goal(
        'all of them',
        all.every((one) => quantile(above(one), 1) <= GOAL_ABOVE),
      ) + ` (${all.map((one) => `${within(above(one))} %`).join(', ')})`,
    ],
  };
}

async function measureAll(settings: Settings, delay: number): Promise<Measured[]> {
  const all: Measured[] = [];
  for (const nodes of sizes(settings.peers)) {
    for (const degree of DEGREES) all.push(await measure(settings, { nodes, degree, delay }));
  }
  return all;
}

/** 8, 16, 32, ... and the largest. */
function sizes(largest: number): number[] {
  const all: number[] = [];
  for (let nodes = SMALLEST; nodes < largest; nodes *= 2) all.push(nodes);
  return [...all, largest];
}

/** One network, searched from nodes chosen at random: the same graph and nodes with and without delay. */
async function measure({ folder, processes, runs }: Settings, setting: Setting): Promise<Measured> {
  const { nodes, degree, delay } = setting;
  const random = seededRandom(nodes * 100 + degree);
  const graph = randomGraph(nodes, degree, random);
  const shares = join(folder, `${nodes}-${degree}-${delay}`);
  mkdirSync(shares);
  const begin = performance.now();
  const network = await FanoutNetwork.start({ graph, delay, processes, folder: shares });
  const started = performance.now() - begin;
  try {
    const costs: Searched[] = [];
    for (let i = 0; i < WARM_UP + runs * SEARCHES; i++) {
      const next = sleep(PACE);
      const from = Math.floor(random() * nodes);
      const cost = await network.search(from, TTL);
      if (i >= WARM_UP) costs.push({ ...cost, farthest: farthest(graph, from) });
      await next;
    }
    const links = graph.reduce((sum, neighbours) => sum + neighbours.length, 0);
    return { ...setting, links, costs, started };
  } finally {
    await network.close();
  }
}

function farthest(graph: Graph, from: number): number {
  return Math.max(...hopsFrom(graph, from).filter((hops) => hops <= TTL));
}

/** What the nodes counted must be what the relays saw between them. */
function checkCounts({ RQFS, TPHF, seen }: Searched): void {
  const counted = [RQFS, RQFS, TPHF].join();
  const there = [seen?.RQFS, seen?.RPFL, seen?.TPHF].join();
  // To a copy that has come so far a way round that its ttl is 0 there is no ACKN.
  if (counted !== there || (seen?.ACKN ?? NaN) > RQFS)
    throw new Error(`nodes counted ${counted} messages, relays ${there}`);
}

// ------------------------------------------------------------ the tables

const WHERE = ['nodes', 'degree', 'links'];
const TIMES = ['first p50', 'last p50', 'p90', 'p99', 'end p50'];
const COSTS = ['RQFS p50', 'max', 'TPHF', 'frames', 'KB'];

function where({ nodes, degree, links }: Measured): string[] {
  return [`${nodes}`, `${degree}`, `${links}`];
}

function times(one: Measured): string[] {
  return [
    ms(column(one, 'first'), 0.5),
    ...[0.5, 0.9, 0.99].map((part) => ms(column(one, 'last'), part)),
    ms(column(one, 'end'), 0.5),
  ];
}

function costs(one: Measured, bytes: 'bytes' | 'searchBytes'): string[] {
  const frames = one.costs.map(({ RQFS, TPHF, seen }) => {
    return seen === undefined ? 3 * RQFS + TPHF : seen.RQFS + seen.RPFL + seen.TPHF + seen.ACKN;
  });
  const size = one.costs.map((cost) =>
    bytes === 'bytes' ? cost.bytes : (cost.seen?.bytes ?? NaN),
  );
  return [
    count(column(one, 'RQFS')),
    quantile(column(one, 'RQFS'), 1).toFixed(0),
    count(column(one, 'TPHF')),
    count(frames),
    (median(size) / 1000).toFixed(1),
  ];
}

function notes({ processes, runs }: Settings, all: readonly Measured[]): string[] {
  const largest = all.at(-1);
  const seconds = ((largest?.started ?? NaN) / 1000).toFixed(0);
  return [
    `${runs * SEARCHES} searches each with ttl ${TTL}, every answer checked; the nodes run in ${processes} processes`,
    `links: directed; first, last: answers of other nodes; ${largest?.nodes ?? 0} nodes were there after ${seconds} s`,
  ];
}

type Figure = Exclude<keyof Searched, 'seen'>;

function column(one: Measured | undefined, key: Figure): number[] {
  return one?.costs.map((cost) => cost[key]) ?? [];
}

function ms(values: readonly number[], part: number): string {
  return quantile(values, part).toFixed(1);
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
