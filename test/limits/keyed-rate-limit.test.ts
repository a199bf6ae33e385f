/** How often something may happen for each key. */
import t from 'tap';
import { HANDSHAKES, KeyedRateLimit } from '../../lib/limits/keyed-rate-limit.js';

const { rate: RATE, burst: BURST } = HANDSHAKES;

t.test('as many at once, then so many a second; each client has its own', (t) => {
  let now = 0;
  const limit = new KeyedRateLimit(HANDSHAKES, () => now);
  const count = (client: string): number => {
    let admitted = 0;
    while (limit.admits(client)) admitted++;
    return admitted;
  };
  t.equal(count('a'), BURST);
  now += 1000;
  t.equal(count('a'), RATE);
  t.equal(count('b'), BURST);
  for (let second = 0; second < 5; second++) {
    now += 1000;
    t.equal(count('a'), RATE, 'whoever goes on all the time gains nothing');
  }
  now += (1000 * BURST) / RATE;
  t.equal(count('a'), BURST);
  t.end();
});

t.test('when it may happen next', (t) => {
  let now = 1000;
  const limit = new KeyedRateLimit({ rate: 1, burst: 3, maxKeys: 10 }, () => now);
  t.ok(limit.dueAt('a') <= now, 'a key of which nothing is known');
  for (let i = 0; i < 3; i++) {
    t.ok(limit.dueAt('a') <= now);
    limit.count('a');
  }
  t.equal(limit.dueAt('a'), 2000);
  now = 1999;
  t.notOk(limit.admits('a'));
  now = 2000;
  t.ok(limit.admits('a'));
  t.equal(limit.dueAt('a'), 3000);
  t.end();
});
