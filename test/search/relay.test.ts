/** Searches that go from peer to peer, in networks in memory on a clock of their own. */
import fc from 'fast-check';
import t from 'tap';
import {
  clique,
  graphOf,
  hopsFrom,
  line,
  randomGraph,
  ring,
  smallWorld,
  star,
  tree,
  type Graph,
} from '../fixtures/graphs.js';
import { Network, peerId, type NetworkOptions, type SearchRun } from '../fixtures/relay-network.js';
import { seededRandom } from '../fixtures/random.js';
import { systemClock } from '../../lib/support/clock.js';
import type { FileMatch, Wanted } from '../../lib/wire/messages.js';

const NODES = 50;
/** Milliseconds from one node to the next. */
const DELAY = 20;
/** So long that it is never the reason for an end. */
const BUDGET = 60_000;

const fileOf = (node: number): FileMatch => ({
  path: `of-${node}`,
  hash: peerId(node),
  size: node,
});

interface Searched {
  network: Network;
  outcome: SearchRun;
  /** The ttls that a search was sent with over each link, in one direction. */
  links: Map<string, number[]>;
}

function searchIn(
  options: NetworkOptions,
  from: number,
  ttl: number,
  wanted: Wanted = { query: 'of' },
): Searched {
  const links = new Map<string, number[]>();
  const network = new Network({
    files: (node) => [fileOf(node)],
    onMessage: (a, b, message) => {
      if (message.type !== 'RQFS') return false;
      const link = `${a}>${b}`;
      links.set(link, [...(links.get(link) ?? []), message.ttl]);
      return false;
    },
    ...options,
  });
  const outcome = network.search(from, wanted, { ttl, timeout: BUDGET });
  network.clock.run();
  return { network, outcome, links };
}

/** What is wrong with a search that nothing disturbed. */
function faults({ graph }: NetworkOptions, from: number, ttl: number, done: Searched): string[] {
  const { network, outcome, links } = done;
  const hops = hopsFrom(graph, from);
  const within = hops.flatMap((n, node) => (n > 0 && n <= ttl ? [node] : []));
  const wrong: string[] = [];
  const expect = (what: string, is: unknown, should: unknown): void => {
    const [a, b] = [JSON.stringify(is), JSON.stringify(should)];
    if (a !== b) wrong.push(`${what}: ${a}, not ${b}`);
  };
  const found = outcome.results.map(({ peer }) => Number.parseInt(peer.id, 16));
  expect('nodes found', [...found].sort(byNumber), within);
  // Once to each that asks.
  expect(
    'nodes that answered',
    [...network.answers].map((n) => n > 0),
    hops.map((n) => n <= ttl),
  );
  expect('own files', outcome.own?.files, [fileOf(from)]);
  for (const { peer, hops: way, files } of outcome.results) {
    const node = Number.parseInt(peer.id, 16);
    expect(`files of ${node}`, files, [fileOf(node)]);
    if (way < (hops[node] ?? 0) || way > ttl) wrong.push(`${node} is not ${way} hops away`);
  }
  for (const [link, ttls] of links) {
    if (ttls.some((n, i) => i > 0 && n <= (ttls[i - 1] ?? 0))) {
      wrong.push(`${link} carried it with ttl ${ttls.join(', ')}`);
    }
  }
  expect('ends', outcome.ends.length, 1);
  const [end] = outcome.ends;
  expect('asked', end?.asked, within.length);
  expect('answered', end?.answered, within.length);
  expect('late', end?.timedOut, 0);
  expect('asked or had it', (end?.asked ?? 0) + (end?.duplicates ?? 0), network.sent.RQFS);
  for (const { open, stats } of network.relays) {
    expect('open', open, 0);
    const { late, stray, repeated, capped, dropped, refused } = stats;
    expect('dropped', [late, stray, repeated, capped, dropped, refused], [0, 0, 0, 0, 0, 0]);
  }
  return wrong;
}

function byNumber(a: number, b: number): number {
  return a - b;
}

const random50 = randomGraph(NODES, 8, seededRandom(50));

