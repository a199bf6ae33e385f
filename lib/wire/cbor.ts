/**
 * The part of CBOR (RFC 8949) that payloads use: integers from 0 to 2^53 - 1, byte and text strings, arrays,
 * maps with text keys, true, false and null, of definite length and in the shortest form. Everything else
 * is refused, also below keys that are not known.
 */
import { CborReader } from './cbor-reader.js';
import { CborWriter } from './cbor-writer.js';
import { malformed } from './fields.js';

/** A value of such types as CBOR; a Map keeps its order. */
export function encodeCbor(value: unknown): Uint8Array {
  const out = new CborWriter();
  writeItem(value, out);
  return out.bytesFrom(0);
}

function writeItem(value: unknown, out: CborWriter): void {
  if (typeof value === 'number') out.uint(value);
  else if (typeof value === 'string') out.text(value);
  else if (typeof value === 'boolean') out.bool(value);
  else if (value === null) out.null();
  else if (value instanceof Uint8Array) out.bytes(value);
  else if (Array.isArray(value)) {
    out.array(value.length);
    for (const item of value) writeItem(item, out);
  } else if (value instanceof Map) {
    out.map(value.size);
    for (const [key, item] of value) {
      out.text(String(key));
      writeItem(item, out);
    }
  } else throw new TypeError(`${typeof value} has no place in CBOR`);
}

/** Byte strings in it are views of `bytes`. @throws PeerError ERR_MALFORMED, whatever is wrong */
export function decodeCbor(bytes: Uint8Array): unknown {
  try {
    const reader = new CborReader(bytes);
    const value = reader.item();
    if (!reader.done) throw new Error('more than one item');
    return value;
  } catch (error) {
    throw malformed(`not valid CBOR: ${(error as Error).message}`);
  }
}
