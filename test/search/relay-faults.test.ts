/** Searches among peers that hang, lie, flood or go. */
import t from 'tap';
import { line, randomGraph, star } from '../fixtures/graphs.js';
import { seededRandom } from '../fixtures/random.js';
import { Network, peerId } from '../fixtures/relay-network.js';
import type { Asker } from '../../lib/search/roles.js';
import type { Search, SearchEnd } from '../../lib/wire/messages.js';
import {
  PlayedAsker,
  SELF,
  contact,
  fileList,
  id,
  play,
  queryId,
  search,
  searchEnd,
  someFiles,
  third,
} from '../fixtures/search.js';

const DUPLICATE = { type: 'RPFL', total: 0, files: [], duplicate: true } as const;

t.test('the deadline holds, whoever hangs', (t) => {
  // Of ten around it, three do not answer, and one answers but does not end.
  const strange = new Map<number, (search: Search, asker: Asker) => void>();
  for (const node of [1, 2, 3]) strange.set(node, () => undefined);
  strange.set(4, (_search, asker) => asker.send(fileList(1)));
  const network = new Network({ graph: star(11), delay: 20, strange, files: () => someFiles(1) });
  const outcome = network.search(0, { query: 'x' }, { ttl: 3, timeout: 4000 });
  network.clock.run();
  t.equal(outcome.results.length, 7);
  t.equal(outcome.lastAt, 40, 'nobody is delayed');
  t.equal(outcome.endAt, 4000);
  t.same(outcome.ends, [searchEnd({ asked: 10, answered: 7, timedOut: 4 })]);
  // Far away: those between end in time.
  const far = new Network({
    graph: line(8),
    delay: 20,
    strange: new Map([[7, () => undefined]]),
    files: () => someFiles(1),
  });
  const late = far.search(0, { query: 'x' }, { ttl: 7, timeout: 4000 });
  far.clock.run();
  t.equal(late.results.length, 6);
  t.same(late.ends, [searchEnd({ asked: 7, answered: 6, timedOut: 1 })]);
  t.ok(late.endAt < 4000);
  t.end();
});

t.test('what comes too late is dropped and counted', (t) => {
  const slow = (a: number, b: number): number => (a + b === 1 ? 3000 : 20);
  const graph = star(4);
  const network = new Network({ graph, delay: slow, files: () => someFiles(1) });
  const outcome = network.search(0, { query: 'x' }, { ttl: 2, timeout: 1000 });
  network.clock.run();
  t.equal(outcome.results.length, 2);
  t.equal(outcome.endAt, 1000);
  t.equal(network.relay(0).stats.late, 1);
  t.same(outcome.ends, [searchEnd({ asked: 3, answered: 2, timedOut: 1 })]);
  t.end();
});

t.test('answers that do not belong', (t) => {
  const { relay, neighbour, neighbours } = play(2);
  const asker = new PlayedAsker();
  relay.handle(search(), asker);
  const lies = [
    third(5, { query: 'y' }),
    third(5, { query: undefined, hash: id(1) }),
    third(5, { hash: id(1) }),
    third(5, { hops: 0 }),
    third(5, { hops: 3 }),
    third(5, { peer: { ...contact(5), id: SELF } }),
  ];
  for (const lie of lies) neighbour.on.third(lie);
  neighbour.on.files(fileList(1));
  neighbour.on.files(fileList(1));
  t.equal(asker.kinds, 'RPFL TPHF');
  t.equal(relay.stats.stray, lies.length + 1);
  // A peer twice from the same neighbour; from another it may be the truth, unless it is the same.
  for (const n of [5, 5, 1]) neighbour.on.third(third(n));
  neighbours[1]?.on.third(third(1));
  neighbours[1]?.on.third(third(5, { files: someFiles(2) }));
  t.equal(asker.kinds, 'RPFL TPHF TPHF TPHF');
  t.equal(relay.stats.repeated, 2);
  neighbour.on.third(third(6, { files: [] }));
  neighbour.on.end(searchEnd());
  neighbour.on.end(searchEnd({ asked: 5 }));
  neighbour.on.third(third(7));
  neighbour.on.files(fileList(1));
  t.equal(relay.stats.late, 2);
  t.equal(asker.end, undefined, 'one that ends twice does not end for another');
  neighbours[1]?.on.files(DUPLICATE);
  neighbours[1]?.on.end(undefined);
  t.equal(asker.kinds, 'RPFL TPHF TPHF TPHF ACKN');
  t.same(asker.end, searchEnd({ asked: 1, answered: 1, duplicates: 3 }));
  t.end();
});

