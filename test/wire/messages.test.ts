/** The messages as PROTOCOL.md gives them, and what is refused. */
import { readFileSync } from 'node:fs';
import { encode } from 'cborg';
import fc from 'fast-check';
import t from 'tap';
import { PeerError } from '../../lib/errors.js';
import { FrameDecoder, isMessageId } from '../../lib/wire/frame.js';
import { decodeMessage, encodeMessage, encodePayload } from '../../lib/wire/messages.js';
import { HELLO, ID, MESSAGES, plain } from '../fixtures/messages.js';

const PROTOCOL = readFileSync(new URL('../../../lib/wire/PROTOCOL.md', import.meta.url), 'utf8');

/** The vectors of PROTOCOL.md's last section, by name. */
function vectors(): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (const [, name, hex] of PROTOCOL.matchAll(/\*\*([a-z-]+)\*\*: [^`]*```hex\n([^`]*)```/g)) {
    found.set(name ?? '', Buffer.from((hex ?? '').replace(/\s/g, ''), 'hex'));
  }
  return found;
}

/** Payloads of RQFS that are refused, from the same section. */
const MALFORMED = /```malformed\n([^`]*)```/.exec(PROTOCOL)?.[1] ?? '';

t.test('the test vectors of PROTOCOL.md', (t) => {
  const all = vectors();
  t.same([...all.keys()].sort(), Object.keys(MESSAGES).sort(), 'every message has one');
  for (const [name, bytes] of all) {
    const expected = MESSAGES[name];
    if (expected === undefined) continue;
    t.equal(encodeMessage(expected.message, expected.tag).toString('hex'), bytes.toString('hex'));
    const { used, frame } = new FrameDecoder().write(bytes);
    t.equal(used, bytes.length);
    t.equal(frame?.tag, expected.tag);
    if (frame === undefined || !isMessageId(frame.id)) throw new Error('no message');
    t.same(plain(decodeMessage(frame.id, frame.payload)), plain(expected.message), name);
  }
  t.end();
});

t.test('keys that are not known are ignored', (t) => {
  const payload = encode(
    new Map<string, unknown>([
      ['q', 'x'],
      ['later', [1, 2, { a: 'b' }, true, null]],
    ]),
  );
  t.match(decodeMessage('RQFS', payload), { type: 'RQFS', query: 'x', ttl: 0 });
  t.end();
});

const bytes32 = Buffer.from(ID, 'hex');
const contact = { id: bytes32, host: '192.0.2.7', port: 7000 };
const file = (path: unknown, hash: unknown, size: unknown): Map<unknown, unknown> =>
  new Map([[path, [hash, size]]]);

const BAD: [string, Parameters<typeof decodeMessage>[0], unknown][] = [
  ['not a map', 'PING', [1]],
  ['version below 0', 'PING', { v: -1 }],
  ['an id of 31 bytes', 'PING', { id: bytes32.subarray(1) }],
  ['an id as text', 'PING', { id: ID }],
  ['port 0', 'PING', { port: 0 }],
  ['port 65536', 'PING', { port: 65536 }],
  ['a host of 256 bytes', 'PING', { host: 'x'.repeat(256) }],
  ['a long agent', 'PING', { agent: 'x'.repeat(129) }],
  ['an agent long in UTF-8', 'PING', { agent: 'é'.repeat(65) }],
  ['many features', 'PING', { feat: Array.from({ length: 33 }, () => 'x') }],
  ['a fraction', 'RQLT', { max: 1.5 }],
  ['no query', 'RQFS', {}],
  ['a query and a hash', 'RQFS', { q: 'x', hash: bytes32 }],
  ['a hash of 31 bytes', 'RQFS', { hash: bytes32.subarray(1) }],
  ['a long query', 'RQFS', { q: 'x'.repeat(1025) }],
  ['ttl 256', 'RQFS', { q: 'x', ttl: 256 }],
  ['a query id of 15 bytes', 'RQFS', { q: 'x', qid: Buffer.alloc(15) }],
  ['a long time', 'RQFS', { q: 'x', ms: 600_001 }],
  ['a long cursor', 'RQFS', { q: 'x', after: Buffer.alloc(8193) }],
  ['no hash', 'RQFH', {}],
  ['a hash of 33 bytes', 'RQFH', { hash: Buffer.alloc(33) }],
  ['an offset of 2^53', 'RQFH', { hash: bytes32, offset: 2n ** 53n }],
  ['no files', 'RPFL', { n: 1 }],
  ['a path of 4097 bytes', 'RPFL', { n: 1, files: file('x'.repeat(4097), bytes32, 1) }],
  ['a path that is a number', 'RPFL', { n: 1, files: file(7, bytes32, 1) }],
  ['a file without size', 'RPFL', { n: 1, files: new Map([['x', [bytes32]]]) }],
  ['a file with a short hash', 'RPFL', { n: 1, files: file('x', Buffer.alloc(1), 1) }],
  ...['', '/etc', 'a//b', '../x', 'a/..', './a', 'a/', 'a\0b'].map((path): (typeof BAD)[number] => [
    `the path ${JSON.stringify(path)}`,
    'RPFL',
    { n: 1, files: file(path, bytes32, 1) },
  ]),
  [
    'more than 1000 files',
    'RPFL',
    { n: 1001, files: new Map(Array.from({ length: 1001 }, (_, i) => [`${i}`, [bytes32, 1]])) },
  ],
  ['a dup that is a number', 'RPFL', { n: 0, files: new Map(), dup: 1 }],
  ...[7, [], [1, 2], ['x'], [1.5]].map((mtimes): (typeof BAD)[number] => [
    `the times ${JSON.stringify(mtimes)} of one file`,
    'RPFL',
    { n: 1, files: file('x', bytes32, 1), mtimes },
  ]),
  ['neither query nor hash', 'TPHF', { peer: contact, hops: 1, n: 0 }],
  ['a query and a hash', 'TPHF', { peer: contact, q: 'x', hash: bytes32, hops: 1, n: 0 }],
  ['no peer', 'TPHF', { q: 'x', hops: 1, n: 0 }],
  ['a code that is text', 'ERRR', { code: 'x' }],
  ['a long message', 'ERRR', { code: 1, message: 'x'.repeat(1025) }],
  ['of nothing', 'ACKN', {}],
  ['of an answer', 'ACKN', { of: 'ERRR' }],
  ['a state not known', 'ACKN', { of: 'PING', files: 0, bytes: 0, state: 'asleep' }],
  ['too many peers', 'ACKN', { of: 'RQLT', peers: Array.from({ length: 51 }, () => ({})) }],
  [
    'a link that is a number',
    'ACKN',
    { of: 'RQLT', peers: [{ id: bytes32, host: 'x', port: 1, seen: 0, link: 1 }] },
  ],
  ['an offset behind the end', 'ACKN', { of: 'RQFH', size: 1, offset: 2, length: 0 }],
  ['a length behind the end', 'ACKN', { of: 'RQFH', size: 5, offset: 2, length: 4 }],
];

t.test('what is not as described is malformed', (t) => {
  for (const [name, id, payload] of BAD) {
    t.throws(() => decodeMessage(id, encode(payload)), { code: 'ERR_MALFORMED' }, `${id}: ${name}`);
  }
  let bad = 0;
  for (const [, hex = '', name = ''] of MALFORMED.matchAll(/^([0-9a-f]+) +(.+)$/gm)) {
    const decode = (): unknown => decodeMessage('RQFS', Buffer.from(hex, 'hex'));
    t.throws(decode, { code: 'ERR_MALFORMED' }, name);
    bad++;
  }
  t.equal(bad, MALFORMED.trim().split('\n').length, 'every line of PROTOCOL.md');
  t.throws(() => decodeMessage('RQFS', Buffer.alloc(0)), { code: 'ERR_MALFORMED' }, 'nothing');
  const deep = Buffer.alloc(60_000, 0x81);
  t.throws(() => decodeMessage('RQFS', deep), { code: 'ERR_MALFORMED' }, 'nested deep');
  t.end();
});

t.test('random payloads give a message or ERR_MALFORMED', (t) => {
  const ids = fc.constantFrom('PING', 'RQLT', 'RQFS', 'RQFH', 'RPFL', 'TPHF', 'ERRR', 'ACKN');
  const key = fc.constantFrom(
    ...['v', 'id', 'port', 'agent', 'feat', 'max', 'q', 'ttl', 'qid', 'ms', 'after', 'hash', 'of'],
    ...[
      'dup',
      'mtimes',
      'mtime',
      'offset',
      'length',
      'n',
      'files',
      'peer',
      'hops',
      'code',
      'message',
      'size',
      'peers',
      'host',
      'link',
    ],
  );
  const value = fc.oneof(
    fc.integer(),
    fc.string(),
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom('PING', 'RQLT', 'RQFS', 'RQFH', bytes32, null, true, [], new Map()),
    fc.array(fc.integer(), { maxLength: 3 }),
  );
  const structured = fc
    .array(fc.tuple(key, value), { maxLength: 8 })
    .map((entries) => encode(new Map<string, unknown>(entries)));
  const payload = fc.oneof(fc.uint8Array({ maxLength: 200 }), structured);
  fc.assert(
    fc.property(ids, payload, (id, bytes) => {
      try {
        // What is accepted can be said again, and means the same.
        const message = decodeMessage(id, bytes);
        const again = decodeMessage(id, encodePayload(message));
        return JSON.stringify(plain(again)) === JSON.stringify(plain(message));
      } catch (error) {
        return error instanceof PeerError && error.code === 'ERR_MALFORMED';
      }
    }),
    { numRuns: 5000 },
  );
  t.end();
});

t.test('a frozen message is encoded once, for any tag', (t) => {
  const search = { type: 'RQFS', query: 'x', ttl: 2, queryId: 'a0'.repeat(16) } as const;
  const frozen = Object.freeze({ ...search });
  for (const tag of [1, 2, 2 ** 32 - 1]) {
    t.same(encodeMessage(frozen, tag), encodeMessage(search, tag), `tag ${tag}`);
  }
  t.end();
});

t.test('files keep their order, and a path may hold anything', (t) => {
  const paths = [
    'z',
    'a',
    '__proto__',
    'constructor',
    'é',
    'e\u0301',
    'a\nb',
    '😀',
    ' ',
    '10',
    '9',
  ];
  const files = paths.map((path, size) => ({ path, hash: HELLO, size }));
  const payload = encodePayload({ type: 'RPFL', total: files.length, files });
  t.same(decodeMessage('RPFL', payload).files, files);
  t.end();
});

t.test('a long message of an error is cut at a character', (t) => {
  const payload = encodePayload({ type: 'ERRR', code: 'ERR_BUSY', message: 'é'.repeat(600) });
  t.equal(decodeMessage('ERRR', payload).message, 'é'.repeat(512));
  t.end();
});

t.test('a message above its limit is not sent', (t) => {
  const search = { type: 'RQFS', query: 'x'.repeat(70_000), ttl: 0 } as const;
  t.throws(() => encodeMessage(search, 1), { code: 'ERR_TOO_LARGE' });
  t.end();
});
