/** Which transfer gets a slot, on a virtual clock. */
import t from 'tap';
import { VirtualClock } from '../fixtures/virtual-clock.js';
import { PeerError } from '../../lib/errors.js';
import { UploadSlots, type Release, type SlotLimits } from '../../lib/serve/upload-slots.js';

/** Let what is decided reach those that wait. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve();
}

function slots(limits: Partial<SlotLimits>) {
  const clock = new VirtualClock();
  /** Connections whose transfers were ended to make room. */
  const ended: object[] = [];
  const slots = new UploadSlots<object>(limits, (connection) => ended.push(connection), clock);
  /** In the order in which they began. */
  const begun: string[] = [];
  const releases = new Map<string, Release>();
  const connections = new Map<string, object>();
  /** @param connection by name: `a1` is of client a. @param request its name */
  const take = (
    connection: string,
    request = connection,
    signal = new AbortController().signal,
  ) => {
    const key = connections.get(connection) ?? { connection };
    connections.set(connection, key);
    const taken = slots.take(connection.charAt(0), key, signal).then((release) => {
      begun.push(request);
      releases.set(request, release);
    });
    taken.catch(() => undefined);
    return taken;
  };
  const end = async (request: string): Promise<void> => {
    releases.get(request)?.();
    await settle();
  };
  const sent = (name: string, bytes: number): void => {
    slots.sent(connections.get(name) ?? {}, bytes);
  };
  const names = (): (string | undefined)[] =>
    ended.map((key) => [...connections].find(([, each]) => each === key)?.[0]);
  return { clock, slots, begun, take, end, sent, ended: names };
}

t.test('so many at once, then in turn by client', async (t) => {
  const { slots: all, begun, take, end } = slots({ max: 2 });
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2', 'c1']) void take(name);
  await settle();
  t.same(begun, ['a1', 'a2']);
  t.match(all, { active: 2, waiting: 6 });
  await end('a1');
  t.same(begun.slice(2), ['b1'], 'not the next of the one that has one');
  await end('a2');
  t.same(begun.slice(3), ['c1'], 'nor of the one that was just served');
  await end('b1');
  await end('c1');
  t.same(begun.slice(4), ['a3', 'b2'], 'whoever was served longest ago');
  await end('a3');
  await end('b2');
  await end('a4');
  await end('a5');
  t.same(begun.slice(6), ['a4', 'a5']);
  t.match(all, { active: 0, waiting: 0 });
});

t.test('requests of one connection share a slot, until others wait', async (t) => {
  const { slots: all, begun, take, end } = slots({ max: 1 });
  await take('a1', 'first');
  await take('a1', 'second');
  t.equal(all.active, 1);
  void take('b1');
  void take('a1', 'third');
  void take('a1', 'fourth');
  await settle();
  t.same(begun, ['first', 'second']);
  await end('first');
  t.equal(begun.length, 2, 'the second is still under way');
  await end('second');
  t.same(begun.slice(2), ['b1']);
  await end('b1');
  t.same(begun.slice(3), ['third', 'fourth'], 'both, in their order');
  t.equal(all.active, 1);
  await end('third');
  await end('third');
  t.equal(all.active, 1, 'what is given back twice counts once');
  await end('fourth');
  t.equal(all.active, 0);
});

t.test('bounds', async (t) => {
  const { begun, take, end } = slots({ max: 1, waiting: 3, waitingPerClient: 2 });
  await take('a1');
  void take('a2');
  const third = take('a3');
  await t.rejects(take('a4'), { code: 'ERR_BUSY', message: /^1 transfers are under way/ });
  void take('b1');
  void take('c1');
  await t.rejects(third, { code: 'ERR_BUSY' }, 'the queue is full, and of this client most wait');
  await t.rejects(take('d1'), { code: 'ERR_BUSY' }, 'full for all');
  await end('a1');
  t.same(begun, ['a1', 'b1']);
  await end('b1');
  await end('c1');
  t.same(begun.slice(2), ['c1', 'a2']);
});

t.test('a request that waits too long, or is given up', async (t) => {
  const { clock, slots: all, begun, take, end } = slots({ max: 1, wait: 20_000 });
  await take('a1');
  const long = take('b1');
  clock.run(10_000);
  const gone = new AbortController();
  const given = take('c1', 'c1', gone.signal);
  const late = take('d1');
  gone.abort(new PeerError('ERR_CLOSED', 'gone'));
  await t.rejects(given, { code: 'ERR_CLOSED' });
  clock.run(20_000);
  await t.rejects(long, { code: 'ERR_BUSY', message: /none ended within 20 s$/ });
  t.equal(all.waiting, 1);
  await end('a1');
  await late;
  t.same(begun, ['a1', 'd1']);
  await t.rejects(take('e1', 'e1', gone.signal), { code: 'ERR_CLOSED' });
  clock.run(100_000);
  await end('d1');
  t.match(all, { active: 0, waiting: 0 });
});

t.test('the end: nothing more begins, what is under way is waited for', async (t) => {
  const { slots: all, begun, take, end } = slots({ max: 1 });
  await take('a1');
  const waits = take('b1');
  all.close(new PeerError('ERR_BUSY', 'going'));
  await t.rejects(waits, { code: 'ERR_BUSY', message: 'going' });
  await t.rejects(take('a1', 'more'), { message: 'going' });
  await settle();
  t.equal(all.active, 1);
  await end('a1');
  t.equal(all.active, 0);
  t.same(begun, ['a1']);
});

t.test('the slowest transfer of the client that has most gives way', async (t) => {
  const { clock, take, sent, ended, begun, end } = slots({ max: 4 });
  for (const name of ['a1', 'a2', 'a3', 'b1']) void take(name);
  await settle();
  void take('c1');
  for (let look = 0; look < 6; look++) {
    for (const name of ['a1', 'a3', 'b1']) sent(name, 1e6);
    sent('a2', 500_000);
    clock.run(clock.now() + 250);
  }
  t.same(ended(), ['a2'], 'though it is fast; once for one that waits');
  await end('a2');
  t.same(begun.at(-1), 'c1');
});

t.test('where all have the same, one gives way only when it is slow', async (t) => {
  const { clock, take, sent, ended, end, begun } = slots({ max: 3 });
  for (const name of ['a1', 'b1', 'c1']) void take(name);
  await settle();
  void take('d1');
  const look = (slow: number): void => {
    for (const name of ['a1', 'c1']) sent(name, 1e6);
    sent('b1', slow);
    clock.run(clock.now() + 250);
  };
  for (let i = 0; i < 8; i++) look(20_000);
  t.same(ended(), []);
  for (let i = 0; i < 4; i++) look(10);
  t.same(ended(), ['b1']);
  await end('b1');
  t.same(begun.at(-1), 'd1');
});

t.test('a slow transfer gives way to another of the same client', async (t) => {
  const { clock, take, sent, ended, begun, end } = slots({ max: 2 });
  for (const name of ['a1', 'a2']) void take(name);
  await settle();
  void take('a3');
  for (let look = 0; look < 6; look++) {
    sent('a2', 1e6);
    clock.run(clock.now() + 250);
  }
  t.same(ended(), ['a1']);
  await end('a1');
  t.same(begun.at(-1), 'a3');
});
