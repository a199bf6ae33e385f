/** What is said arrives as it was said: every code point, every message, both ways. */
import { deepStrictEqual, notEqual, strictEqual } from 'node:assert';
import fc from 'fast-check';
import t from 'tap';
import { decodeCbor, encodeCbor } from '../../lib/wire/cbor.js';
import { decodeMessage, encodePayload, type Message } from '../../lib/wire/messages.js';
import { pathFault } from '../../lib/wire/path.js';
import { HELLO } from '../fixtures/messages.js';

/** Text that UTF-8 can say, with what decoders like to drop or to change. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom('\ufeff', '\ufffe', '\ufffd', '\0', '\u2028', '\u0085', 'e\u0301', '😀', ' '),
      fc.string({ unit: 'binary', maxLength: 3 }),
    ),
    { maxLength: 20 },
  )
  .map((parts) => parts.join(''))
  .filter((text) => Buffer.from(text).toString() === text);
const some = text.filter((text) => text !== '');
const short = text.filter((text) => Buffer.byteLength(text) <= 32);
const hex = (bytes: number): fc.Arbitrary<string> =>
  fc
    .uint8Array({ minLength: bytes, maxLength: bytes })
    .map((all) => Buffer.from(all).toString('hex'));
const hash = hex(32);
const uint = fc.oneof(fc.nat(30), fc.maxSafeNat());
const bytes = fc.uint8Array({ maxLength: 40 });
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined });
const isTrue = fc.constantFrom(true as const, undefined);
const port = fc.integer({ min: 1, max: 65_535 });

const info = fc.record({
  version: fc.nat(65_535),
  id: maybe(hash),
  port: maybe(port),
  host: maybe(short),
  link: isTrue,
  agent: maybe(short),
  features: maybe(fc.array(short, { maxLength: 4 })),
});
const peer = fc.record({ id: hash, host: short, port });
const files = fc.uniqueArray(
  fc.record({ path: some.filter((path) => pathFault(path) === undefined), hash, size: uint }),
  { selector: ({ path }) => path, maxLength: 8 },
);
const datedFiles = fc
  .tuple(files, fc.array(maybe(uint), { minLength: 8, maxLength: 8 }))
  .map(([files, times]) =>
    files.map((file, i) => (times[i] === undefined ? file : { ...file, modified: times[i] })),
  );
const wanted = fc.oneof(
  text.map((query) => ({ query })),
  hash.map((hash) => ({ hash })),
);
const one = <const T extends string>(value: T): fc.Arbitrary<T> => fc.constant(value);

const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ type: one('PING'), info }),
  fc.record({ type: one('RQLT'), max: maybe(uint) }),
  fc
    .tuple(
      wanted,
      fc.record({
        type: one('RQFS'),
        ttl: fc.nat(255),
        queryId: maybe(hex(16)),
        timeout: maybe(fc.nat(600_000)),
        max: maybe(uint),
        after: maybe(bytes),
      }),
    )
    .map(([wanted, rest]) => ({ ...wanted, ...rest })),
  fc.record({ type: one('RQFH'), hash, offset: maybe(uint), length: maybe(uint) }),
  fc.record({
    type: one('RPFL'),
    total: uint,
    files: datedFiles,
    after: maybe(bytes),
    duplicate: isTrue,
  }),
  fc
    .tuple(wanted, fc.record({ type: one('TPHF'), peer, hops: fc.nat(255), total: uint, files }))
    .map(([wanted, rest]) => ({ ...wanted, ...rest })),
  fc.record({ type: one('ERRR'), code: fc.constantFrom('ERR_BUSY', 'ERR_RANGE'), message: text }),
  fc.record({
    type: one('ACKN'),
    of: one('PING'),
    info,
    files: uint,
    bytes: uint,
    state: fc.constantFrom('hashing', 'ready'),
  }),
  fc.record({
    type: one('ACKN'),
    of: one('RQLT'),
    peers: fc.array(fc.record({ id: hash, host: short, port, seen: uint, link: isTrue }), {
      maxLength: 5,
    }),
  }),
  fc.record({
    type: one('ACKN'),
    of: one('RQFS'),
    asked: uint,
    answered: uint,
    timedOut: uint,
    duplicates: uint,
  }),
  fc
    .tuple(uint, uint, uint)
    .map((numbers) => numbers.sort((a, b) => a - b))
    .map(([length, offset, size]) => ({
      type: 'ACKN' as const,
      of: 'RQFH' as const,
      size,
      offset,
      length: Math.min(length, size - offset),
    })),
);

t.test('decode(encode(x)) is x, and encode(decode(bytes)) are the same bytes', (t) => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(message, (message) => {
      const payload = encodePayload(message);
      const decoded = decodeMessage(message.type, payload);
      deepStrictEqual(plain(decoded), plain(message));
      deepStrictEqual(encodePayload(decoded), payload);
      const name = 'of' in message ? `ACKN of ${message.of}` : message.type;
      seen.set(name, (seen.get(name) ?? 0) + 1);
    }),
    { numRuns: 500 },
  );
  t.equal(seen.size, 11, 'every message');
  t.end();
});

/** Without fields that are undefined. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(entries.map(([name, field]) => [name, plain(field)]));
}

t.test('whatever CBOR is accepted is encoded as the same bytes', (t) => {
  const value = fc.letrec((again) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.oneof(uint, text, bytes, fc.boolean(), fc.constant(null)),
      fc.array(again('any'), { maxLength: 4 }),
      fc.array(fc.tuple(text, again('any')), { maxLength: 4 }).map((entries) => new Map(entries)),
    ),
  })).any;
  const mutated = fc
    .tuple(value, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 }))
    .map(([value, changes]) => {
      const bytes = Buffer.from(encodeCbor(value));
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      return bytes;
    });
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 6 })), (bytes) => {
      let decoded: unknown;
      try {
        decoded = decodeCbor(bytes);
      } catch {
        return;
      }
      accepted++;
      deepStrictEqual(Buffer.from(encodeCbor(decoded)), Buffer.from(bytes));
    }),
    { numRuns: 2000 },
  );
  t.ok(accepted > 300, `${accepted} accepted`);
  t.end();
});

t.test('every name that is shared can be sent, and comes as it is', (t) => {
  const odd = ['\ufeff', '\ufeff\ufeff', '\ufeff/\ufeff', 'a\nb', '\\', '...', '.a', ' ', '\u0085'];
  fc.assert(
    fc.property(fc.oneof(fc.constantFrom(...odd), some), (path) => {
      if (path.split('/').some((part) => ['', '.', '..'].includes(part)) || path.includes('\0')) {
        // No name that a disk can hold.
        notEqual(pathFault(path), undefined);
        return;
      }
      if (pathFault(path) !== undefined) return;
      const files = [{ path, hash: HELLO, size: 1 }];
      const payload = encodePayload({ type: 'RPFL', total: 1, files });
      strictEqual(decodeMessage('RPFL', payload).files[0]?.path, path);
    }),
    { numRuns: 500 },
  );
  t.end();
});
