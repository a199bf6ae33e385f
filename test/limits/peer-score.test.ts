/** How much of what no honest peer does is tolerated. */
import t from 'tap';
import { PENALTIES, PeerScore } from '../../lib/limits/peer-score.js';

t.test('points', (t) => {
  const fast = new PeerScore(0);
  for (let i = 1; i < 20; i++) t.notOk(fast.add('stray', 0), `${i}`);
  t.ok(fast.add('stray', 0));
  const slow = new PeerScore(0);
  for (let i = 1; i < 100; i++) t.notOk(slow.add('stray', i * 30_000), 'one in half a minute');
  for (const kind of Object.keys(PENALTIES) as (keyof typeof PENALTIES)[]) {
    t.equal(new PeerScore(0).add(kind, 0), PENALTIES[kind] >= 100, kind);
  }
  t.end();
});