t.test('with ttl 0 a neighbour answers for itself alone', (t) => {
  const { relay, neighbour } = play(1);
  const asker = new PlayedAsker();
  relay.handle(search({ ttl: 1 }), asker);
  neighbour.on.third(third(5));
  neighbour.on.files(fileList(1));
  neighbour.on.end(searchEnd({ asked: 9 }));
  t.equal(asker.kinds, 'RPFL TPHF ACKN');
  t.same(asker.end, searchEnd({ asked: 1, answered: 1 }));
  t.end();
});

t.test('counts that nobody can have', (t) => {
  const { relay, neighbours } = play(3, { count: 1000 });
  const asker = new PlayedAsker();
  relay.handle(search(), asker);
  const huge = Number.MAX_SAFE_INTEGER;
  const lie: SearchEnd = searchEnd({
    asked: huge,
    answered: huge,
    timedOut: huge,
    duplicates: huge,
  });
  for (const { on } of neighbours) {
    on.files(fileList(0));
    on.end(lie);
  }
  const end = { asked: 3003, answered: 3003, timedOut: 3000, duplicates: 3000 };
  t.same(asker.end, searchEnd(end));
  t.end();
});

t.test('ten thousand results for one search', (t) => {
  const { relay, neighbours, neighbour } = play(2, { resultsPerNeighbour: 50 });
  const asker = new PlayedAsker();
  relay.handle(search(), asker);
  for (let n = 0; n < 10_000; n++) neighbour.on.third(third(n + 10));
  neighbours[1]?.on.third(third(10, { files: someFiles(2) }));
  t.equal(asker.got.length, 1 + 50 + 1);
  t.equal(relay.stats.capped, 9950);
  t.end();
});

t.test('an asker that goes takes its searches along', (t) => {
  const { relay, neighbour, clock } = play(1);
  const asker = new PlayedAsker();
  relay.handle(search(), asker);
  asker.close();
  t.same([relay.open, neighbour.asked[0]?.givenUp, asker.closing.size], [0, true, 0]);
  neighbour.on.files(fileList(1));
  neighbour.on.end(searchEnd());
  const silent = new PlayedAsker();
  silent.list = undefined;
  relay.handle(search({ queryId: queryId(2) }), silent);
  silent.close();
  t.equal(clock.run(), 0, 'no timer is left');
  t.equal(asker.kinds, 'RPFL');
  t.equal(relay.stats.late, 1);
  // In a network: the way back is cut while the search goes on.
  const network = new Network({ graph: line(5), delay: 20, files: () => someFiles(1) });
  const outcome = network.search(0, { query: 'x' }, { ttl: 7 });
  network.clock.run(50);
  network.cut(1, 2);
  network.clock.run();
  t.same(
    outcome.results.map(({ peer }) => peer.id),
    [peerId(1)],
  );
  t.same(outcome.ends, [searchEnd({ asked: 2, answered: 1 })], 'lost, not late');
  t.equal(outcome.endAt, 70);
  t.ok(network.relays.every(({ open }) => open === 0));
  t.end();
});

