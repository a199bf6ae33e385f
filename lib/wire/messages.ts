/**
 * Messages to and from frames. This is the edge: what `decodeMessage` returns has been checked against
 * every type and limit of PROTOCOL.md, and nothing behind it checks again.
 */
import { decodeCbor } from './cbor.js';
import { CborWriter } from './cbor-writer.js';
import { asMap, malformed } from './fields.js';
import { fillHeader, type MessageId } from './frame.js';
import { HEADER_BYTES } from './limits.js';
import type { Shape } from './shape.js';
import { ACKNOWLEDGEMENTS, MESSAGES } from './tables.js';
import type { Message } from './types.js';

export type * from './types.js';
export type { AnswerId, MessageId, RequestId } from './frame.js';

/** @param of for ACKN: the request that it answers */
function shapeOf(id: MessageId, of: unknown): Shape<Message> {
  if (id !== 'ACKN') return MESSAGES[id];
  if (typeof of === 'string' && Object.hasOwn(ACKNOWLEDGEMENTS, of)) {
    return ACKNOWLEDGEMENTS[of as keyof typeof ACKNOWLEDGEMENTS];
  }
  throw malformed('ACKN of an unknown message');
}

/** One for all: a message is written at once. */
const writer = new CborWriter();

/** Frames of frozen messages. */
const frames = new WeakMap<Message, Buffer>();

function write(message: Message): Buffer {
  const of = message.type === 'ACKN' ? message.of : undefined;
  shapeOf(message.type, of).encode(message, writer.reset(HEADER_BYTES));
  return writer.bytesFrom(0);
}

/** A message's payload: one CBOR map. */
export function encodePayload(message: Message): Uint8Array {
  return write(message).subarray(HEADER_BYTES);
}

/**
 * A whole frame. That of a message which is frozen is written only once: worth it for one that is sent many
 * times.
 *
 * @throws PeerError ERR_TOO_LARGE when the message exceeds its limit
 */
export function encodeMessage(message: Message, tag: number): Buffer {
  if (!Object.isFrozen(message)) return fillHeader(write(message), message.type, tag);
  let frame = frames.get(message);
  if (frame === undefined) {
    frame = write(message);
    frames.set(message, frame);
  }
  return fillHeader(Buffer.from(frame), message.type, tag);
}

/**
 * A payload as a message that the rest may trust.
 *
 * @throws PeerError ERR_MALFORMED, whatever is wrong with it.
 */
export function decodeMessage<Id extends MessageId>(
  id: Id,
  payload: Uint8Array,
): Extract<Message, { type: Id }> {
  const map = asMap(decodeCbor(payload), `${id}'s payload`);
  return shapeOf(id, map.get('of')).take(map) as Extract<Message, { type: Id }>;
}