/** Expected: milliseconds until the end, and RQFS sent. */
const TOPOLOGIES: [
  name: string,
  graph: Graph,
  from: number,
  ttl: number,
  end: number,
  sent: number,
][] = [
  ['a line from its end', line(NODES), 0, 7, 14 * DELAY, 7],
  ['a line from the middle', line(NODES), 25, 3, 6 * DELAY, 6],
  ['a line shorter than ttl', line(5), 0, 7, 8 * DELAY, 4],
  ['a ring', ring(NODES), 3, 7, 14 * DELAY, 14],
  // Both sides ask the one opposite; it hears from one first, and asks the other.
  ['a ring that closes', ring(6), 0, 7, 8 * DELAY, 7],
  ['a star from the middle', star(NODES), 0, 7, 2 * DELAY, 49],
  ['a star from outside', star(NODES), 7, 7, 4 * DELAY, 49],
  ['a clique', clique(NODES), 9, 7, 2 * DELAY, 49],
  ['a tree from the top', tree(NODES, 3), 0, 7, 8 * DELAY, 49],
  ['a tree from a leaf', tree(NODES, 3), 49, 4, 8 * DELAY, 8],
  ['ttl 0', clique(NODES), 0, 0, 0, 0],
  ['a node alone', graphOf(1), 0, 7, 0, 0],
];

t.test('everything within ttl hops is found, once, and the search ends by itself', (t) => {
  for (const [name, graph, from, ttl, end, sent] of TOPOLOGIES) {
    const options = { graph, delay: DELAY };
    const done = searchIn(options, from, ttl);
    t.same(faults(options, from, ttl, done), [], name);
    t.equal(done.outcome.endAt, end, `${name}: time to the end`);
    t.equal(done.network.sent.RQFS, sent, `${name}: sent`);
  }
  t.end();
});

t.test('a random network with 8 links a node, by ttl', (t) => {
  const options = { graph: random50, delay: DELAY };
  const farthest = Math.max(...hopsFrom(random50, 0));
  const directed = random50.reduce((sum, neighbours) => sum + neighbours.length, 0);
  for (let ttl = 0; ttl <= 7; ttl++) {
    const done = searchIn(options, 0, ttl);
    t.same(faults(options, 0, ttl, done), [], `ttl ${ttl}`);
    t.equal(done.outcome.lastAt, 2 * DELAY * Math.min(ttl, farthest), 'as soon as it can be');
    t.ok(done.outcome.endAt <= done.outcome.lastAt + 4 * DELAY, 'the end follows soon');
    // Nothing goes back to the one that asked, so the first asker's links are saved at least.
    t.ok(done.network.sent.RQFS <= directed - NODES + 1, 'messages');
  }
  t.end();
});

t.test('a search for a hash goes the same way', (t) => {
  const options = { graph: random50, delay: DELAY };
  const hash = 'ab'.repeat(32);
  const done = searchIn(options, 0, 3, { hash });
  t.same(faults(options, 0, 3, done), []);
  t.ok(done.outcome.results.every((result) => result.hash === hash && !('query' in result)));
  t.end();
});

t.test('the long way wins the race, and what lies behind is reached all the same', (t) => {
  // 0-1 is short and slow; 0-2-3-1 is long and fast; 4, 5 and 6 lie behind 1.
  const graph = graphOf(7, [0, 1], [0, 2], [2, 3], [3, 1], [1, 4], [4, 5], [5, 6]);
  const delay = (a: number, b: number): number => (a + b === 1 ? 500 : 5);
  const done = searchIn({ graph, delay }, 0, 4);
  t.same(faults({ graph, delay }, 0, 4, done), []);
  t.same(done.links.get('1>4'), [0, 2], 'with ttl 1 first, then with ttl 3');
  t.same(done.network.answers[1], 2, 'and answered once to each');
  t.equal(done.outcome.results.find(({ peer }) => peer.id === peerId(1))?.hops, 3, 'the long way');
  t.equal(done.network.relay(1).stats.again, 1);
  t.end();
});

