/** Searches in networks of real nodes, against what breadth-first search says of the graph. */
import t, { type Test } from 'tap';
import {
  clique,
  graphOf,
  hopsFrom,
  line,
  randomGraph,
  ring,
  star,
  tree,
  type Graph,
} from '../fixtures/graphs.js';
import { formatAddress } from '../../lib/net/address.js';
import { Connection } from '../../lib/net/connection.js';
import type { PeerNode } from '../../lib/node.js';
import type { SearchStats } from '../../lib/search/node-search.js';
import type { SearchResult } from '../../lib/search/results.js';
import type { Search } from '../../lib/wire/messages.js';
import { seeded } from '../fixtures/bytes.js';
import { startGate } from '../fixtures/gate.js';
import {
  NEVER,
  TIMES,
  linked,
  outcomeOf,
  startNetwork,
  startSharing,
  type SearchRun,
} from '../fixtures/network.js';
import { connectTo } from '../fixtures/node.js';
import { TRANSPORTS } from '../fixtures/transport.js';

interface Sent {
  connection: Connection;
  search: Search;
}

/** Every RQFS that any node here sent. */
const sent: Sent[] = [];
const descriptor = Object.getOwnPropertyDescriptor(Connection.prototype, 'search');
const original = descriptor?.value as Connection['search'];
Connection.prototype.search = function (this: Connection, ...args) {
  sent.push({ connection: this, search: args[0] });
  return original.apply(this, args);
};

type Counts = Pick<SearchStats, 'fresh' | 'again' | 'duplicates' | 'passedOn'>;
const countsOf = ({ searchStats }: PeerNode): Counts => {
  const { fresh, again, duplicates, passedOn } = searchStats;
  return { fresh, again, duplicates, passedOn };
};
const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

/** Search from one node, and look whether all is as it must be, whoever won which race. */
async function check(
  t: Test,
  nodes: readonly PeerNode[],
  graph: Graph,
  from: number,
  ttl: number,
): Promise<SearchRun> {
  const name = `from ${from}, ttl ${ttl}`;
  const [origin] = nodes.slice(from);
  if (origin === undefined) throw new Error(name);
  const before = nodes.map(countsOf);
  const sentBefore = sent.length;
  const outcome = await outcomeOf((options) => origin.search('x-', options), { ttl });
  const { results, summary } = outcome;

  const hops = hopsFrom(graph, from);
  const within = nodes.map((_, i) => i).filter((i) => (hops[i] ?? Infinity) <= ttl);
  const number = new Map(nodes.map(({ id }, i) => [id, i]));
  const found = results.map(({ peer }) => number.get(peer.id) ?? -1);
  t.same(
    found.toSorted((a, b) => a - b),
    within,
    `${name}: all within reach, none twice`,
  );
  t.ok(results.every(isOwnFile(nodes, number)), `${name}: each with its own file and address`);
  t.ok(
    results.every(({ hops: way }, i) => way <= ttl && way >= (hops[found[i] ?? -1] ?? Infinity)),
    `${name}: no way is shorter than the shortest`,
  );

  const did = nodes.map((node, i) => difference(countsOf(node), before[i] ?? countsOf(node)));
  const asked = within.length - 1;
  const messages = sum(did.map(({ passedOn }) => passedOn));
  t.same(
    summary,
    { asked, answered: asked, late: 0, duplicates: messages - asked },
    `${name}: it ends by itself, and counts every message`,
  );
  t.same(
    did.map(({ fresh }) => fresh),
    nodes.map((_, i) => (i !== from && within.includes(i) ? 1 : 0)),
    `${name}: each is asked for the first time once`,
  );
  t.equal(sum(did.map(({ again, duplicates }) => again + duplicates)), messages - asked);
  t.equal(sum(nodes.map(({ searchStats }) => searchStats.open)), 0, `${name}: all is over`);

  const now = sent.slice(sentBefore);
  t.equal(now.length, messages);
  t.ok(risesOnEachLink(now), `${name}: once over each link, or again with a higher ttl`);
  for (const [i, { passedOn, again }] of did.entries()) {
    // All but the one that asked; and as many again for each time that a higher ttl came.
    const most = ((graph[i]?.length ?? 0) - (i === from ? 0 : 1)) * (1 + again);
    if (passedOn > Math.max(0, most)) t.fail(`${name}: ${i} sent ${passedOn}, more than ${most}`);
  }
  return outcome;
}

function isOwnFile(nodes: readonly PeerNode[], number: ReadonlyMap<string, number>) {
  return ({ peer, total, files }: SearchResult): boolean => {
    const i = number.get(peer.id) ?? -1;
    const { host, port } = nodes[i]?.address ?? { host: '', port: 0 };
    const [file] = files;
    const whole = total === 1 && files.length === 1 && file?.path === `x-${i}.txt`;
    return whole && peer.host === host && peer.port === port;
  };
}

function difference(after: Counts, before: Counts): Counts {
  return {
    fresh: after.fresh - before.fresh,
    again: after.again - before.again,
    duplicates: after.duplicates - before.duplicates,
    passedOn: after.passedOn - before.passedOn,
  };
}

