/** What one relay does with a search, message by message, and what bounds it. */
import { createHash } from 'node:crypto';
import t from 'tap';
import type { FileMatch } from '../../lib/wire/messages.js';
import {
  PlayedAsker,
  SELF,
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

t.test('own files first, then what comes, then one end', (t) => {
  const { relay, neighbours } = play(3);
  const asker = new PlayedAsker(1);
  relay.handle(search(), asker);
  const [first, second, last] = neighbours;
  t.same(asker.got, [fileList(1)], 'own files at once');
  t.equal(first?.asked.length, 0, 'not back to the asker');
  t.match(second?.asked, [{ search: { query: 'x', ttl: 2, queryId: queryId(1), max: 100 } }]);
  last?.on.files(fileList(2));
  t.same(asker.got[1], third(3, { files: someFiles(2), total: 2 }), 'first hand');
  second?.on.third(third(9));
  t.same(asker.got[2], third(9, { hops: 2 }), 'one hop more');
  second?.on.files({ type: 'RPFL', total: 0, files: [] });
  second?.on.end(searchEnd({ asked: 4, answered: 3, timedOut: 1, duplicates: 2 }));
  t.equal(asker.got.length, 3, 'nothing found, nothing relayed; the end waits for all');
  last?.on.end(searchEnd());
  const end = searchEnd({ asked: 6, answered: 5, timedOut: 1, duplicates: 2 });
  t.same(asker.got.slice(3), [end]);
  t.same([relay.open, asker.closing.size], [0, 0], 'nothing is left');
  t.end();
});

t.test('not to those that the asker has, and not to itself', (t) => {
  const { relay, neighbours } = play(3);
  Object.assign(neighbours[2] ?? {}, { id: SELF });
  const asker = new PlayedAsker(8);
  asker.list = new Set([id(2), id(77)]);
  relay.handle(search(), asker);
  t.same(
    neighbours.map(({ asked }) => asked.length),
    [1, 0, 0],
  );
  t.end();
});

t.test('a copy that waits for a list is overtaken by one with a higher ttl', (t) => {
  const { relay, clock, neighbours } = play(3);
  const [first, second, third] = neighbours;
  const slow = new PlayedAsker(8);
  slow.list = undefined;
  relay.handle(search({ ttl: 2 }), slow);
  const fast = new PlayedAsker(9);
  fast.list = new Set([id(3)]);
  relay.handle(search({ ttl: 4 }), fast);
  clock.run(500);
  t.same(
    neighbours.map(({ asked }) => asked.map(({ search: { ttl } }) => ttl)),
    [[3], [3], []],
    'no link carries it again with a lower one',
  );
  t.equal(slow.kinds, 'RPFL ACKN', 'its end is not late: nobody is left to be asked');
  first?.on.files(fileList(1));
  first?.on.end(searchEnd());
  second?.on.files(fileList(1));
  second?.on.end(searchEnd());
  t.equal(third?.asked.length, 0);
  t.equal(fast.kinds, 'RPFL TPHF TPHF ACKN');
  t.end();
});

t.test('a search that was here', (t) => {
  const { relay, clock, neighbours } = play(3, { seen: 3 });
  const n3 = neighbours[2];
  relay.handle(search({ ttl: 1 }), new PlayedAsker(1));
  n3?.on.files(DUPLICATE);
  const own = { ...fileList(1), duplicate: true };
  const again = new PlayedAsker(2);
  relay.handle(search({ ttl: 1 }), again);
  t.same(again.got, [own, searchEnd()], 'is answered once to each, and not passed on');
  relay.handle(search({ ttl: 1 }), again);
  t.same(again.got.slice(2), [DUPLICATE, searchEnd()]);
  again.got.length = 2;
  const leaf = new PlayedAsker(2);
  relay.handle(search({ ttl: 0 }), leaf);
  t.same(leaf.got, [own], 'so with a lower ttl; 0 has no ACKN');
  const higher = new PlayedAsker(4);
  relay.handle(search({ ttl: 3 }), higher);
  t.same(higher.got, [own], 'and with a higher one');
  const asked = neighbours.map(({ asked }) => asked.map(({ search }) => search.ttl));
  t.same(asked, [[], [0], [0, 2]], 'but passed on, except to those that had it with ttl 2');
  n3?.on.third(third(9));
  t.same(higher.kinds, 'RPFL TPHF', 'what is found goes to the one that asked for more');
  relay.handle(search({ ttl: 2 }), again);
  t.equal(again.got.length, 4, 'from now on that is the highest');
  t.match(relay.stats, { fresh: 1, again: 1, duplicates: 4 });
  // It is forgotten after ten minutes, or when there are too many.
  clock.run(10 * 60 * 1000 - 1);
  relay.handle(search({ ttl: 1 }), new PlayedAsker(4));
  t.match(relay.stats, { fresh: 1, duplicates: 5 });
  clock.run(10 * 60 * 1000);
  relay.handle(search({ ttl: 1 }), new PlayedAsker(4));
  t.equal(relay.stats.fresh, 2);
  for (const n of [2, 3]) relay.handle(search({ queryId: queryId(n) }), new PlayedAsker());
  t.same([relay.remembered.searches, relay.stats.fresh], [3, 4]);
  relay.handle(search({ queryId: queryId(4) }), new PlayedAsker());
  t.equal(relay.remembered.searches, 3, 'bounded');
  relay.handle(search({ ttl: 1 }), new PlayedAsker());
  t.equal(relay.stats.fresh, 6, 'the oldest went');
  t.end();
});

t.test('those known to have a search with as high a ttl are not asked again', (t) => {
  const { relay, neighbours } = play(4);
  const asker = new PlayedAsker(1);
  asker.list = new Set([id(2)]);
  relay.handle(search({ ttl: 3 }), asker);
  relay.handle(search({ ttl: 3 }), new PlayedAsker(3));
  const counts = (): number[] => neighbours.map(({ asked }) => asked.length);
  t.same(counts(), [0, 0, 1, 1]);
  relay.handle(search({ ttl: 4 }), new PlayedAsker(9));
  t.same(counts(), [0, 0, 1, 2], '1 and 3 asked with 3, and 2 was asked by 1 with 3');
  relay.handle(search({ ttl: 6 }), new PlayedAsker(9));
  t.same(counts(), [1, 1, 2, 3], 'with 5 they have not had it');
  // Which peers have a search is forgotten when it is over.
  const other = play(2);
  other.relay.handle(search({ ttl: 3 }), new PlayedAsker(1));
  other.neighbours[1]?.on.end(undefined);
  other.relay.handle(search({ ttl: 4 }), new PlayedAsker(9));
  t.same(
    other.neighbours.map(({ asked }) => asked.length),
    [1, 2],
  );
  t.end();
});

t.test('a search without an id gets one; one with ttl 0 and none is for this node alone', (t) => {
  const { relay, neighbour } = play(1, { burst: 1 });
  for (let i = 0; i < 3; i++) {
    const asker = new PlayedAsker();
    relay.handle(search({ ttl: 0, queryId: undefined }), asker);
    t.same(asker.got, [fileList(1)]);
  }
  t.equal(relay.remembered.searches, 0);
  relay.handle(search({ queryId: undefined }), new PlayedAsker());
  t.match(neighbour.asked, [{ search: { queryId: /^[0-9a-f]{32}$/ } }]);
  t.end();
});

t.test('a search of its own that comes back is known', (t) => {
  const { relay, neighbour } = play(1);
  const told: unknown[] = [];
  const on = {
    files: told.push.bind(told),
    third: told.push.bind(told),
    end: told.push.bind(told),
  };
  relay.search({ query: 'x' }, { ttl: 2 }, on);
  const back = new PlayedAsker(1);
  relay.handle(search({ ttl: 7, queryId: neighbour.asked[0]?.search.queryId }), back);
  t.same(back.got, [DUPLICATE, searchEnd()]);
  neighbour.on.files(fileList(1));
  neighbour.on.end(searchEnd());
  t.same(told, [fileList(1), third(1), searchEnd({ asked: 1, answered: 1 })]);
  told.length = 0;
  const cancel = relay.search({ query: 'x' }, { ttl: 2 }, on);
  cancel();
  cancel();
  neighbour.on.files(fileList(1));
  t.same([told, relay.open, neighbour.asked[1]?.givenUp], [[fileList(1)], 0, true], 'cancelled');
  told.length = 0;
  relay.search({ query: 'x' }, { ttl: 0 }, on);
  t.same(told, [fileList(1), searchEnd()]);
  t.end();
});

t.test('each hop has less time, and too little is not passed on', (t) => {
  const cases = [
    [undefined, 4687],
    [1_000_000, 56_250],
    [320, 295],
    [75, 50],
    [74, undefined],
    [0, undefined],
  ] as const;
  for (const [timeout, passed] of cases) {
    const { relay, neighbour } = play(1);
    const asker = new PlayedAsker();
    relay.handle(search({ timeout }), asker);
    t.equal(neighbour.asked[0]?.search.timeout, passed, `${timeout} ms`);
    t.equal(asker.end === undefined, passed !== undefined);
  }
  const { relay, neighbour, clock } = play(1);
  const silent = new PlayedAsker();
  silent.list = undefined;
  relay.handle(search({ ttl: 255, after: Uint8Array.of(1), max: 7 }), silent);
  clock.run(312);
  t.equal(neighbour.asked.length, 0, 'the list is waited for');
  clock.run(313);
  t.match(neighbour.asked, [{ search: { timeout: 4394, ttl: 6 } }], 'but not long; ttl is clamped');
  t.match(neighbour.asked, [{ search: { max: 7, after: undefined } }], 'a cursor is for one peer');
  t.end();
});

t.test('files relayed at once and in all', (t) => {
  const { relay, neighbours } = play(4, { files: 250 });
  const asker = new PlayedAsker();
  relay.handle(search({ max: 1000 }), asker);
  for (const { on, asked } of neighbours) {
    t.equal(asked[0]?.search.max, 100);
    on.files(fileList(1000));
  }
  const sizes = asker.got.slice(1).map((got) => (got.type === 'TPHF' ? got.files.length : -1));
  t.same(sizes, [100, 88, 31, 31], 'of 250 each of 4 has 31 that no other can take');
  t.match(asker.got.at(-1), { total: 1000 });
  t.equal(relay.stats.capped, 3);
  t.end();
});

t.test('one neighbour that floods a search leaves to the others what is theirs', (t) => {
  const { relay, neighbours } = play(5, { files: 1000, resultsPerNeighbour: 1000 });
  const [liar, ...honest] = neighbours;
  const asker = new PlayedAsker();
  relay.handle(search(), asker);
  liar?.on.files({ type: 'RPFL', total: 0, files: [] });
  // In the names of all there are, the honest ones among them.
  for (let i = 2; i < 500; i++) liar?.on.third(third(i, { files: someFiles(50) }));
  for (const { on } of honest) on.files(fileList(60));
  const of = (n: number): number[] =>
    asker.got.flatMap((got) =>
      got.type === 'TPHF' && got.peer.id === id(n) ? [got.files.length] : [],
    );
  for (const n of [2, 3, 4, 5])
    t.same(of(n), [50, 60], 'what is said in its name, and what is its');
  const files = asker.got.reduce(
    (sum, got) => sum + (got.type === 'TPHF' ? got.files.length : 0),
    0,
  );
  t.equal(files, 600 + 4 * 60);
  for (const { on } of honest.slice(0, 3)) on.end(searchEnd());
  liar?.on.third(third(900, { files: someFiles(100) }));
  t.equal(of(900)[0], 100, 'what the others leave is for all');
  t.end();
});

t.test('bytes in one result, in a search and from one neighbour', (t) => {
  const long = (count: number): FileMatch[] =>
    someFiles(count).map((file) => ({ ...file, path: file.path.padEnd(952, 'y') }));
  const limits = { bytesPerResult: 10_000, bytes: 100_000, bytesPerNeighbour: 200_000 };
  const { relay, neighbours, neighbour } = play(2, limits);
  const reported: string[] = [];
  Object.assign(neighbour, { penalise: (kind: string) => reported.push(kind) });
  const asker = new PlayedAsker();
  relay.handle(search(), asker);
  neighbour.on.files({ type: 'RPFL', total: 0, files: [] });
  for (let i = 3; i < 13; i++) neighbour.on.third(third(i, { total: 20, files: long(20) }));
  const sizes = asker.got.slice(1).map((got) => (got.type === 'TPHF' ? got.files.length : -1));
  t.same(sizes, [10, 10, 10, 10, 10, 10, 10, 5], 'three quarters of 100, the rest is not its');
  t.same([relay.stats.capped, reported], [10, []]);
  neighbour.on.third(third(99));
  t.same([relay.stats.excess, reported], [1, ['excess']]);
  t.ok(neighbour.asked[0]?.givenUp);
  neighbours[1]?.on.files(fileList(1));
  neighbours[1]?.on.end(searchEnd());
  t.same(asker.end, searchEnd({ asked: 2, answered: 2 }), 'and nobody waits for it');
  t.end();
});

t.test('a neighbour sends for ever after it was given up', (t) => {
  const { relay, clock, neighbour } = play(1, { bytesPerNeighbour: 10_000 });
  const misbehaviour: string[] = [];
  Object.assign(neighbour, { penalise: (kind: string) => misbehaviour.push(kind) });
  const asker = new PlayedAsker();
  relay.handle(search({ timeout: 1000 }), asker);
  clock.run(1000);
  t.ok(neighbour.asked[0]?.givenUp);
  t.match(asker.end, { type: 'ACKN' });
  for (let i = 3; i < 300; i++) neighbour.on.third(third(i));
  t.same(misbehaviour, ['excess'], 'what comes late counts, too');
  t.match(relay.stats, { excess: 1, relayed: 0 });
  t.equal(asker.kinds, 'RPFL ACKN');
  t.end();
});

t.test('what others than neighbours send ahead keeps nothing from being passed on', (t) => {
  const { relay, neighbours, neighbour } = play(2);
  const stranger = new PlayedAsker();
  const known = new PlayedAsker(9);
  for (const other of [stranger, known]) {
    other.isNeighbour = false;
    // It says that it has asked all.
    other.list = new Set([id(1), id(2)]);
    relay.handle(search({ ttl: 7 }), other);
    other.list = new Set();
    relay.handle(search({ ttl: 7 }), other);
  }
  t.equal(neighbour.asked.length, 0);
  const asker = new PlayedAsker(8);
  relay.handle(search({ ttl: 2 }), asker);
  t.match(neighbour.asked, [{ search: { ttl: 1, queryId: queryId(1) } }]);
  t.match(neighbours[1]?.asked, [{ search: { ttl: 1, queryId: queryId(1) } }]);
  neighbour.on.files(fileList(2));
  t.equal(asker.kinds, 'RPFL TPHF');
  t.match(relay.stats, { fresh: 3, duplicates: 2 });
  t.end();
});

t.test('under which id it is passed on', (t) => {
  const idsFrom = (...askers: PlayedAsker[]): unknown[] => {
    const { relay, neighbour } = play(1);
    for (const asker of askers) {
      asker.isNeighbour = false;
      relay.handle(search(), asker);
    }
    return neighbour.asked.map(({ search: { queryId } }) => queryId);
  };
  const derived = createHash('sha256')
    .update(Buffer.from(queryId(1), 'hex'))
    .digest('hex');
  t.same(idsFrom(new PlayedAsker(8), new PlayedAsker(9)), [derived.slice(0, 32)], 'known peers');
  const [one, two] = idsFrom(new PlayedAsker(), new PlayedAsker());
  t.ok(one !== two && one !== queryId(1) && one !== derived.slice(0, 32), 'nobody can guess it');
  t.end();
});

t.test('somebody sends another search with the same id ahead', (t) => {
  const { relay, neighbour } = play(1);
  relay.handle(search({ query: 'y', ttl: 7 }), new PlayedAsker(8));
  const asker = new PlayedAsker(9);
  relay.handle(search({ ttl: 2 }), asker);
  t.same(asker.got, [fileList(1)], 'is no reason not to answer');
  t.match(neighbour.asked, [
    { search: { query: 'y', ttl: 6 } },
    { search: { query: 'x', ttl: 1 } },
  ]);
  const long = 'z'.repeat(1000);
  relay.handle(search({ query: `${long}a` }), new PlayedAsker(8));
  relay.handle(search({ query: `${long}b` }), new PlayedAsker(8));
  relay.handle(search({ query: `${long}a` }), new PlayedAsker(9));
  t.match(relay.stats, { fresh: 4, duplicates: 1 });
  t.end();
});

t.test('more entries than were asked for, results of other searches: told to the score', (t) => {
  const { relay, neighbour } = play(1);
  const reported: string[] = [];
  Object.assign(neighbour, { penalise: (kind: string) => reported.push(kind) });
  relay.handle(search({ max: 5 }), new PlayedAsker());
  neighbour.on.files(fileList(6));
  neighbour.on.third(third(3, { query: 'y' }));
  neighbour.on.third(third(4, { hops: 3 }));
  neighbour.on.third(third(5, { peer: { ...third(5).peer, id: SELF } }));
  neighbour.on.end(undefined);
  neighbour.on.third(third(6, { query: 'y' }));
  t.same(reported, ['oversized', 'stray', 'stray'], 'not: its own, and what comes late');
  t.match(relay.stats, { oversized: 1, stray: 3, late: 1 });
  relay.handle(search({ max: 0, queryId: queryId(2) }), new PlayedAsker());
  neighbour.on.files(fileList(1));
  t.equal(reported.length, 3, '0 counts as 1');
  t.end();
});

t.test('an asker whose queue is full loses results, but neither list nor end', (t) => {
  const { relay, neighbour } = play(1);
  const asker = new PlayedAsker();
  asker.takes = false;
  relay.handle(search(), asker);
  neighbour.on.files(fileList(1));
  neighbour.on.end(searchEnd());
  t.equal(asker.kinds, 'RPFL ACKN');
  t.match(relay.stats, { relayed: 0, dropped: 1 });
  t.end();
});

t.test('how fast one asker may ask', (t) => {
  const { relay, clock } = play(0, { rate: 10, burst: 3, askers: 2 });
  let n = 0;
  const ask = (key: string): boolean => {
    try {
      relay.handle(search({ queryId: queryId(++n) }), new PlayedAsker(undefined, key));
      return true;
    } catch (error) {
      t.match(error, { code: 'ERR_BUSY' });
      return false;
    }
  };
  t.same(
    [1, 2, 3, 4].map(() => ask('a')),
    [true, true, true, false],
  );
  t.ok(ask('b'), 'each for itself');
  t.notOk(ask('c'), 'a bounded number of them');
  clock.run(100);
  t.same([ask('a'), ask('a')], [true, false]);
  clock.run(400);
  t.ok(ask('c'), 'those that ask no more are forgotten');
  clock.run(100_000);
  t.same(
    [1, 2, 3, 4].map(() => ask('a')),
    [true, true, true, false],
    'a pause saves no more',
  );
  t.equal(relay.remembered.askers, 1);
  t.equal(relay.stats.refused, 4);
  t.end();
});

t.test('how fast all may ask that come from one client', (t) => {
  const limits = { rate: 10, burst: 3, perClient: 2, openPerAsker: 2, flood: 2, passShare: 100 };
  const { relay, clock, neighbour } = play(1, limits);
  let n = 0;
  const reported: string[] = [];
  const ask = (key: string, client: string, ttl = 0): boolean => {
    const asker = Object.assign(new PlayedAsker(undefined, key), {
      client,
      penalise: (kind: string) => reported.push(`${key} ${kind}`),
    });
    try {
      relay.handle(search({ queryId: queryId(++n), ttl, timeout: 60_000 }), asker);
      return true;
    } catch (error) {
      t.match(error, { code: 'ERR_BUSY' });
      return false;
    }
  };
  const asked = ['a', 'a', 'a', 'b', 'b', 'b', 'c'].map((key) => ask(key, 'mallory'));
  t.same(asked, [true, true, true, true, true, true, false], 'twice what one may');
  t.ok(ask('d', 'alice'), 'another is not concerned');
  clock.run(10_000);
  const open = ['a', 'a', 'b', 'b', 'c'].map((key) => ask(key, 'mallory', 2));
  t.same(open, [true, true, true, true, false], 'twice as many under way');
  t.ok(ask('d', 'alice', 2));
  t.same(reported, []);
  clock.run(20_001);
  for (let i = 0; i < 2; i++) t.notOk(ask('c', 'mallory', 2));
  t.same(reported, [], 'refusals are forgotten');
  t.notOk(ask('c', 'mallory', 2));
  t.same(reported, ['c flood'], 'it continues although it is refused');
  for (const { on } of [neighbour]) on.end(undefined);
  t.end();
});

t.test('an asker that continues although it is refused is refused everything for a while', (t) => {
  const limits = { rate: 4, burst: 4, perClient: 1, push: 3, passShare: 100 };
  const { relay, clock, neighbour } = play(1, limits);
  let n = 0;
  /** Of so many searches, how many are passed on. */
  const passed = (client: string, count: number): number => {
    const { passedOn } = relay.stats;
    for (let i = 0; i < count; i++) {
      const asker = Object.assign(new PlayedAsker(undefined, client), { client });
      try {
        relay.handle(search({ queryId: queryId(++n), ttl: 2, timeout: 60_000 }), asker);
      } catch (error) {
        t.match(error, { code: 'ERR_BUSY' });
      }
    }
    return relay.stats.passedOn - passedOn;
  };
  t.equal(passed('mallory', 8), 4, 'as many as there may be at once');
  clock.run(1000);
  t.equal(passed('mallory', 4), 0, 'four were too many');
  t.match(relay.stats, { refused: 8, kept: 0 });
  t.equal(passed('alice', 4), 4, 'another has all that there is');
  clock.run(11_000);
  t.equal(passed('mallory', 1), 1, 'it is forgotten');
  for (const { on } of [neighbour]) on.end(undefined);
  t.end();
});

t.test('how many searches are under way', (t) => {
  const { relay, neighbour, clock } = play(1, { openPerAsker: 2, open: 3 });
  let n = 0;
  const ask = (key: string): void => {
    relay.handle(search({ queryId: queryId(++n) }), new PlayedAsker(undefined, key));
  };
  ask('a');
  ask('a');
  t.throws(
    () => {
      ask('a');
    },
    { code: 'ERR_BUSY' },
  );
  ask('b');
  t.throws(
    () => {
      ask('c');
    },
    { code: 'ERR_BUSY' },
  );
  t.equal(neighbour.asked.length, 3, 'what is refused goes nowhere');
  t.equal(relay.remembered.searches, 3);
  neighbour.on.end(undefined);
  ask('c');
  clock.run();
  ask('a');
  t.equal(relay.open, 1, 'room again after the deadline');
  relay.close();
  t.equal(relay.open, 0);
  t.ok(neighbour.asked.slice(0, 2).every(({ givenUp }) => givenUp));
  // While one lasts its asker is not forgotten, but saves no more than a burst.
  const other = play(1, { burst: 2, rate: 1, openPerAsker: 100 });
  const start = (key: string): void => {
    const asker = new PlayedAsker(undefined, key);
    other.relay.handle(search({ queryId: queryId(++n), timeout: 60_000 }), asker);
  };
  start('a');
  other.clock.run(50_000);
  start('a');
  start('a');
  t.throws(start.bind(undefined, 'a'), { code: 'ERR_BUSY' });
  t.end();
});
