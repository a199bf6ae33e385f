/** Searches in slices: right while names come and go between them, bounded, and fair to each other. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { STEP } from '../../lib/name-index/meter.js';
import { NameIndex } from '../../lib/name-index/name-index.js';
import { FairScheduler } from '../../lib/name-index/fair-scheduler.js';
import { naive } from '../fixtures/naive-search.js';

const name = fc.constantFrom('lib', 'Lib', 'a', 'ab', 'abc.js', 'a-b', '_x', 'xab', 'ab cd', 'é');
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const query = fc.oneof(
  fc.constantFrom('', 'a', 'ab', 'lib', 'a b', 'lib ab', '.js', '-', '/', 'b/', '/ab', 'c.j', 'é'),
  fc.array(name, { maxLength: 3 }).map((terms) => terms.join(' ')),
);

const change = fc.record({ id: fc.nat(29), pick: fc.nat(39), often: fc.nat(2) });

t.test('the answer is that of the last step, while names come and go', (t) => {
  let interrupted = 0;
  fc.assert(
    fc.property(
      fc.uniqueArray(path, { minLength: 1, maxLength: 40 }),
      query,
      fc.integer({ min: 1, max: 4 }),
      fc.infiniteStream(change),
      (paths, query, max, picks) => {
        // It may be interrupted wherever that is possible.
        const index = new NameIndex(1);
        const there = new Map<number, string>();
        const change = (): void => {
          const next: unknown = picks.next().value;
          const { id, pick, often } = next as { id: number; pick: number; often: number };
          const path = paths[pick % paths.length] ?? '';
          if (often === 0) return;
          if (there.has(id) && often === 1) {
            index.remove(id);
            there.delete(id);
          } else if (![...there.values()].includes(path)) {
            index.add(id, path);
            there.set(id, path);
          }
        };
        for (let i = 0; i < 40; i++) change();
        for (let after: Uint8Array | undefined, before = ''; ;) {
          const steps = index.searching(query, max, after);
          let step = steps.next();
          for (; step.done !== true; step = steps.next()) {
            interrupted++;
            change();
          }
          const all = naive(there.values(), query);
          const page = step.value.ids.map((id) => there.get(id) ?? 'gone');
          if (step.value.total !== all.length)
            throw new Error(`${step.value.total} of ${all.length}`);
          const rest = before === '' ? all : behind(there, query, before);
          const cut = step.value.after === undefined ? rest : rest.slice(0, page.length);
          if (JSON.stringify(page) !== JSON.stringify(cut)) {
            throw new Error(JSON.stringify({ query, before, page, rest }));
          }
          if (page.length > max) throw new Error('more than wanted');
          // Once more, when the answer may be known, and when it is not any more.
          for (let i = 0; i < 2; i++) {
            const again = index.search(query, max);
            const [now, ids] = [naive(there.values(), query), again.ids];
            const found = ids.map((id) => there.get(id) ?? 'gone');
            if (again.total !== now.length || found.join('\n') !== now.slice(0, max).join('\n')) {
              throw new Error(`not what is there now: ${found.join(', ')}`);
            }
            change();
          }
          after = step.value.after;
          if (after === undefined) break;
          before = page.at(-1) ?? before;
        }
      },
    ),
    { numRuns: 1500 },
  );
  t.ok(interrupted > 10_000, `${interrupted} interruptions`);
  t.end();
});

/** What comes behind a path, which may be gone. */
function behind(there: ReadonlyMap<number, string>, query: string, path: string): string[] {
  const all = naive(new Set([...there.values(), path]), query);
  return all.slice(all.indexOf(path) + 1);
}

t.test('hostile queries do no more than a step at once, and not too much in all', (t) => {
  const index = new NameIndex();
  const n = 60_000;
  const letters = 'abcdefghijklmnop';
  const each = letters.split('').join(' ');
  for (let id = 0; id < n; id++) {
    const word = id.toString(36) + letters.slice(id % 16) + letters.slice(0, id % 16);
    index.add(id, `folder ${id % 500}/a/b.c/${word}_common-${id % 7}.ab.dat`);
  }
  const pairs = Array.from({ length: 300 }, (_, i) => `${letters.charAt(i % 16)}${i % 10}`);
  for (const query of [
    '',
    '-',
    '_ -',
    'a',
    'ab',
    '.ab.',
    'common-',
    'n-3.a',
    each,
    `common dat folder ${each}`.slice(0, 1024),
    pairs.join(' ').slice(0, 1024),
    `${'a'.repeat(500)} ${'/'.repeat(500)}`,
    'a/'.repeat(512),
  ]) {
    let all = 0;
    let most = 0;
    for (const units of index.searching(query, 1000)) {
      all += units;
      most = Math.max(most, units);
    }
    // A list is read at once, whatever is on it.
    t.ok(most <= 2 * STEP + n, `at most ${most} at once: ${query.slice(0, 40)}`);
    t.ok(all <= 16 * 40 * n, `${all} in all`);
  }
  t.end();
});

