/** How many handshakes a client may begin. */
import t from 'tap';
import { BURST, HandshakeLimit, RATE } from '../../lib/limits/handshake-limit.js';

t.test('as many at once, then so many a second; each client has its own', (t) => {
  let now = 0;
  const limit = new HandshakeLimit(() => now);
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
