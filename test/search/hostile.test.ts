/** A node whose neighbours and askers do all they should not; what is honest in a search comes all the same. */
import { getEventListeners, once } from 'node:events';
import { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { ByteBudget } from '../../lib/limits/byte-budget.js';
import t, { type Test } from 'tap';
import { PeerError } from '../../lib/errors.js';
import { formatAddress } from '../../lib/net/address.js';
import { Connection } from '../../lib/net/connection.js';
import type { Exchange } from '../../lib/net/exchange.js';
import type { PeerNode } from '../../lib/node.js';
import { NodeSearch } from '../../lib/search/node-search.js';
import type { NetworkSearchOptions } from '../../lib/search/results.js';

import {
  encodeMessage,
  type FileList,
  type Message,
  type Search,
} from '../../lib/wire/messages.js';
import { provableId } from '../fixtures/certificates.js';
import { startNeighbour, type ReceivedSearch } from '../fixtures/fake-neighbour.js';
import { outcomeOf, startSharing, type SearchRun } from '../fixtures/network.js';
import { linksOf, until } from '../fixtures/node.js';
import { RawPeer } from '../fixtures/raw.js';
import { fileList, id, queryId, search, searchEnd, someFiles, third } from '../fixtures/search.js';
import { connect, reset } from '../fixtures/socket.js';
import { connect as connectPeer } from '../fixtures/transport.js';

const FAKE = provableId(1_000_000);
/** Milliseconds that a search lasts in which somebody never ends. */
const PATIENCE = 500;

interface Trap {
  node: PeerNode;
  /** Shares `x-1.txt` and answers as it should. */
  friend: PeerNode;
}

/** A node with an honest neighbour and one that is not. */
async function startTrap(t: Test, onSearch: (asked: ReceivedSearch) => void): Promise<Trap> {
  const friend = await startSharing(t, 1, { 'x-1.txt': 'honest' });
  const fake = await startNeighbour(t, FAKE, onSearch);
  const peers = [fake, formatAddress(friend.address)];
  const node = await startSharing(t, 0, { 'x-0.txt': 'own' }, { peers });
  await until(node, () => linksOf(node).join() === [FAKE, friend.id].sort().join());
  await until(friend, () => linksOf(friend).length === 1);
  return { node, friend };
}

const searchIn = ({ node }: Trap, options: NetworkSearchOptions = {}): Promise<SearchRun> =>
  outcomeOf((all) => node.search('x', all), options);
/** How many results tell of files at each of those that share some. */
const honest = ({ node, friend }: Trap, { results }: SearchRun): number[] =>
  [node, friend].map((sharer) => results.filter(({ peer }) => peer.id === sharer.id).length);

t.test('neighbours that do not end: the time holds', async (t) => {
  const timers: NodeJS.Timeout[] = [];
  t.teardown(() => {
    for (const timer of timers) clearInterval(timer);
    return Promise.resolve();
  });
  const ways: Record<string, (asked: ReceivedSearch) => void> = {
    'says nothing': () => undefined,
    'sends a byte a second': ({ peer, tag }) => {
      const frame = encodeMessage(fileList(1), tag);
      let at = 0;
      timers.push(setInterval(() => peer.raw(frame.subarray(at, ++at)), 1000));
    },
    'answers, and never ends': ({ peer, tag }) => {
      peer.send(fileList(0), tag);
    },
  };
  for (const [name, onSearch] of Object.entries(ways)) {
    const trap = await startTrap(t, onSearch);
    const outcome = await searchIn(trap, { timeout: PATIENCE });
    t.same(honest(trap, outcome), [1, 1], name);
    t.equal(outcome.results.length, 2);
    const answered = name.startsWith('answers,') ? 2 : 1;
    t.same(outcome.summary, { asked: 2, answered, late: 1, duplicates: 0 });
    t.equal(trap.node.searchStats.open, 0);
    t.ok(linksOf(trap.node).includes(FAKE), 'it is PING that says whether a peer is there');
  }
});

t.test('the honest results come while one hangs', async (t) => {
  const trap = await startTrap(t, () => undefined);
  const { node } = trap;
  const seen: number[] = [];
  for await (const { hops } of node.search('x')) {
    seen.push(hops);
    t.equal(node.searchStats.open, 1, 'not at the end');
    if (hops === 1) break;
  }
  t.same(seen, [0, 1]);
  t.equal(node.searchStats.open, 0);
});

t.test('answers that do not belong to the search', async (t) => {
  const trap = await startTrap(t, ({ peer, tag, search }) => {
    const own = { ...third(9).peer, id: trap.node.id };
    peer.send({ ...fileList(1), files: someFiles(1) }, tag);
    for (const lie of [
      third(1, { query: 'y' }),
      third(2, { query: undefined, hash: id(1) }),
      third(3, { hops: 0 }),
      third(4, { hops: search.ttl + 1 }),
      third(5, { hops: 255 }),
      third(6, { peer: own }),
    ]) {
      peer.send(lie, tag);
    }
    peer
      .send(third(7), tag)
      .send(third(7), tag)
      .send(third(8, { files: [] }), tag);
    peer.send(searchEnd({ asked: 1, answered: 1 }), tag);
    // After the end.
    peer.send(third(9), tag).send(searchEnd(), tag);
  });
  const outcome = await searchIn(trap);
  t.same(honest(trap, outcome), [1, 1]);
  t.same(
    outcome.results
      .filter(({ hops }) => hops > 0)
      .map(({ peer }) => peer.id)
      .toSorted(),
    [FAKE, id(7), trap.friend.id].toSorted(),
  );
  t.match(trap.node.searchStats, { stray: 6, repeated: 1, open: 0 });
  t.same(outcome.summary, { asked: 3, answered: 3, late: 0, duplicates: 1 });
  t.match(await searchIn(trap), { summary: { asked: 3 } }, 'the connection is still there');
});

t.test('10,000 results of one neighbour, and counts that nobody can have', async (t) => {
  let [results, files] = [10_000, 1];
  const trap = await startTrap(t, ({ peer, tag }) => {
    const all = [encodeMessage(fileList(0), tag)];
    for (let i = 0; i < results; i++)
      all.push(encodeMessage(third(i, { files: someFiles(files) }), tag));
    const huge = Number.MAX_SAFE_INTEGER;
    const counts = { asked: huge, answered: huge, timedOut: huge, duplicates: huge };
    peer.raw(Buffer.concat([...all, encodeMessage(searchEnd(counts), tag)]));
  });
  const outcome = await searchIn(trap);
  t.same(honest(trap, outcome), [1, 1]);
  t.equal(outcome.results.length, 2 + 2000);
  t.match(trap.node.searchStats, { relayed: 2000 + 1, capped: 8000, open: 0 });
  t.same(outcome.summary, {
    asked: 100_002,
    answered: 100_002,
    late: 100_000,
    duplicates: 100_000,
  });
  [results, files] = [1700, 12];
  const again = await searchIn(trap);
  t.same(honest(trap, again), [1, 1]);
  const sum = again.results.reduce((all, { files: { length } }) => all + length, 0);
  t.ok(sum > 19_980 && sum <= 20_000 + 1, `${sum} files, and not 20,400`);
});

t.test(
  'what breaks the protocol ends the connection, and with it that part of the search',
  async (t) => {
    for (const [name, answered, onSearch] of [
      ['RPFL twice', 1, ({ peer, tag }) => peer.send(fileList(1), tag).send(fileList(1), tag)],
      ['ACKN before RPFL', 0, ({ peer, tag }) => peer.send(searchEnd(), tag)],
      ['TPHF before RPFL', 0, ({ peer, tag }) => peer.send(third(1), tag)],
      [
        'another ACKN',
        0,
        ({ peer, tag }) => peer.send({ type: 'ACKN', of: 'RQLT', peers: [] }, tag),
      ],
      ['RPFL that answers nothing', 0, ({ peer, tag }) => peer.send(fileList(1), tag + 1000)],
      ['TPHF that answers nothing', 0, ({ peer, tag }) => peer.send(third(1), tag + 1000)],
      ['ACKN with tag 0', 0, ({ peer }) => peer.send(searchEnd(), 0)],
      ['no frame', 0, ({ peer }) => peer.raw('HTTP/1.1 400 Bad Request\r\n\r\n')],
      ['closed at once', 0, ({ peer }) => peer.socket.destroy()],
      [
        'closed in the middle',
        1,
        ({ peer, tag }) => {
          peer.send(fileList(1), tag).send(third(1), tag);
          peer.socket.end(encodeMessage(third(2), tag).subarray(0, 20));
        },
      ],
    ] as [string, number, (asked: ReceivedSearch) => unknown][]) {
      const trap = await startTrap(t, onSearch);
      const gone = until(trap.node, () => !linksOf(trap.node).includes(FAKE));
      const outcome = await searchIn(trap);
      await gone;
      t.same(honest(trap, outcome), [1, 1], name);
      t.same(outcome.summary, { asked: 2, answered: 1 + answered, late: 0, duplicates: 0 }, name);
      t.equal(outcome.results.length, 2 + answered + (name === 'closed in the middle' ? 1 : 0));
      t.equal(trap.node.searchStats.open, 0);
      const banned = name.startsWith('closed') ? 0 : 1;
      t.match(trap.node.misbehaviour, { malformed: banned, ended: banned, banned }, name);
    }
  },
);

t.test('one that refuses, or says that it had the search, has ended', async (t) => {
  let answer: (asked: ReceivedSearch) => unknown = () => undefined;
  const trap = await startTrap(t, (asked) => answer(asked));
  answer = ({ peer, tag }) =>
    peer.send({ ...fileList(5), duplicate: true }, tag).send(searchEnd(), tag);
  const outcome = await searchIn(trap);
  t.equal(outcome.results.length, 3, 'its own matches count all the same');
  t.same(outcome.summary, { asked: 1, answered: 1, late: 0, duplicates: 1 });
  answer = ({ peer, tag }) => peer.send({ type: 'ERRR', code: 'ERR_BUSY', message: 'no' }, tag);
  t.same((await searchIn(trap)).summary, { asked: 2, answered: 1, late: 0, duplicates: 0 });
  const next = await searchIn(trap);
  t.same(next.summary, { asked: 1, answered: 1, late: 0, duplicates: 0 }, 'it is left alone');
});

/** Answers to a client, until the last of those wanted. */
async function answersOf(peer: RawPeer, count: number): Promise<string[]> {
  const kinds: string[] = [];
  while (kinds.length < count) {
    const got = await peer.next();
    if (got === undefined) throw new Error('the connection has ended');
    kinds.push(got.message.type === 'ERRR' ? got.message.code : got.message.type);
  }
  return kinds;
}
const count = (kinds: readonly string[], kind: string): number =>
  kinds.filter((each) => each === kind).length;

t.test('a flood of searches is refused in part, and disturbs nobody else', async (t) => {
  const { node } = await startTrap(t, () => undefined);
  const flood = await RawPeer.to(t, node.address);
  const frames = Array.from({ length: 1000 }, (_, i) =>
    encodeMessage(search({ ttl: 0, queryId: queryId(i) }), i + 1),
  );
  flood.raw(Buffer.concat(frames));
  const answers: Message[] = [];
  for (let got = await flood.next(); got !== undefined; got = await flood.next()) {
    if (answers.push(got.message) === 1000) break;
  }
  const busy = answers.flatMap((answer) =>
    answer.type === 'ERRR' && answer.code === 'ERR_BUSY' ? [answer.message] : [],
  );
  // The connection refuses some before they are searches: so many are unanswered.
  const refused = busy.filter((message) => message !== '256 requests are unanswered').length;
  const fresh = answers.filter(({ type }) => type === 'RPFL').length;
  t.equal(fresh + busy.length, 1000);
  t.ok(fresh >= 200, 'so many may come at once');
  t.ok(refused > 0);
  t.match(node.searchStats, { refused, fresh, passedOn: 0, open: 0 });
  const other = await RawPeer.to(t, node.address);
  other.send(search({ ttl: 0 }), 1);
  t.same(await answersOf(other, 1), ['RPFL'], 'another is answered');
});

t.test(
  'a client that continues is dropped, and none is admitted from there for a while',
  async (t) => {
    const node = await startSharing(t, 0, { 'x-0.txt': 'own' }, { times: { blocked: 500 } });
    const inside = await RawPeer.to(t, node.address);
    const flood = await RawPeer.to(t, node.address);
    for (let i = 1; !flood.ended; i++) {
      flood.send(search({ ttl: 0, queryId: queryId(i) }), i);
      await flood.next();
    }
    t.match(node.misbehaviour, { flood: 1, ended: 1, banned: 0 });
    const { refused, connections } = node.stats;
    await t.rejects(connectPeer(node.address), { code: 'ERR_BUSY' });
    t.match(node.stats, { refused: refused + 1, connections });
    t.ok(node.searchStats.refused > 2000, 'not before it was told often enough');
    inside.send({ type: 'RQLT' }, 1);
    t.same(await answersOf(inside, 1), ['ACKN'], 'one that has done nothing stays');
    const elsewhere = connect({ ...node.address, localAddress: '127.0.0.99' });
    t.teardown(() => elsewhere.destroy());
    await once(elsewhere, 'connect');
    const other = new RawPeer(elsewhere).send(search({ ttl: 0 }), 1);
    t.same(await answersOf(other, 1), ['RPFL'], 'another address is another client');
    // Until then every attempt is answered so; it lasts no longer than it was said.
    let answer: Message | undefined;
    do {
      const next = (await RawPeer.to(t, node.address)).send(search({ ttl: 0 }), 1);
      answer = (await next.next())?.message;
    } while (answer === undefined || answer.type === 'ERRR');
    t.equal(answer.type, 'RPFL');
  },
);

t.test('only so many under way for one asker; none when it is gone', async (t) => {
  let taken = 0;
  const { node } = await startTrap(t, () => {
    taken++;
  });
  const asker = await RawPeer.to(t, node.address);
  for (let i = 0; i < 100; i++) {
    asker.send(search({ ttl: 2, queryId: queryId(i), timeout: 60_000 }), i + 1);
  }
  // Of the friend comes one TPHF for each that is under way.
  const kinds = await answersOf(asker, 64 + 36 + 64);
  t.same([count(kinds, 'RPFL'), count(kinds, 'ERR_BUSY'), count(kinds, 'TPHF')], [64, 36, 64]);
  t.match(node.searchStats, { open: 64, refused: 36 });
  // Not by FIN: a side that has only ended its sending half still gets its answers.
  reset(asker.socket);
  while (node.searchStats.open > 0) await turn();
  t.equal(taken, 64);
  const next = await RawPeer.to(t, node.address);
  next.send(search({ ttl: 2, queryId: queryId(1000), timeout: 300 }), 1);
  t.same(await answersOf(next, 3), ['RPFL', 'TPHF', 'ACKN'], 'there is room again');
  t.equal(node.searchStats.open, 0);
});

t.test('ttl 255, and the same id again and again', async (t) => {
  const asked: Search[] = [];
  const { node } = await startTrap(t, ({ peer, tag, search }) => {
    asked.push(search);
    peer.send(fileList(0), tag).send(searchEnd(), tag);
  });
  const asker = await RawPeer.to(t, node.address);
  const ask = async (ttl: number, answers: number): Promise<string> => {
    asker.send(search({ ttl }), ttl + 1);
    return (await answersOf(asker, answers)).join(' ');
  };
  t.equal(await ask(2, 3), 'RPFL TPHF ACKN');
  t.equal(await ask(2, 2), 'RPFL ACKN', 'not again');
  t.equal(await ask(0, 1), 'RPFL');
  t.equal(await ask(255, 2), 'RPFL ACKN', 'passed on, not answered');
  t.equal(await ask(7, 2), 'RPFL ACKN');
  t.equal(await ask(254, 2), 'RPFL ACKN', '7 is the most, and it had that');
  t.same(
    asked.map(({ ttl }) => ttl),
    [1, 6],
  );
  const [first] = asked;
  t.ok(asked.every(({ queryId: same }) => same === first?.queryId));
  t.not(first?.queryId, queryId(1), 'a client learns nothing by which it could suppress others');
  t.match(node.searchStats, { fresh: 1, again: 1, duplicates: 4, passedOn: 4, open: 0 });
});

t.test('an asker that does not read: what does not fit is dropped and counted', async (t) => {
  const RESULTS = 380;
  // 15 MB in all: more than the system takes for a connection that is not read.
  const files = someFiles(20).map((file) => ({ ...file, path: file.path + 'x'.repeat(2000) }));
  const trap = await startTrap(t, ({ peer, tag }) => {
    peer.send(fileList(0), tag);
    for (let i = 0; i < RESULTS - 1; i++) peer.send(third(i, { files }), tag);
    peer.send(searchEnd({ asked: 9, answered: 9 }), tag);
  });
  const { node } = trap;
  const asker = await RawPeer.to(t, node.address);
  asker.socket.pause();
  asker.send(search({ ttl: 2, timeout: 60_000 }), 1);
  while (node.searchStats.fresh === 0 || node.searchStats.open > 0) await turn();
  const { relayed, dropped, capped } = node.searchStats;
  t.equal(relayed + dropped + capped, RESULTS);
  t.ok(dropped > 0, `${dropped} dropped`);
  const other = await outcomeOf((options) => node.search('x-0', options), { ttl: 0 });
  t.equal(other.results.length, 1, 'the node does not wait for it');
  asker.socket.resume();
  const kinds = await answersOf(asker, relayed + 2);
  t.same([kinds[0], kinds.at(-1), count(kinds, 'TPHF')], ['RPFL', 'ACKN', relayed]);
});

/** A node's searches alone, and an asker that notes what it is sent. */
function playSearches(
  t: Test,
  closed: AbortSignal,
  answer: (then: (list: FileList) => void) => Promise<void>,
): { searches: NodeSearch; sent: string[]; ask: (n: number, ttl: number) => Promise<void> } {
  const sent: string[] = [];
  const exchange: Exchange = {
    from: 'test',
    closed,
    waitingBytes: 0,
    send: ({ type }) => void sent.push(type),
    sendBody: () => Promise.reject(new Error('no files here')),
    sendWhole: () => Promise.reject(new Error('no files here')),
    whenRoom: (job) => job(true),
    account: new ByteBudget().account('test'),
    turn: Promise.resolve(),
  };
  const connection = new Connection(new Socket(), {
    name: 'test',
    handler: () => undefined,
    answerTimeout: 1000,
  });
  const searches = new NodeSearch({
    self: { id: id(1), host: '127.0.0.1', port: 7000 },
    links: () => [],
    keyOf: () => undefined,
    peerIdsOf: () => Promise.resolve(new Set()),
    answer: (_search, _client, then) => answer(then),
    onError: (error) => t.fail(String(error)),
    limits: { burst: 2, rate: 1e-9 },
  });
  const ask = (n: number, ttl: number): Promise<void> =>
    searches.handle(search({ ttl, queryId: queryId(n) }), exchange, connection);
  return { searches, sent, ask };
}

t.test('a search leaves no listener behind, refused or not', async (t) => {
  const { signal: closed } = new AbortController();
  const { searches, sent, ask } = playSearches(t, closed, (then) => {
    then(fileList(1));
    return Promise.resolve();
  });
  await ask(1, 2);
  await ask(1, 2);
  t.same(sent, ['RPFL', 'ACKN', 'RPFL', 'ACKN']);
  await t.rejects(ask(2, 2), { code: 'ERR_BUSY' });
  await t.rejects(ask(3, 0), { code: 'ERR_BUSY' });
  t.equal(getEventListeners(closed, 'abort').length, 0);
  t.match(searches.stats, { open: 0, refused: 2 });
});

t.test('that the index is being closed is no internal error', async (t) => {
  const { sent, ask } = playSearches(t, new AbortController().signal, () =>
    Promise.reject(new PeerError('ERR_CLOSED', 'closed')),
  );
  await ask(1, 2);
  t.same(sent, ['RPFL', 'ACKN']);
});
