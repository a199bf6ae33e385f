/** Frames out of bytes: whole, byte by byte, and cut anywhere. */
import fc from 'fast-check';
import t from 'tap';
import { PeerError } from '../../lib/errors.js';
import { FrameDecoder, type Frame } from '../../lib/wire/frame.js';
import { MAX_ANSWER_BYTES, MAX_REQUEST_BYTES } from '../../lib/wire/limits.js';
import { encodeMessage } from '../../lib/wire/messages.js';
import { MESSAGES } from '../fixtures/messages.js';

/** Everything the chunks hold, payloads kept beyond the chunk they came in. */
function decodeAll(chunks: Iterable<Uint8Array>): Frame[] {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  for (const chunk of chunks) {
    let rest = chunk;
    while (rest.length > 0) {
      const { used, frame } = decoder.write(rest);
      rest = rest.subarray(used);
      if (frame !== undefined) frames.push({ ...frame, payload: Buffer.from(frame.payload) });
    }
  }
  if (decoder.inFrame) throw new Error('ends inside a frame');
  return frames;
}

function* cut(bytes: Uint8Array, places: readonly number[]): Generator<Uint8Array> {
  let from = 0;
  for (const place of [...places].sort((a, b) => a - b)) {
    yield bytes.subarray(from, place);
    from = place;
  }
  yield bytes.subarray(from);
}

const unknown = Buffer.concat([Buffer.from('XYZ9'), Buffer.from('0000000700000003ffffff', 'hex')]);
const stream = Buffer.concat([
  ...Object.values(MESSAGES).map(({ message, tag }) => encodeMessage(message, tag)),
  unknown,
  encodeMessage({ type: 'RQLT' }, 9),
]);

t.test('the same frames whatever the cuts', (t) => {
  const whole = decodeAll([stream]);
  t.equal(whole.length, Object.keys(MESSAGES).length + 2);
  t.match(whole.at(-2), { id: 'XYZ9', tag: 7, payload: Buffer.alloc(0) }, 'skipped');
  t.match(whole.at(-1), { id: 'RQLT', tag: 9 });
  t.same(decodeAll(Array.from(stream, (byte) => Uint8Array.of(byte))), whole, 'byte by byte');
  fc.assert(
    fc.property(fc.array(fc.nat(stream.length), { maxLength: 40 }), (places) => {
      t.same(decodeAll(cut(stream, places)), whole);
    }),
    { numRuns: 300 },
  );
  t.end();
});

t.test('random bytes give frames or a coded error', (t) => {
  const near = fc
    .tuple(
      fc.constantFrom('PING', 'RQFH', 'ACKN', 'HTTP', 'ZZZZ', 'ping', '\0\0\0\0'),
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.oneof(fc.nat(200), fc.nat(2 ** 31)),
      fc.uint8Array({ maxLength: 300 }),
    )
    .map(([id, tag, length, rest]) => {
      const size = Buffer.alloc(4);
      size.writeUInt32BE(length);
      return Buffer.concat([Buffer.from(id), tag, size, rest]);
    });
  fc.assert(
    fc.property(fc.oneof(near, fc.uint8Array({ maxLength: 100 })), (bytes) => {
      const decoder = new FrameDecoder();
      try {
        for (let rest: Uint8Array = bytes; rest.length > 0;) {
          const { used } = decoder.write(rest);
          if (used === 0) return false;
          rest = rest.subarray(used);
        }
        return true;
      } catch (error) {
        return (
          error instanceof PeerError && ['ERR_MALFORMED', 'ERR_TOO_LARGE'].includes(error.code)
        );
      }
    }),
    { numRuns: 5000 },
  );
  t.end();
});

t.test('a length is refused before its bytes come', (t) => {
  const head = (id: string, length: number): Buffer => {
    const bytes = Buffer.alloc(12);
    bytes.write(id);
    bytes.writeUInt32BE(length, 8);
    return bytes;
  };
  for (const [id, limit] of [
    ['RQFS', MAX_REQUEST_BYTES],
    ['RPFL', MAX_ANSWER_BYTES],
    ['LATE', MAX_ANSWER_BYTES],
  ] as const) {
    t.same(new FrameDecoder().write(head(id, limit)), { used: 12 }, `${id} at its limit`);
    t.throws(() => new FrameDecoder().write(head(id, limit + 1)), { code: 'ERR_TOO_LARGE' });
  }
  t.end();
});

t.test('what is not a frame shows in four bytes', (t) => {
  for (const text of ['GET ', 'SSH-', '{"a"', '\0\0\0\0', 'ping']) {
    t.throws(() => new FrameDecoder().write(Buffer.from(text)), { code: 'ERR_MALFORMED' });
  }
  t.throws(() => new FrameDecoder().write(Buffer.from('HTTP/1.1 200 OK\r\n')), {
    code: 'ERR_TOO_LARGE',
  });
  t.end();
});