t.test('neighbours that answer or are lost while they are asked', (t) => {
  const { relay, neighbours } = play(3);
  const [a, b, c] = neighbours;
  if (a === undefined || b === undefined || c === undefined) throw new Error('three');
  a.atOnce = (on) => {
    on.files(fileList(1));
    on.end(searchEnd());
  };
  b.atOnce = (on) => {
    on.end(undefined);
    neighbours.length = 0;
  };
  const asker = new PlayedAsker();
  relay.handle(search(), asker);
  t.equal(asker.kinds, 'RPFL TPHF', 'goes on');
  c.on.end(undefined);
  t.same(asker.end, searchEnd({ asked: 3, answered: 1 }));
  // The asker is lost while a neighbour is asked.
  neighbours.push(a, b, c);
  const gone = new PlayedAsker();
  b.atOnce = () => {
    gone.close();
  };
  relay.handle(search({ queryId: queryId(2) }), gone);
  t.equal(c.asked.length, 1, 'nobody else is asked');
  t.equal(b.asked[1]?.givenUp, true);
  t.same([gone.kinds, relay.open], ['RPFL TPHF', 0]);
  // It was lost before.
  const before = new PlayedAsker();
  before.close();
  relay.handle(search({ queryId: queryId(3) }), before);
  t.same([before.kinds, relay.open, before.closing.size, a.asked.length], ['', 0, 0, 2]);
  t.end();
});

t.test('own files that take their time', (t) => {
  const { relay, clock, neighbour, pending } = play(1, {}, { answerLater: true });
  const asker = new PlayedAsker();
  relay.handle(search(), asker);
  clock.run(1000);
  t.equal(neighbour.asked.length, 0, 'own files come first');
  pending[0]?.(fileList(1));
  pending[0]?.(fileList(1));
  t.match(neighbour.asked, [{ search: { timeout: 3750 } }]);
  t.equal(asker.kinds, 'RPFL');
  const never = new PlayedAsker();
  relay.handle(search({ queryId: queryId(2), timeout: 100 }), never);
  clock.run(1100);
  t.same(never.got, [{ type: 'RPFL', total: 0, files: [] }, searchEnd()], 'at the deadline');
  pending[1]?.(fileList(1));
  t.equal(never.got.length, 2);
  t.end();
});

t.test('a fault of its own ends the search that had it', (t) => {
  const { relay, neighbour, clock } = play(1);
  neighbour.atOnce = () => {
    throw new TypeError('broken');
  };
  const asker = new PlayedAsker();
  t.throws(() => {
    relay.handle(search(), asker);
  }, /broken/);
  t.same([relay.open, asker.closing.size, clock.run()], [0, 0, 0]);
  t.end();
});

/** Which part of 60 nodes is found where a neighbour of so many sends every search on at once, with ttl 7, and returns nothing. */
function foundBeside(linked: number, delay: number): number {
  const COUNT = 60;
  let found = 0;
  for (let from = 0; from < 10; from++) {
    const random = seededRandom(from + 1);
    const graph = randomGraph(COUNT, 8, random).map((neighbours) => [...neighbours]);
    // The node that searches is among its neighbours.
    const victims = Array.from({ length: linked }, (_, i) => (from + i * 7) % COUNT);
    for (const node of victims) graph[node]?.push(COUNT);
    const replayed = new Set<number>();
    const replay = (search: Search, asker: Asker): void => {
      asker.send(fileList(0));
      asker.send(searchEnd());
      const nothing = { files: () => 0, third: () => 0, end: () => 0 };
      for (const link of network.linksOf(COUNT)) {
        if (link.id === asker.id || replayed.has(link.to)) continue;
        replayed.add(link.to);
        link.ask({ ...search, ttl: 7 }, nothing);
      }
    };
    const network = new Network({
      graph: [...graph, victims],
      delay: (a, b) => (Math.max(a, b) === COUNT ? delay : 20),
      settle: 1,
      files: () => someFiles(1),
      strange: new Map([[COUNT, replay]]),
    });
    const { results } = network.search(from, { query: 'x' }, { ttl: 4, timeout: 5000 });
    network.clock.run();
    found += new Set(results.map(({ peer }) => peer.id)).size;
  }
  return found / 10 / (COUNT - 1);
}

t.test('a neighbour that replays searches ahead of the others', (t) => {
  t.equal(foundBeside(8, 20), 1, 'no nearer than they are');
  t.ok(foundBeside(30, 20) > 0.95, 'a neighbour of half of all nodes');
  // Nodes that nobody reaches but by nodes to which it was first: what these find goes to it alone.
  t.ok(foundBeside(8, 5) > 0.85, 'four times as near');
  t.end();
});
