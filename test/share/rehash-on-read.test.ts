import t from 'tap';
import { RehashOnRead } from '../../lib/share/rehash-on-read.js';

const SINCE = 1_700_000_000_000;
const NS = BigInt(SINCE) * 1_000_000n;

/** A file whose content was written, and anything about it changed, so long after the start. */
const file = (written: bigint, changed: bigint) => ({
  identity: { size: 1, mtimeNs: NS + written, birthNs: 0n, ino: 0n },
  changedNs: NS + changed,
});

t.test('what was changed after its content, once for each change', (t) => {
  const doubts = new RehashOnRead(SINCE);
  t.notOk(doubts.raises('a', file(5n, 5n)), 'it was written, and its time says so');
  t.notOk(doubts.raises('a', file(-5n, 0n)), 'before the start');
  t.ok(doubts.raises('a', file(-5n, 1n)));
  t.notOk(doubts.raises('a', file(-5n, 1n)), 'it was looked into');
  t.ok(doubts.raises('b', file(-5n, 1n)), 'another file');
  t.ok(doubts.raises('a', file(-5n, 2n)), 'again');
  t.end();
});

t.test('a transfer that the receiver ended, once for each time of the content', (t) => {
  const doubts = new RehashOnRead(SINCE);
  t.ok(doubts.raisesAtEnd('a', file(-5n, -5n).identity));
  t.notOk(doubts.raisesAtEnd('a', file(-5n, -5n).identity));
  t.ok(doubts.raisesAtEnd('a', file(-4n, -4n).identity));
  t.ok(doubts.raisesAtEnd('b', file(-5n, -5n).identity));
  t.end();
});

t.test('memory is bounded', (t) => {
  const doubts = new RehashOnRead(SINCE);
  for (let i = 0; i <= 10_000; i++) doubts.raises(String(i), file(0n, 1n));
  t.notOk(doubts.raises('1', file(0n, 1n)));
  t.ok(doubts.raises('0', file(0n, 1n)), 'the first is forgotten');
  t.end();
});
