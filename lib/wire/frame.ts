/**
 * Cut a stream of bytes into frames, and put frames into bytes.
 *
 * A frame is `id` (4 bytes of A-Z 0-9) | `tag` u32 BE | `length` u32 BE | `length` bytes of payload.
 * Synchronous, and knows no stream and no socket.
 */
import { PeerError } from '../errors.js';
import { HEADER_BYTES, MAX_ANSWER_BYTES, MAX_REQUEST_BYTES } from './limits.js';

export const REQUEST_IDS = ['RQLT', 'PING', 'RQFS', 'RQFH'] as const;
export const ANSWER_IDS = ['RPFL', 'TPHF', 'ERRR', 'ACKN'] as const;
export type RequestId = (typeof REQUEST_IDS)[number];
export type AnswerId = (typeof ANSWER_IDS)[number];
export type MessageId = RequestId | AnswerId;

const LIMITS = new Map<string, number>([
  ...REQUEST_IDS.map((id) => [id, MAX_REQUEST_BYTES] as const),
  ...ANSWER_IDS.map((id) => [id, MAX_ANSWER_BYTES] as const),
]);

export function isMessageId(id: string): id is MessageId {
  return LIMITS.has(id);
}

function isAnswerId(id: string): id is AnswerId {
  return (ANSWER_IDS as readonly string[]).includes(id);
}

export function isRequestId(id: string): id is RequestId {
  return (REQUEST_IDS as readonly string[]).includes(id);
}

/**
 * A frame as it came in. `payload` may point into the chunk it was read from: it is valid until the
 * next call of `write`. A payload that was `skipped`, of an unknown id or of no use, is empty.
 */
export interface Frame {
  readonly id: string;
  readonly tag: number;
  readonly payload: Uint8Array;
  readonly skipped: boolean;
}

/**
 * Put the header into a frame, the payload of which is there.
 *
 * @throws PeerError ERR_TOO_LARGE where the payload exceeds the message's limit
 */
export function fillHeader(frame: Buffer, id: MessageId, tag: number): Buffer {
  const length = frame.length - HEADER_BYTES;
  const limit = LIMITS.get(id) ?? 0;
  if (length > limit) {
    throw new PeerError('ERR_TOO_LARGE', `${id} of ${length} bytes (limit ${limit})`);
  }
  frame.write(id, 0, 4, 'latin1');
  frame.writeUInt32BE(tag, 4);
  frame.writeUInt32BE(length, 8);
  return frame;
}

const NOTHING = new Uint8Array(0);

/**
 * The receiving half. Incomplete input is a state; bad input throws a coded error, after which the
 * decoder must not be used again, because the place where the next frame starts is lost.
 */
export class FrameDecoder {
  readonly #head = Buffer.allocUnsafe(HEADER_BYTES);
  #headFilled = 0;
  #id = '';
  #tag = 0;
  #length = 0;
  /** Whether the payload is not kept. */
  #skips = false;
  readonly #isAwaited: (tag: number) => boolean;
  /** Bytes of the payload seen so far. */
  #filled = 0;
  /** Holds a payload that came in parts; undefined while it is skipped or has not begun. */
  #payload: Uint8Array | undefined;

  /**
   * @param isAwaited whether an answer with this tag is waited for. One that is not is skipped when it is
   *   longer than a request may be: otherwise any peer could make this side hold as much per connection.
   */
  constructor(isAwaited: (tag: number) => boolean = () => true) {
    this.#isAwaited = isAwaited;
  }

  /** Whether a frame has begun and not ended. */
  get inFrame(): boolean {
    return this.#headFilled > 0;
  }

  /** Bytes of the frame that has begun and not ended, as far as they have come. */
  get partial(): number {
    return this.#headFilled < HEADER_BYTES ? this.#headFilled : HEADER_BYTES + this.#filled;
  }

  /** The tag of the answer that has begun and not ended; undefined: none has. */
  get answering(): number | undefined {
    const isAnswer = this.#headFilled === HEADER_BYTES && isAnswerId(this.#id);
    return isAnswer ? this.#tag : undefined;
  }

  /**
   * Take bytes up to the end of at most one frame.
   *
   * @returns how many bytes of `chunk` were used, and the frame if it is complete. All bytes are
   *   used when there is no frame.
   * @throws PeerError ERR_MALFORMED for an id that cannot be one, ERR_TOO_LARGE for a length above
   *   the message's limit; both before anything is allocated for the payload.
   */
  write(chunk: Uint8Array): { used: number; frame?: Frame } {
    let used = 0;
    if (this.#headFilled < HEADER_BYTES) {
      const n = Math.min(HEADER_BYTES - this.#headFilled, chunk.length);
      this.#head.set(chunk.subarray(0, n), this.#headFilled);
      this.#headFilled += n;
      used = n;
      // Whatever is not a peer shows in the first four bytes: do not wait for twelve.
      if (this.#headFilled >= 4 && this.#headFilled - n < 4) this.#readId();
      if (this.#headFilled < HEADER_BYTES) return { used };
      this.#readLength();
    }
    const rest = chunk.subarray(used);
    const n = Math.min(this.#length - this.#filled, rest.length);
    used += n;
    if (this.#skips) {
      this.#filled += n;
      return this.#filled < this.#length ? { used } : { used, frame: this.#end(NOTHING) };
    }
    if (n === this.#length) return { used, frame: this.#end(rest.subarray(0, n)) };
    if (n === 0) return { used };
    this.#payload ??= Buffer.allocUnsafe(this.#length);
    this.#payload.set(rest.subarray(0, n), this.#filled);
    this.#filled += n;
    return this.#filled < this.#length ? { used } : { used, frame: this.#end(this.#payload) };
  }

  #readId(): void {
    for (let i = 0; i < 4; i++) {
      const c = this.#head[i] ?? 0;
      if (!((c >= 0x41 && c <= 0x5a) || (c >= 0x30 && c <= 0x39))) {
        throw new PeerError('ERR_MALFORMED', 'not a frame: message ids are four of A-Z and 0-9');
      }
    }
    this.#id = this.#head.toString('latin1', 0, 4);
  }

  #readLength(): void {
    this.#tag = this.#head.readUInt32BE(4);
    this.#length = this.#head.readUInt32BE(8);
    this.#filled = 0;
    const limit = LIMITS.get(this.#id) ?? MAX_ANSWER_BYTES;
    if (this.#length > limit) {
      throw new PeerError(
        'ERR_TOO_LARGE',
        `${this.#id} announces ${this.#length} bytes (limit ${limit})`,
      );
    }
    const isLong = this.#length > MAX_REQUEST_BYTES;
    this.#skips = !isMessageId(this.#id) || (isLong && !this.#isAwaited(this.#tag));
  }

  #end(payload: Uint8Array): Frame {
    this.#headFilled = 0;
    this.#payload = undefined;
    return { id: this.#id, tag: this.#tag, payload, skipped: this.#skips };
  }
}
