/** Whatever the bytes: frames and messages that can be said again, or an error with a code. */
import t from 'tap';
import { PeerError } from '../../lib/errors.js';
import { FrameDecoder, isMessageId } from '../../lib/wire/frame.js';
import { decodeMessage, encodePayload } from '../../lib/wire/messages.js';
import { seeded } from '../fixtures/bytes.js';
import { plain } from '../fixtures/messages.js';
import { FRAMES, Mutator } from '../fixtures/mutate.js';
import { size } from './sizes.js';

const CASES = size(10_000, 1_000_000);
/** Of so many messages that were accepted one is said again. */
const AGAIN = size(1, 5);

t.test(`${CASES} streams of changed frames`, (t) => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const mutator = new Mutator(seeded(seed));
  const seen = { frames: 0, messages: 0, unknown: 0, refused: 0 };
  for (let i = 0; i < CASES; i++) {
    const bytes = mutator.stream();
    try {
      decode(bytes, mutator.below(bytes.length + 1), seen, i % AGAIN === 0);
    } catch (error) {
      t.fail(`seed ${seed}, case ${i}: ${String(error)}: ${bytes.toString('hex')}`);
      break;
    }
  }
  t.ok(seen.messages > CASES / 10 && seen.refused > CASES / 10 && seen.unknown > 0, 'all kinds');
  t.comment(JSON.stringify(seen));
  t.end();
});

/** Decode a stream that comes in two pieces. @throws Error what should not be */
function decode(
  bytes: Buffer,
  cut: number,
  seen: { frames: number; messages: number; unknown: number; refused: number },
  again: boolean,
): void {
  const decoder = new FrameDecoder();
  for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
    for (let rest: Uint8Array = piece; rest.length > 0;) {
      try {
        const { used, frame } = decoder.write(rest);
        if (used === 0) throw new Error('stands still');
        rest = rest.subarray(used);
        if (frame === undefined) continue;
        seen.frames++;
        if (!isMessageId(frame.id)) {
          seen.unknown++;
          continue;
        }
        const message = decodeMessage(frame.id, frame.payload);
        seen.messages++;
        if (!again) continue;
        const repeated = decodeMessage(frame.id, encodePayload(message));
        if (JSON.stringify(plain(repeated)) !== JSON.stringify(plain(message))) {
          throw new Error('means something else when it is said again');
        }
      } catch (error) {
        if (!(error instanceof PeerError)) throw error;
        if (error.code === 'ERR_MALFORMED') seen.refused++;
        else if (error.code !== 'ERR_TOO_LARGE') throw error;
        // After a frame the next can be understood; after anything else nothing can.
        if (decoder.inFrame) return;
      }
    }
  }
}

t.test('a length that is announced takes no memory before its bytes come', (t) => {
  const [frame = Buffer.alloc(0)] = FRAMES;
  const head = Buffer.from(frame.subarray(0, 12));
  head.write('ACKN');
  head.writeUInt32BE(2 ** 20, 8);
  const before = process.memoryUsage().arrayBuffers;
  const decoders = Array.from({ length: 1000 }, () => {
    const decoder = new FrameDecoder();
    decoder.write(head);
    return decoder;
  });
  const grown = process.memoryUsage().arrayBuffers - before;
  t.equal(decoders.length, 1000);
  t.ok(grown < 2 ** 20, `${grown} bytes`);
  t.end();
});
