/** Pauses between attempts. */
import t from 'tap';
import { backoff, pause } from '../../lib/support/backoff.js';

t.test('pauses grow up to a cap, and are not the same for all', (t) => {
  const policy = { base: 100, cap: 1000 };
  const middle = [1, 2, 3, 4, 5, 6, 50, 5000].map((n) => backoff(n, policy, 0.5));
  t.same(middle, [100, 200, 400, 800, 1000, 1000, 1000, 1000]);
  t.equal(backoff(2, policy, 0), 100);
  t.equal(backoff(2, policy, 1), 300);
  t.equal(backoff(3, { base: 1, factor: 10, jitter: 0 }, 0.9), 100, 'factor; no jitter');
  t.end();
});

t.test('a pause ends when its signal is aborted, or was before', async (t) => {
  const giveUp = new AbortController();
  const waiting = pause(1e9, giveUp.signal);
  giveUp.abort();
  await waiting;
  await pause(1e9, giveUp.signal);
  await pause(0);
  t.pass();
});