t.test('a search that is given up holds nothing', (t) => {
  const index = new NameIndex(1);
  for (let id = 0; id < 5000; id++) index.add(id, `dir${id % 9}/name-${id}`);
  const steps = index.searching('name dir', 5);
  steps.next();
  steps.return({ total: 0, ids: [], cursorAfter: () => new Uint8Array(0) });
  index.remove(0);
  t.equal(index.search('name dir', 5).total, 4999);
  t.end();
});

t.test('clients take turns, and what is under way is bounded', async (t) => {
  const turns = new FairScheduler();
  let begun = 0;
  let most = 0;
  let isOver = false;
  function* long(): Generator<void, string> {
    most = Math.max(most, ++begun);
    try {
      while (!isOver) yield;
      return 'long';
    } finally {
      begun--;
    }
  }
  function* short(): Generator<void, string> {
    yield;
    return 'short';
  }
  const clients = Array.from({ length: 3 }, () => new AbortController());
  const all = clients.flatMap(({ signal }) =>
    Array.from({ length: 40 }, () => turns.run(long(), signal)),
  );
  for (let i = 0; i < 10; i++) await nextTurn();
  const other = new AbortController();
  t.equal(await turns.run(short(), other.signal), 'short', 'though the others never end');
  t.ok(most <= 8, `${most} at once`);
  isOver = true;
  t.same(new Set(await Promise.all(all)), new Set(['long']));
  t.equal(begun, 0);
});

t.test('nobody waits any more', async (t) => {
  const turns = new FairScheduler();
  let ended = 0;
  function* endless(): Generator<void, void> {
    try {
      for (;;) yield;
    } finally {
      ended++;
    }
  }
  const client = new AbortController();
  const gone = turns.run(endless(), client.signal);
  const other = turns.run(endless(), new AbortController().signal);
  await nextTurn();
  client.abort();
  await t.rejects(gone, { code: 'ERR_CLOSED' });
  t.equal(ended, 1);
  turns.close();
  await t.rejects(other, { code: 'ERR_CLOSED' });
  t.equal(ended, 2);
  await t.rejects(turns.run(endless()), { code: 'ERR_CLOSED' });
});

t.test('too many are turned away', async (t) => {
  const turns = new FairScheduler();
  let begun = 0;
  function* endless(): Generator<void, void> {
    for (begun++; ;) yield;
  }
  const clients = Array.from({ length: 20 }, () => new AbortController());
  const all = Array.from({ length: 5000 }, (_, i) => turns.run(endless(), clients[i % 20]?.signal));
  const results = Promise.allSettled(all);
  await nextTurn();
  t.ok(begun <= 8, `${begun} under way`);
  turns.close();
  const codes = (await results).map((result) =>
    result.status === 'rejected' ? (result.reason as { code: string }).code : '',
  );
  t.ok(codes.includes('ERR_BUSY'));
  t.ok(codes.includes('ERR_CLOSED'));
});

t.test('the client that has most is turned away, not the one that comes last', async (t) => {
  const turns = new FairScheduler();
  function* endless(): Generator<void, void> {
    for (;;) yield;
  }
  function* short(): Generator<void, string> {
    yield;
    return 'short';
  }
  const [many, other] = [new AbortController(), new AbortController()];
  const results = Promise.allSettled(
    Array.from({ length: 5000 }, () => turns.run(endless(), many.signal)),
  );
  t.equal(await turns.run(short(), other.signal), 'short');
  turns.close();
  const busy = (await results).filter(
    (result) =>
      result.status === 'rejected' && (result.reason as { code: string }).code === 'ERR_BUSY',
  );
  // 4,096 wait; two of them have begun; and one has made room.
  t.ok(busy.length > 5000 - 4096 - 8 && busy.length <= 5000 - 4096 + 1, `${busy.length} of 5,000`);
});
