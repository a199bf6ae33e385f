/** Searches in networks of real nodes over TCP: how long the answers take, and what they cost. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hopsFrom, randomGraph, type Graph } from '../test/fixtures/graphs.js';
import { sizesUpTo } from './common/growth.js';
import { seededRandom } from '../test/fixtures/random.js';
import type { Report } from './common/report.js';
import type { Progress, Settings, Subject } from './common/subject.js';
import { usesDuring } from './common/usage.js';
import { FanoutNetwork } from './fanout/network.js';
import { bareReports, delayedReports, growthReports } from './fanout/reports.js';
import { TTL, type Measured, type Searched, type Setting } from './fanout/searched.js';

export const fanout: Subject = {
  name: 'fanout',
  describe: 'searches in networks of real nodes, on bare loopback and with a delay a hop',
  defaults: { runs: 1 },
  run,
};

/** Links of a node. */
const DEGREE = 8;
const SMALLEST = 8;
/** Milliseconds that a relay adds to each hop, one way; so a round trip takes twice that. */
const DELAY = 20;
/** Searches measured for each of `runs`, and those before them that warm up. */
const SEARCHES = 30;
const WARM_UP = 10;
/** Milliseconds between the begins of two searches: a node takes 50 a second from one neighbour. */
const SEARCH_INTERVAL = 25;

async function run(settings: Settings, progress: Progress): Promise<Report[]> {
  const bare = await measureAll(settings, 0, progress);
  const delayed = await measureAll(settings, DELAY, progress);
  for (const one of delayed) for (const cost of one.costs) checkCounts(cost);
  return [
    ...bareReports(settings, bare),
    ...delayedReports(settings, delayed, DELAY),
    ...growthReports([...bare, ...delayed]),
  ];
}

async function measureAll(
  settings: Settings,
  delay: number,
  progress: Progress,
): Promise<Measured[]> {
  const all: Measured[] = [];
  for (const nodes of sizesUpTo(settings.peers, SMALLEST)) {
    progress(`${nodes} peers, ${delay} ms a hop`);
    all.push(await measure(settings, { nodes, delay }));
  }
  return all;
}

/** One network, searched from nodes chosen at random: the same graph and nodes with and without delay. */
async function measure({ folder, processes, runs }: Settings, setting: Setting): Promise<Measured> {
  const { nodes, delay } = setting;
  const random = seededRandom(nodes);
  const graph = randomGraph(nodes, DEGREE, random);
  const nodeFolders = join(folder, `${nodes}-${delay}`);
  mkdirSync(nodeFolders);
  const begin = performance.now();
  const network = await FanoutNetwork.start({ graph, delay, processes, folder: nodeFolders });
  const started = performance.now() - begin;
  const searchMany = async (count: number): Promise<Searched[]> => {
    const costs: Searched[] = [];
    for (let i = 0; i < count; i++) {
      const next = sleep(SEARCH_INTERVAL);
      const from = Math.floor(random() * nodes);
      const cost = await network.search(from, TTL);
      costs.push({ ...cost, farthest: farthest(graph, from) });
      await next;
    }
    return costs;
  };
  try {
    await searchMany(WARM_UP);
    const group = { name: 'nodes', pids: () => network.pids };
    const { result: costs, uses } = await usesDuring([group], () => searchMany(runs * SEARCHES));
    const links = graph.reduce((sum, neighbours) => sum + neighbours.length, 0);
    return { ...setting, links, costs, started, use: uses[0] };
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
