/** The bitmap of blocks, beside a plain Set that does the same slowly. */
import fc from 'fast-check';
import t from 'tap';
import { BlockSet, type BlockRun } from '../../lib/fetch/block-set.js';

/** The same runs, block by block. */
function slowRuns(there: ReadonlySet<number>, from: number, to: number): BlockRun[] {
  const runs: BlockRun[] = [];
  for (let block = from; block < to; block++) {
    if (there.has(block)) continue;
    const last = runs.at(-1);
    if (last !== undefined && last.first + last.count === block) last.count++;
    else runs.push({ first: block, count: 1 });
  }
  return runs;
}

t.test('does what a Set does', (t) => {
  // Around the borders of words and of the page at 32,768.
  const count = 32_768 + 200;
  const block = fc.oneof(
    fc.nat({ max: 130 }),
    fc.integer({ min: 32_700, max: count - 1 }),
    fc.nat({ max: count - 1 }),
  );
  const step = fc.record({ add: fc.boolean(), first: block, length: fc.nat({ max: 70 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), block, block, (steps, a, b) => {
      const set = new BlockSet(count);
      const model = new Set<number>();
      for (const { add, first, length } of steps) {
        for (let i = first; i < Math.min(count, first + length); i++) {
          if (add) {
            set.add(i);
            model.add(i);
          } else {
            set.delete(i);
            model.delete(i);
          }
        }
      }
      if (set.size !== model.size) return false;
      for (let i = 0; i < count; i += 1) if (set.has(i) !== model.has(i)) return false;
      const [from, to] = [Math.min(a, b), Math.max(a, b)];
      const same = (left: BlockRun[], right: BlockRun[]): boolean =>
        JSON.stringify(left) === JSON.stringify(right);
      return (
        same([...set.missing()], slowRuns(model, 0, count)) &&
        same([...set.missing(from, to)], slowRuns(model, from, to))
      );
    }),
    { numRuns: 60 },
  );
  t.end();
});

t.test('borders', (t) => {
  const set = new BlockSet(64);
  t.same([...set.missing()], [{ first: 0, count: 64 }]);
  for (let i = 0; i < 64; i++) set.add(i);
  set.add(63);
  t.equal(set.size, 64, 'twice is once');
  t.same([...set.missing()], []);
  set.delete(63);
  set.delete(63);
  t.equal(set.size, 63);
  t.same([...set.missing(0, 1000)], [{ first: 63, count: 1 }], 'not beyond the file');
  t.same([...set.missing(5, 5)], []);
  t.throws(() => {
    set.add(64);
  }, RangeError);
  t.throws(() => {
    set.add(-1);
  }, RangeError);
  set.delete(64);
  t.notOk(set.has(64) || set.has(-1));
  t.same([...new BlockSet(0).missing()], []);
  t.end();
});

t.test('the largest file that a peer can claim takes no memory', (t) => {
  const count = 2 ** 35;
  const set = new BlockSet(count);
  const before = process.memoryUsage().arrayBuffers;
  set.add(count - 1);
  set.add(2 ** 33);
  t.ok(process.memoryUsage().arrayBuffers - before < 1024 * 1024);
  t.ok(set.has(2 ** 33) && !set.has(2 ** 33 - 1));
  t.same(
    [...set.missing()],
    [
      { first: 0, count: 2 ** 33 },
      { first: 2 ** 33 + 1, count: count - 2 ** 33 - 2 },
    ],
  );
  t.end();
});

t.test('what changes ahead of the generator counts', (t) => {
  const set = new BlockSet(10);
  set.add(3);
  const runs = set.missing();
  t.same(runs.next().value, { first: 0, count: 3 });
  set.add(5);
  t.same(runs.next().value, { first: 4, count: 1 });
  t.same(runs.next().value, { first: 6, count: 4 });
  t.end();
});
