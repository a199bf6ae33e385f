/**
 * Messages to and from frames. This is the edge: what `decodeMessage` returns has been checked against
 * every type and limit of PROTOCOL.md, and nothing behind it checks again.
 */
import { decodeCbor, encodeCbor } from './cbor.js';
import { asMap, malformed } from './fields.js';
import { encodeFrame, type MessageId } from './frame.js';
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

/** A message's payload: one CBOR map. */
export function encodePayload(message: Message): Uint8Array {
  const of = message.type === 'ACKN' ? message.of : undefined;
  return encodeCbor(shapeOf(message.type, of).encode(message));
}

/** Payloads of frozen messages. */
const payloads = new WeakMap<Message, Uint8Array>();

/**
 * A whole frame. The payload of a message that is frozen is made only once: worth it for one that is
 * sent many times.
 *
 * @throws PeerError ERR_TOO_LARGE when the message exceeds its limit
 */
export function encodeMessage(message: Message, tag: number): Buffer {
  if (!Object.isFrozen(message)) return encodeFrame(message.type, tag, encodePayload(message));
  let payload = payloads.get(message);
  if (payload === undefined) {
    payload = encodePayload(message);
    payloads.set(message, payload);
  }
  return encodeFrame(message.type, tag, payload);
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
