/** Ranges against slices: whatever is asked for, each byte that is wanted comes once, and no other. */
import fc from 'fast-check';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wantedRanges } from '../../lib/http/ranges.js';
import { random } from '../fixtures/bytes.js';
import { ask, partsOf } from '../fixtures/http.js';
import { startIndexed } from '../fixtures/node.js';
import t from '../fixtures/tap.js';

const SIZE = 70_000;

/** From, to (or undefined: to the end); or only the last ones. */
type Spec = readonly [from: number | undefined, to: number | undefined];

const place = fc.oneof(fc.nat(20), fc.nat(SIZE), fc.integer({ min: SIZE - 9, max: SIZE + 9 }));
const spec: fc.Arbitrary<Spec> = fc.oneof(
  fc.tuple(place, place).map(([a, b]): Spec => [Math.min(a, b), Math.max(a, b)]),
  place.map((from): Spec => [from, undefined]),
  place.map((last): Spec => [undefined, last]),
);
const specs = fc.array(spec, { minLength: 1, maxLength: 12 });
const textOf = (all: readonly Spec[]): string =>
  `bytes=${all.map(([from = '', to = '']) => `${from}-${to}`).join(', ')}`;

/** Which bytes of so many are wanted, by the letter of RFC 9110, section 14.1.2. */
function wantedBytes(size: number, all: readonly Spec[]): boolean[] {
  const wanted = Array.from({ length: size }, () => false);
  for (const [from, to = size - 1] of all) {
    if (from === undefined) wanted.fill(true, Math.max(0, size - to));
    else wanted.fill(true, Math.min(from, size), to + 1);
  }
  return wanted;
}

t.test('which bytes', (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), specs, (size, all) => {
      const small = all.map(([a, b]): Spec => {
        const [from, to] = [a, b].map((n) => (n === undefined ? undefined : n % 45));
        return from !== undefined && to !== undefined && from > to ? [to, from] : [from, to];
      });
      const ranges = wantedRanges(size, textOf(small));
      const got = Array.from({ length: size }, () => 0);
      for (const { start, end } of ranges === 'all' ? [] : ranges) {
        for (let at = start; at < end; at++) got[at] = (got[at] ?? NaN) + 1;
      }
      const wanted = wantedBytes(size, small).map(Number);
      return ranges !== 'all' && JSON.stringify(got) === JSON.stringify(wanted);
    }),
    { numRuns: 3000 },
  );
  t.end();
});

t.test('whatever stands there', (t) => {
  fc.assert(
    fc.property(fc.nat(9), fc.string({ maxLength: 30 }), (size, text) => {
      const ranges = wantedRanges(size, `bytes=${text}`);
      return (
        ranges === 'all' ||
        ranges.every(({ start, end }) => 0 <= start && start < end && end <= size)
      );
    }),
    { numRuns: 3000 },
  );
  t.end();
});

t.test('through a node', async (t) => {
  const content = random(SIZE);
  const folder = t.testdir({});
  writeFileSync(join(folder, 'f'), content);
  const { address } = await startIndexed(t, folder);
  await fc.assert(
    fc.asyncProperty(specs, async (all) => {
      const response = await ask(address, 'GET', '/files/f', { Range: textOf(all) });
      const wanted = wantedBytes(SIZE, all);
      if (!wanted.includes(true)) return response.status === 416;
      const [, range] = /^bytes (.*)$/.exec(response.headers['content-range'] ?? '') ?? [];
      const parts =
        range === undefined
          ? partsOf(response)
          : [{ range: `bytes ${range}`, bytes: response.body }];
      for (const part of parts) {
        const [, first = '', last = ''] = /^bytes (\d+)-(\d+)\/70000$/.exec(part.range) ?? [];
        const [start, end] = [Number(first), Number(last) + 1];
        if (!part.bytes.equals(content.subarray(start, end))) return false;
        if (wanted.slice(start, end).includes(false)) return false;
        wanted.fill(false, start, end);
      }
      return response.status === 206 && !wanted.includes(true);
    }),
    { numRuns: 100 },
  );
});
