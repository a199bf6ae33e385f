import t from 'tap';
import { VirtualClock } from '../fixtures/virtual-clock.js';
import { Blocklist } from '../../lib/limits/blocklist.js';

t.test('for a while after the last time', (t) => {
  const clock = new VirtualClock();
  const shunned = new Blocklist(1000, clock);
  const wait = (ms: number): void => {
    clock.after(ms, () => undefined);
    clock.run();
  };
  t.notOk(shunned.has('a'));
  shunned.add('a');
  wait(500);
  shunned.add('b');
  wait(499);
  t.same([shunned.has('a'), shunned.has('b')], [true, true]);
  wait(1);
  t.same([shunned.has('a'), shunned.has('b')], [false, true]);
  shunned.add('b');
  wait(999);
  t.ok(shunned.has('b'), 'it did it again');
  wait(1);
  t.notOk(shunned.has('b'));
  t.end();
});

t.test('so many are remembered; the first is forgotten', (t) => {
  const shunned = new Blocklist(1000, new VirtualClock(), 3);
  for (const client of ['a', 'b', 'c', 'a', 'd']) shunned.add(client);
  t.same(
    ['a', 'b', 'c', 'd'].filter((client) => shunned.has(client)),
    ['c', 'a', 'd'].sort(),
  );
  t.end();
});
