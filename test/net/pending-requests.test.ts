/** At most 256 requests are unanswered on a connection, those that were given up included. */
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { dial } from '../../lib/net/dialer.js';
import { PendingRequests } from '../../lib/net/pending-requests.js';
import { MAX_UNANSWERED } from '../../lib/wire/limits.js';
import { HELLO } from '../fixtures/messages.js';
import { RawPeer, startFake } from '../fixtures/raw.js';

t.test('those that wait are sent when others are done', (t) => {
  let sent = 0;
  const pending = new PendingRequests(() => sent++);
  const add = (): ReturnType<PendingRequests['add']> =>
    pending.add({ type: 'RQLT' }, { take: () => true, fail: () => undefined });
  const all = Array.from({ length: MAX_UNANSWERED + 10 }, add);
  t.equal(sent, MAX_UNANSWERED);
  const [first, second] = all;
  const last = all.at(-1);
  if (first === undefined || second === undefined || last === undefined) throw new Error();
  t.equal(pending.withdraw(first), false, 'the other side counts it');
  t.equal(sent, MAX_UNANSWERED);
  t.equal(pending.withdraw(last), true, 'it was never sent');
  pending.settle(first);
  pending.settle(second);
  t.equal(sent, MAX_UNANSWERED + 2);
  t.notOk(pending.get(last.tag));
  t.ok(pending.wasUsed(last.tag));
  t.notOk(pending.wasUsed(last.tag + 1));
  t.equal(pending.clear().length, MAX_UNANSWERED + 7);
  t.end();
});

/** Counts what is unanswered as PROTOCOL.md says, and answers when it is told to. */
async function counting(t: Test) {
  const asked: number[] = [];
  let most = 0;
  let peer: RawPeer | undefined;
  let wake: () => void = () => undefined;
  const { address } = await startFake(t, (socket) => {
    const raw = (peer = new RawPeer(socket));
    void (async () => {
      for (let got = await raw.next(); got !== undefined; got = await raw.next()) {
        asked.push(got.tag);
        most = Math.max(most, asked.length);
        wake();
      }
    })();
  });
  const times = { connectTimeout: 10_000, answerTimeout: 10_000 };
  const connection = await dial(address, { handler: () => undefined, ...times });
  t.teardown(async () => {
    connection.destroy();
    await Promise.resolve();
  });
  return {
    connection,
    get most() {
      return most;
    },
    /** Resolves when so many wait for an answer at the same time. */
    async unanswered(count: number): Promise<void> {
      while (asked.length < count) await new Promise<void>((resolve) => (wake = resolve));
    },
    answer(send: (peer: RawPeer, tag: number) => void): void {
      for (const tag of asked.splice(0)) if (peer !== undefined) send(peer, tag);
    },
  };
}

t.test('searches that were given up', async (t) => {
  const other = await counting(t);
  const abort = new AbortController();
  const given = Array.from({ length: 300 }, () =>
    other.connection.page({ type: 'RQFS', query: 'x', ttl: 0 }, abort.signal),
  );
  const wanted = Array.from({ length: 20 }, () => other.connection.request({ type: 'RQLT' }));
  await other.unanswered(256);
  abort.abort();
  for (const page of given) await t.rejects(page, { code: 'ERR_ABORTED' });
  other.answer((peer, tag) => peer.send({ type: 'RPFL', total: 0, files: [] }, tag));
  await other.unanswered(20);
  other.answer((peer, tag) => peer.send({ type: 'ACKN', of: 'RQLT', peers: [] }, tag));
  t.equal((await Promise.all(wanted)).length, 20, 'those behind them were sent');
  t.equal(other.most, 256, 'never more than the other side takes');
});

t.test('a search with hops ends with its ACKN, and no earlier', async (t) => {
  const other = await counting(t);
  const told: string[] = [];
  const tell = (what: string) => () => void told.push(what);
  const giveUp = other.connection.search(
    { type: 'RQFS', query: 'x', ttl: 3 },
    { files: tell('files'), third: tell('third'), end: tell('end'), fail: tell('fail') },
  );
  for (let i = 0; i < 255; i++) other.connection.request({ type: 'RQLT' }).catch(() => undefined);
  const one = other.connection.request({ type: 'RQLT' });
  await other.unanswered(256);
  giveUp();
  const sent: (() => void)[] = [];
  other.answer((peer, tag) => {
    if (tag !== 1) return;
    sent.push(() => peer.send({ type: 'RPFL', total: 0, files: [] }, 1));
    const counts = { asked: 0, answered: 0, timedOut: 0, duplicates: 0 };
    sent.push(() => peer.send({ type: 'ACKN', of: 'RQFS', ...counts }, 1));
  });
  sent[0]?.();
  sent[1]?.();
  await other.unanswered(1);
  other.answer((peer, tag) => peer.send({ type: 'ACKN', of: 'RQLT', peers: [] }, tag));
  await one;
  t.same(told, ['fail'], 'nothing is told of what comes later');
});

t.test('bodies that were given up', async (t) => {
  const other = await counting(t);
  const abort = new AbortController();
  const fetch = (signal?: AbortSignal): Promise<void> =>
    other.connection.requestBody(
      { type: 'RQFH', hash: HELLO },
      () => {
        throw new Error('not wanted');
      },
      signal,
    );
  const given = Array.from({ length: 256 }, () => fetch(abort.signal));
  const one = other.connection.request({ type: 'RQLT' });
  await other.unanswered(256);
  abort.abort();
  for (const body of given) await t.rejects(body, { code: 'ERR_ABORTED' });
  other.answer((peer, tag) =>
    peer.send({ type: 'ACKN', of: 'RQFH', size: 6, offset: 0, length: 6 }, tag).raw('hello\n'),
  );
  await other.unanswered(1);
  other.answer((peer, tag) => peer.send({ type: 'ACKN', of: 'RQLT', peers: [] }, tag));
  t.equal((await one).peers.length, 0);
  t.equal(other.most, 256);
  const closed = once(other.connection.closed, 'abort');
  other.connection.destroy();
  await closed;
});
