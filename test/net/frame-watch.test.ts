/** What is begun has to come to its end, and a body to grow; in a time that passes as it is told to. */
import t from 'tap';
import { VirtualClock } from '../fixtures/virtual-clock.js';
import { FRAME_PROGRESS, FrameWatch } from '../../lib/net/frame-watch.js';

/** A connection of which frames and bytes come as a test says. */
function watched(first?: number) {
  const clock = new VirtualClock();
  const inbound = { frames: 0, partial: 0 };
  const late: { what: string; at: number }[] = [];
  const watch = new FrameWatch(inbound, {
    first,
    frame: 10_000,
    clock,
    onLate: (what) => late.push({ what, at: clock.now() }),
  });
  const partial = (bytes: number): void => {
    inbound.partial = bytes;
    watch.begun();
  };
  const whole = (): void => {
    inbound.partial = 0;
    inbound.frames++;
  };
  const pass = (ms: number): number => clock.run(clock.now() + ms);
  return { clock, late, watch, partial, whole, pass };
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
  t.same(dialled.late, [], 'who was dialled need not ask');
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
  const { late, partial, watch, pass, clock } = watched(1000);
  partial(1);
  watch.stop();
  partial(2);
  pass(1_000_000);
  t.same(late, []);
  t.equal(clock.run(), 0, 'nothing waits');
  t.end();
});