t.test('of copies that arrive together only the best is passed on', (t) => {
  // As above, but the short way's copy is there before 1 has finished with the long way's.
  const graph = graphOf(7, [0, 1], [0, 2], [2, 3], [3, 1], [1, 4], [4, 5], [5, 6]);
  const delay = (a: number, b: number): number => (a + b === 1 ? 20 : 5);
  const options = { graph, delay, settle: 2 };
  const done = searchIn(options, 0, 4);
  t.equal(done.network.relay(1).stats.again, 1, 'the long way came first');
  t.same(faults(options, 0, 4, done), []);
  t.same(done.links.get('1>4'), [2], 'once, with the ttl of the short way');
  t.end();
});

t.test('whoever does not tell its list of peers is not waited for', (t) => {
  const never = { graph: random50, delay: DELAY, lists: 'never' } as const;
  const done = searchIn(never, 0, 4);
  t.same(faults(never, 0, 4, done), []);
  // Three hops that wait, each half a second at most.
  t.ok(done.outcome.endAt <= 3 * 500 + 8 * DELAY, `${done.outcome.endAt} ms`);
  const asked = { graph: random50, delay: DELAY, lists: 'asked' } as const;
  const better = searchIn(asked, 0, 4);
  t.same(faults(asked, 0, 4, better), []);
  t.ok(better.network.sent.RQFS < done.network.sent.RQFS, 'a list saves messages');
  t.end();
});

t.test('in a small world the lists of peers save most messages', (t) => {
  const graph = smallWorld(200, 8, 0.1, seededRandom(4));
  const known = { graph, delay: DELAY };
  const never = { graph, delay: DELAY, lists: 'never' } as const;
  const [less, more] = [searchIn(known, 0, 7), searchIn(never, 0, 7)];
  t.same(faults(known, 0, 7, less), []);
  t.same(faults(never, 0, 7, more), []);
  t.ok(less.network.sent.RQFS < 0.75 * more.network.sent.RQFS, 'a quarter at least');
  t.end();
});

t.test('any network, with any delays', (t) => {
  const network = fc.record({
    nodes: fc.integer({ min: 2, max: 24 }),
    links: fc.array(fc.tuple(fc.nat(23), fc.nat(23)), { minLength: 1, maxLength: 70 }),
    longest: fc.constantFrom(0, 1, 30, 400),
    lists: fc.constantFrom('known', 'asked', 'never'),
    settle: fc.constantFrom(undefined, 0, 1, 50),
    from: fc.nat(23),
    ttl: fc.nat(9),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(network, ({ nodes, links, longest, lists, settle, seed, ...search }) => {
      const ends = links.map(([a, b]): [number, number] => [a % nodes, b % nodes]);
      const random = seededRandom(seed);
      const delays = Array.from({ length: nodes * nodes }, () => random() * longest);
      const graph = graphOf(nodes, ...ends);
      const delay = (a: number, b: number): number => delays[a * nodes + b] ?? 0;
      const options = { graph, delay, lists, settle };
      const from = search.from % nodes;
      const wrong = faults(
        options,
        from,
        Math.min(search.ttl, 7),
        searchIn(options, from, search.ttl),
      );
      if (wrong.length > 0) throw new Error(wrong.join('\n'));
    }),
    { numRuns: 500 },
  );
  t.end();
});

t.test('many searches at once do not disturb each other', (t) => {
  const graph = random50;
  const network = new Network({ graph, delay: DELAY, files: (node) => [fileOf(node)] });
  const outcomes = graph.map((_, node) => network.search(node, { query: `${node}` }, { ttl: 7 }));
  network.clock.run();
  for (const { results, ends } of outcomes) {
    t.equal(new Set(results.map(({ peer }) => peer.id)).size, NODES - 1);
    t.equal(results.length, NODES - 1);
    t.match(ends, [{ answered: NODES - 1, timedOut: 0 }]);
  }
  t.end();
});

t.test('the clock of this machine', async (t) => {
  const before = systemClock.now();
  const order: string[] = [];
  const cancel = systemClock.after(1, () => order.push('cancelled'));
  cancel();
  await new Promise<void>((resolve) => {
    systemClock.after(5, () => {
      order.push('second');
      resolve();
    });
    systemClock.after(0, () => order.push('first'));
  });
  t.same(order, ['first', 'second']);
  t.ok(systemClock.now() > before);
});