/** Whether no link carried a search twice, unless with a higher ttl than before. */
function risesOnEachLink(sent: readonly Sent[]): boolean {
  const highest = new Map<Connection, number>();
  return sent.every(({ connection, search }) => {
    const before = highest.get(connection) ?? -1;
    highest.set(connection, search.ttl);
    return search.ttl > before;
  });
}

t.test('a line', async (t) => {
  const graph = line(9);
  const nodes = await startNetwork(t, graph);
  for (const ttl of [0, 1, 2, 6, 7]) {
    const { summary } = await check(t, nodes, graph, 0, ttl);
    t.equal(summary?.duplicates, 0);
  }
  await check(t, nodes, graph, 4, 3);
});

for (const { transport, tls } of TRANSPORTS) {
  t.test(`${transport}: a ring`, async (t) => {
    const graph = ring(9);
    const nodes = await startNetwork(t, graph, { tls });
    for (const ttl of [1, 3, 4, 5, 7]) {
      const { summary } = await check(t, nodes, graph, ttl, ttl);
      t.ok((summary?.duplicates ?? 0) <= 2, 'where both ways meet');
    }
  });
}

t.test('a star', async (t) => {
  const graph = star(10);
  const nodes = await startNetwork(t, graph);
  for (const [from, ttl] of [
    [0, 1],
    [0, 4],
    [3, 1],
    [3, 2],
  ] as const) {
    const { summary } = await check(t, nodes, graph, from, ttl);
    t.equal(summary?.duplicates, 0);
  }
});

t.test('a tree', async (t) => {
  const graph = tree(15, 2);
  const nodes = await startNetwork(t, graph);
  for (const [from, ttl] of [
    [0, 2],
    [0, 3],
    [14, 4],
    [14, 6],
  ] as const) {
    const { summary } = await check(t, nodes, graph, from, ttl);
    t.equal(summary?.duplicates, 0);
  }
});

t.test('a clique: a node that knows the list of the asker asks no other', async (t) => {
  const graph = clique(8);
  const nodes = await startNetwork(t, graph, { times: { ...TIMES, firstList: 20 } });
  await check(t, nodes, graph, 2, 1);
  // As soon as all have the lists of all.
  let duplicates: number | undefined;
  for (let attempts = 0; duplicates !== 0 && attempts < 100; attempts++) {
    duplicates = (await check(t, nodes, graph, 2, 4)).summary?.duplicates;
  }
  t.equal(duplicates, 0);
});

t.test('50 nodes with 8 links each, at random', async (t) => {
  const graph = randomGraph(50, 8, seeded(4));
  const nodes = await startNetwork(t, graph);
  for (const [from, ttl] of [
    [0, 1],
    [7, 2],
    [21, 3],
    [49, 7],
  ] as const) {
    await check(t, nodes, graph, from, ttl);
  }
  // Many at once.
  const many = await Promise.all(
    nodes
      .slice(-5)
      .map((node) => outcomeOf((options) => node.search('common', options), { ttl: 7 })),
  );
  for (const { results, summary } of many) {
    t.equal(results.length, 50);
    t.match(summary, { asked: 49, answered: 49, late: 0 });
  }
  t.ok(nodes.every(({ searchStats }) => searchStats.open === 0));
});

for (const { transport, tls } of TRANSPORTS) {
  t.test(`${transport}: from outside, and for a hash`, async (t) => {
    const graph = line(5);
    const nodes = await startNetwork(t, graph, { tls });
    const [first] = nodes;
    if (first === undefined) return;
    const client = await connectTo(t, first, { tls });
    const { results, summary } = await outcomeOf((options) => client.searchNetwork('X-', options), {
      ttl: 3,
    });
    t.same(
      results.map(({ hops, files }) => [hops, files[0]?.path]),
      [0, 1, 2, 3].map((i) => [i, `x-${i}.txt`]),
      'each before those behind it',
    );
    t.same(summary, { asked: 4, answered: 4, late: 0, duplicates: 0 });
    const hash = results[2]?.files[0]?.hash ?? '';
    for (const start of [client.searchNetwork.bind(client), first.search.bind(first)]) {
      const outcome = await outcomeOf((options) => start({ hash }, options), { ttl: 4 });
      t.match(outcome.results, [
        { peer: { id: nodes[2]?.id }, files: [{ path: 'x-2.txt', hash }] },
      ]);
      t.equal(outcome.results.length, 1);
    }
  });
}

