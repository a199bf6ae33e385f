/** What is begun must come to its end, and grow until then; in a time that passes as the test says. */
import type { Socket } from 'node:net';
import t from 'tap';
import { VirtualClock } from '../fixtures/virtual-clock.js';
import { ConnectionDeadlines, FRAME_PROGRESS } from '../../lib/net/connection-deadlines.js';
import { Deadline } from '../../lib/net/deadline.js';

t.test('so many bytes within so long', (t) => {
  const clock = new VirtualClock();
  const expired: number[] = [];
  const onExpired = (): void => void expired.push(clock.now());
  const deadline = new Deadline({ timeout: 30_000, least: 1024, onExpired, clock });
  deadline.start();
  clock.run(20_000);
  deadline.start();
  deadline.progress(2000);
  clock.run(50_000);
  t.same(expired, [], 'what came while this process was busy is still read');
  clock.run(100_000);
  t.same(expired, [50_100], 'the time runs from the last progress, not from a look at it');
  t.equal(deadline.running, false, 'told once');
  deadline.start();
  for (let at = 100_000; at < 200_000; at += 10) {
    deadline.progress(1);
    clock.run(at);
  }
  t.same(expired, [50_100], '100 bytes a second');
  for (let at = 200_000; at < 400_000; at += 1000) {
    deadline.progress(20);
    clock.run(at);
  }
  t.ok((expired[1] ?? 0) < 290_000, '20 bytes a second');
  deadline.start();
  deadline.stop();
  clock.run(1_000_000);
  t.equal(expired.length, 2, 'nothing is waited for');
  deadline.close();
  deadline.start();
  t.equal(clock.run(), 0, 'nor ever again');
  t.end();
});

t.test('a look that takes long', async (t) => {
  const clock = new VirtualClock();
  let finds: (found: 'nothing') => void = () => undefined;
  const look = () => new Promise<'nothing'>((resolve) => (finds = resolve));
  let expired = 0;
  const deadline = new Deadline({ timeout: 12_000, look, onExpired: () => expired++, clock });
  deadline.start();
  clock.run(1000);
  deadline.stop();
  deadline.start();
  finds('nothing');
  await Promise.resolve();
  await Promise.resolve();
  t.equal(clock.run(1999), 0, 'begun anew meanwhile: it belongs to the time before');
  t.equal(clock.run(2000), 1);
  t.equal(expired, 0);
});

/** A connection of which frames and bytes come as a test says. */
function watched(firstFrameTimeout?: number) {
  const clock = new VirtualClock();
  const inbound = { partial: 0, isAwaited: false };
  const late: { what: string; at: number }[] = [];
  const deadlines = new ConnectionDeadlines(
    { answerTimeout: 30_000, firstFrameTimeout, frameTimeout: 10_000 },
    {
      socket: {} as unknown as Socket,
      inbound: () => inbound,
      outbound: () => ({ inBody: false }),
      onExpired: (what) => late.push({ what, at: clock.now() }),
      clock,
    },
  );
  const partial = (bytes: number, isAwaited = false): void => {
    Object.assign(inbound, { partial: bytes, isAwaited });
    deadlines.onPartial();
  };
  const whole = (): void => {
    inbound.partial = 0;
    deadlines.onFrame();
  };
  const pass = (ms: number): number => clock.run(clock.now() + ms);
  return { clock, late, deadlines, partial, whole, pass };
}

t.test('the first frame', (t) => {
  const silent = watched(5000);
  silent.pass(5000);
  t.same(silent.late, [], 'what came while this process was busy is still read');
  silent.pass(1000);
  t.same(silent.late, [{ what: 'said nothing', at: 5100 }]);

  const slow = watched(5000);
  for (let bytes = 1; bytes < 10; bytes++) {
    slow.partial(bytes);
    slow.pass(1000);
  }
  t.same(slow.late, [{ what: 'said nothing', at: 5100 }], 'bytes are not a frame');

  const quick = watched(5000);
  quick.whole();
  quick.pass(100_000);
  t.same(quick.late, []);

  const dialled = watched();
  dialled.pass(100_000);
  t.same(dialled.late, [], 'a peer that was dialled need not ask');
  t.end();
});

t.test('a byte now and then', (t) => {
  const slow = watched();
  slow.whole();
  for (let bytes = 1; bytes < 10; bytes++) {
    slow.partial(bytes);
    slow.pass(5000);
  }
  t.same(slow.late, [{ what: 'did not end a frame', at: 10_100 }], 'told once');
  t.end();
});

t.test('the time of a frame begins with it', (t) => {
  const { late, partial, whole, pass } = watched();
  for (let i = 0; i < 20; i++) {
    partial(5);
    pass(9000);
    whole();
  }
  t.same(late, [], 'each of many took 9 s');
  partial(5);
  pass(10_000);
  t.same(late, []);
  pass(200);
  t.match(late, [{ at: 190_100 }]);
  t.end();
});

t.test('a large frame on a slow line', (t) => {
  const { late, partial, whole, pass } = watched();
  for (let bytes = 12; bytes < 100_000; bytes += FRAME_PROGRESS) {
    partial(bytes);
    pass(10_000);
  }
  t.same(late, []);
  whole();
  pass(1_000_000);
  t.same(late, [], 'nothing is begun');
  t.end();
});

t.test('a connection that has ended', (t) => {
  const { late, partial, deadlines, pass, clock } = watched(1000);
  partial(1);
  deadlines.close();
  partial(2);
  pass(1_000_000);
  t.same(late, []);
  t.equal(clock.run(), 0, 'nothing waits');
  t.end();
});

t.test('bytes of an answer are progress as bytes of a body are', (t) => {
  const { late, deadlines, partial, whole, pass } = watched();
  deadlines.answer.start();
  for (let bytes = 12; bytes < 400_000; bytes += 8000) {
    partial(bytes, true);
    pass(1000);
  }
  t.same(late, [], 'an answer that takes 50 s');
  whole();
  for (let bytes = 3; bytes < 20_000; bytes += 1100) {
    partial(bytes, bytes >= 12);
    pass(7000);
    partial(bytes + 10, true);
    pass(20_000);
  }
  t.same(late, [], 'it has the time of a body, not that of a request');
  whole();
  for (let bytes = 12; bytes < 400_000; bytes += 8000) {
    partial(bytes);
    pass(1000);
  }
  t.match(late, [{ what: 'did not answer' }], 'a frame that is no answer to it');
  t.end();
});
