/** Searches among thousands of peers: how far they get, and what that takes in messages and time. */
import { setImmediate as breathe } from 'node:timers/promises';
import { hopsFrom, randomGraph } from '../test/fixtures/graphs.js';
import { sizesUpTo } from './common/growth.js';
import { seededRandom } from '../test/fixtures/random.js';
import type { Grid, Report, Series } from './common/report.js';
import { median } from './common/statistics.js';
import type { Progress, Settings, Subject } from './common/subject.js';
import { cpuSecondsSoFar, peakBytes } from './common/usage.js';
import { Network, peerId } from '../test/fixtures/relay-network.js';

export const scale: Subject = {
  name: 'scale',
  describe: 'searches in networks in memory, by peers, ttl and links, on a clock of their own',
  defaults: { runs: 3 },
  run,
};

const DEGREES = [4, 8];
const TTLS = [1, 2, 3, 4, 5, 6, 7];
/** Milliseconds from one peer to the next, different for each link and direction: 20 on average. */
const SHORTEST = 5;
const LONGEST = 35;
/** One peer in so many has a file that matches. */
const RARE = 100;
const FILE = { path: 'a file that is found', hash: peerId(0), size: 1 };
const BAR = 20;

/** What one search came to. */
interface Figures {
  /** Peers that answered, the first included. */
  reached: number;
  /** RQFS sent; those that came to a peer that had the search; all messages. */
  asked: number;
  duplicates: number;
  messages: number;
  /** Virtual milliseconds until the last result (NaN without any) and until the end. */
  last: number;
  end: number;
  /** Milliseconds of this machine. */
  took: number;
}

/** Networks of one kind. */
interface Measured {
  nodes: number;
  degree: number;
  /** By ttl; one for each network. */
  figures: Figures[][];
}

async function run({ nodes, runs }: Settings, progress: Progress): Promise<Report[]> {
  const sizes = sizesUpTo(nodes);
  const measured: Measured[] = [];
  // What runs first is slower, whatever it is.
  measure(sizes[0] ?? 0, DEGREES[0] ?? 0, runs);
  for (const size of sizes) {
    for (const degree of DEGREES) {
      progress(`${size} peers with ${degree} links`);
      // Whoever waits is told.
      await breathe();
      measured.push(measure(size, degree, runs));
    }
  }
  const peak = peakBytes([process.pid]) / 2 ** 20;
  const widest = (degree: number, key: keyof Figures): Series => ({
    name: `${degree} links, ttl ${TTLS.at(-1) ?? 0}`,
    points: measured
      .filter((one) => one.degree === degree)
      .map((one) => ({ size: one.nodes, values: (one.figures.at(-1) ?? []).map((f) => f[key]) })),
  });
  const largest = measured.filter((one) => one.nodes === nodes);
  return [
    ...largest.map((one) => grid(one, runs)),
    {
      kind: 'growth',
      title: 'messages of a search by number of peers',
      of: 'peers',
      unit: 'messages',
      series: DEGREES.map((degree) => widest(degree, 'messages')),
      notes: [
        'they do not grow with the network any more where ttl ends before it does',
        `${runs} networks of each kind; the relay is the real one, only its connections are not`,
      ],
    },
    {
      kind: 'growth',
      title: 'time until the end of a search by number of peers, on the clock of the network',
      of: 'peers',
      unit: 'ms',
      series: DEGREES.map((degree) => widest(degree, 'end')),
    },
    {
      kind: 'growth',
      title: 'time that this machine takes for all peers of a search',
      of: 'peers',
      unit: 'ms',
      series: DEGREES.map((degree) => widest(degree, 'took')),
      notes: [
        `all networks were in one process: ${peak.toFixed(0)} MiB at most, ${cpuSecondsSoFar().toFixed(1)} CPU s`,
      ],
    },
  ];
}

/** One network a run, searched from one peer with every ttl. */
function measure(nodes: number, degree: number, runs: number): Measured {
  const figures = TTLS.map((): Figures[] => []);
  for (let run = 1; run <= runs; run++) {
    const random = seededRandom(run);
    const graph = randomGraph(nodes, degree, random);
    const delays = graph.map(() => new Map<number, number>());
    for (const [from, neighbours] of graph.entries()) {
      for (const to of neighbours) {
        delays[from]?.set(to, SHORTEST + random() * (LONGEST - SHORTEST));
      }
    }
    const network = new Network({
      graph,
      seed: run,
      delay: (from, to) => delays[from]?.get(to) ?? 0,
      files: (node) => (node % RARE === 0 ? [FILE] : []),
    });
    const from = Math.floor(random() * nodes);
    const hops = hopsFrom(graph, from);
    TTLS.forEach((ttl, i) => {
      const found = search(network, from, ttl);
      const within = hops.filter((n) => n <= ttl).length;
      if (found.reached !== within) {
        throw new Error(`${found.reached} of ${within} peers within ${ttl} hops were reached`);
      }
      figures[i]?.push(found);
    });
  }
  return { nodes, degree, figures };
}

function search(network: Network, from: number, ttl: number): Figures {
  const begin = performance.now();
  network.answers.fill(0);
  const before = { ...network.sent };
  const outcome = network.search(from, { query: 'file' }, { ttl });
  network.clock.run();
  const took = performance.now() - begin;
  const [end] = outcome.ends;
  if (end === undefined) throw new Error('the search did not end');
  const { RQFS, RPFL, TPHF, ACKN } = network.sent;
  const answers = RPFL - before.RPFL + (TPHF - before.TPHF) + (ACKN - before.ACKN);
  const asked = RQFS - before.RQFS;
  return {
    // Once to each that asks it: to several neighbours, perhaps.
    reached: network.answers.filter((times) => times > 0).length,
    asked,
    duplicates: end.duplicates,
    messages: asked + answers,
    last: outcome.results.length === 0 ? NaN : outcome.lastAt,
    end: outcome.endAt,
    took,
  };
}

function grid({ nodes, degree, figures }: Measured, runs: number): Grid {
  return {
    kind: 'grid',
    title: `a search among ${nodes} peers with ${degree} links each`,
    columns: ['ttl', 'reach', 'asked', 'had it', 'messages', 'a peer', 'last ms', 'end ms', ''],
    rows: TTLS.map((ttl, i) => row(ttl, nodes, figures[i] ?? [])),
    notes: [
      `reach: peers that answer; asked: RQFS sent; had it: those that came to a peer that had the search`,
      `a peer: messages of all kinds for each that answered; links take ${SHORTEST} to ${LONGEST} ms one way`,
      `one peer in ${RARE} has a match; medians of ${runs} networks`,
    ],
  };
}

function row(ttl: number, nodes: number, figures: readonly Figures[]): string[] {
  const reach = mid(figures, 'reached') / nodes;
  const last = mid(figures, 'last');
  return [
    `${ttl}`,
    `${(reach * 100).toFixed(1)} %`,
    mid(figures, 'asked').toFixed(0),
    mid(figures, 'duplicates').toFixed(0),
    mid(figures, 'messages').toFixed(0),
    (mid(figures, 'messages') / mid(figures, 'reached')).toFixed(1),
    Number.isNaN(last) ? '-' : last.toFixed(0),
    mid(figures, 'end').toFixed(0),
    '#'.repeat(Math.round(reach * BAR)).padEnd(BAR, '.'),
  ];
}

function mid(figures: readonly Figures[], key: keyof Figures): number {
  return median(figures.map((one) => one[key]).filter((n) => !Number.isNaN(n)));
}