t.test('the long way wins the race: what lies behind is found all the same', async (t) => {
  //  0 ==gate== 1 - 4 - 5      0 reaches 5 by way of 1 alone: three hops, or five the long way
  //  |          |
  //  2 -------- 3
  const graph = graphOf(6, [0, 1], [0, 2], [2, 3], [3, 1], [1, 4], [4, 5]);
  const nodes: PeerNode[] = [];
  const start = async (n: number, ...to: (PeerNode | string)[]): Promise<PeerNode> => {
    const peers = to.map((peer) => (typeof peer === 'string' ? peer : formatAddress(peer.address)));
    return (nodes[n] = await startSharing(t, n, { [`x-${n}.txt`]: String(n) }, { peers }));
  };
  const one = await start(1);
  const gate = await startGate(t, one.address);
  const three = await start(3, one);
  const two = await start(2, three);
  const zero = await start(0, formatAddress(gate.address), two);
  const four = await start(4, one);
  await start(5, four);
  await linked(nodes, graph);
  const way = zero.peers.find(({ id }) => id === one.id);
  t.match(way, { link: 'out', ...gate.address }, 'the search goes by the gate');
  const sentBefore = sent.length;
  gate.shut();
  const { results, summary } = await outcomeOf(
    async function* (options) {
      for await (const result of zero.search('x-', options)) {
        yield result;
        // By way of 2 and 3, with a ttl of 0 left.
        if (result.peer.id === one.id) gate.open();
      }
    },
    { ttl: 3 },
  );
  // Where it was found first.
  const found = new Map(
    results
      .toReversed()
      .map(({ peer, hops }) => [nodes.findIndex(({ id }) => id === peer.id), hops]),
  );
  const names = results.map(({ peer: { id, host, port } }) => `${id} ${host} ${port}`);
  t.equal(new Set(names).size, names.length, 'none twice');
  t.equal(names.length, 7, 'but 1 at its own address, and at that of the gate');
  t.same(
    [...found].toSorted(([a], [b]) => a - b),
    [
      [0, 0],
      [1, 3],
      [2, 1],
      [3, 2],
      [4, 2],
      [5, 3],
    ],
  );
  t.match(one.searchStats, { fresh: 1, again: 1, open: 0 });
  // 1 had it already when it came the short way, and 3 when 1 passed it on with more hops to go.
  t.same(summary, { asked: 5, answered: 5, late: 0, duplicates: 2 });
  t.ok(risesOnEachLink(sent.slice(sentBefore)));
  t.ok(nodes.every(({ searchStats }) => searchStats.open === 0));
});

t.test(
  'a link that is slow delays nothing else; what comes over it is relayed when it comes',
  async (t) => {
    const graph = graphOf(4, [0, 1], [0, 2], [1, 3]);
    const nodes: PeerNode[] = [];
    const names = (n: number): Record<string, string> => ({ [`x-${n}.txt`]: String(n) });
    const one = (nodes[1] = await startSharing(t, 1, names(1)));
    const gate = await startGate(t, one.address);
    const two = (nodes[2] = await startSharing(t, 2, names(2)));
    const [slow, fast] = [gate.address, two.address].map(formatAddress);
    const zero = await startSharing(t, 0, names(0), { peers: [slow ?? '', fast ?? ''] });
    nodes[0] = zero;
    nodes[3] = await startSharing(t, 3, names(3), { peers: [formatAddress(one.address)] });
    await linked(nodes, graph);
    gate.shut();
    const order: number[] = [];
    const { summary } = await outcomeOf(
      async function* (options) {
        for await (const result of zero.search('x-', options)) {
          order.push(nodes.findIndex(({ id }) => id === result.peer.id));
          yield result;
          if (result.peer.id === two.id) gate.open();
        }
      },
      { ttl: 2 },
    );
    t.same(order, [0, 2, 1, 3]);
    t.same(summary, { asked: 3, answered: 3, late: 0, duplicates: 0 });
    gate.shut();
    const late = await outcomeOf((options) => zero.search('x-', options), { ttl: 2, timeout: 300 });
    t.equal(late.results.length, 2);
    t.same(late.summary, { asked: 2, answered: 1, late: 1, duplicates: 0 });
    t.equal(zero.searchStats.open, 0);
    gate.open();
  },
);

for (const { transport, tls } of TRANSPORTS) {
  t.test(
    `${transport}: left, aborted or closed in the middle, a search is over everywhere`,
    async (t) => {
      const graph = line(3);
      const nodes = await startNetwork(t, graph, { tls });
      const [zero, one] = nodes;
      if (zero === undefined || one === undefined) return;
      for await (const { peer } of zero.search('x-', { timeout: NEVER })) {
        t.equal(peer.id, zero.id);
        break;
      }
      t.equal(zero.searchStats.open, 0);
      const stop = new AbortController();
      const search = zero.search('x-', { timeout: NEVER, signal: stop.signal });
      await search.next();
      stop.abort();
      await t.rejects(collect(search), { code: 'ERR_ABORTED' });
      t.equal(zero.searchStats.open, 0);
      // A peer that takes the search and never ends.
      const waits = zero.search('x-', { timeout: NEVER });
      await waits.next();
      const closed = t.rejects(collect(waits), { code: 'ERR_CLOSED' });
      await zero.close();
      await closed;
      t.throws(() => zero.search('x-'), { code: 'ERR_CLOSED' });
    },
  );
}

async function collect(search: AsyncIterable<SearchResult>): Promise<void> {
  for await (const { total } of search) if (total < 0) return;
}
