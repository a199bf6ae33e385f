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
  const rehash = new RehashOnRead(SINCE);
  t.notOk(rehash.needsRehash('a', file(5n, 5n)), 'it was written, and its time says so');
  t.notOk(rehash.needsRehash('a', file(-5n, 0n)), 'before the start');
  t.ok(rehash.needsRehash('a', file(-5n, 1n)));
  t.notOk(rehash.needsRehash('a', file(-5n, 1n)), 'it was looked into');
  t.ok(rehash.needsRehash('b', file(-5n, 1n)), 'another file');
  t.ok(rehash.needsRehash('a', file(-5n, 2n)), 'again');
  t.end();
});

t.test('a transfer that the receiver ended, once for each time of the content', (t) => {
  const rehash = new RehashOnRead(SINCE);
  t.ok(rehash.needsRehashAfterAbort('a', file(-5n, -5n).identity));
  t.notOk(rehash.needsRehashAfterAbort('a', file(-5n, -5n).identity));
  t.ok(rehash.needsRehashAfterAbort('a', file(-4n, -4n).identity));
  t.ok(rehash.needsRehashAfterAbort('b', file(-5n, -5n).identity));
  t.end();
});

t.test('memory is bounded', (t) => {
  const rehash = new RehashOnRead(SINCE);
  for (let i = 0; i <= 10_000; i++) rehash.needsRehash(String(i), file(0n, 1n));
  t.notOk(rehash.needsRehash('1', file(0n, 1n)));
  t.ok(rehash.needsRehash('0', file(0n, 1n)), 'the first is forgotten');
  t.end();
});
