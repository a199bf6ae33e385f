/** Check values of a decoded CBOR item. Every violation is ERR_MALFORMED. */
import { PeerError } from '../errors.js';

export type Fields = ReadonlyMap<unknown, unknown>;

export function malformed(what: string): PeerError {
  return new PeerError('ERR_MALFORMED', what);
}

export function asMap(value: unknown, name: string): Fields {
  if (!(value instanceof Map)) throw malformed(`${name} is not a map`);
  return value;
}

export function asArray(value: unknown, name: string, max: number): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed(`${name} is not an array`);
  if (value.length > max) throw malformed(`${name} has ${value.length} items (limit ${max})`);
  return value;
}

/** An integer from `min` to `max` (and at most 2^53 - 1). */
export function asUint(
  value: unknown,
  name: string,
  max = Number.MAX_SAFE_INTEGER,
  min = 0,
): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min || value > max) {
    throw malformed(`${name} is not an integer from ${min} to ${max}`);
  }
  return value;
}

export function asBool(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw malformed(`${name} is not true or false`);
  return value;
}

/** A text of at most `maxBytes` bytes of UTF-8. */
export function asText(value: unknown, name: string, maxBytes: number): string {
  if (typeof value !== 'string') throw malformed(`${name} is not a text`);
  // A UTF-16 unit is at least one byte, so most texts need no count.
  const { length } = value;
  if (length > maxBytes || (length * 3 > maxBytes && Buffer.byteLength(value) > maxBytes)) {
    throw malformed(`${name} is longer than ${maxBytes} bytes`);
  }
  return value;
}

export function asBytes(value: unknown, name: string, maxBytes: number): Uint8Array {
  if (!(value instanceof Uint8Array)) throw malformed(`${name} is not a byte string`);
  if (value.length > maxBytes) throw malformed(`${name} is longer than ${maxBytes} bytes`);
  return value;
}

/** A byte string of exactly `bytes` bytes, as lower-case hex. */
export function asHex(value: unknown, name: string, bytes: number): string {
  if (!(value instanceof Uint8Array) || value.length !== bytes) {
    throw malformed(`${name} is not a byte string of ${bytes} bytes`);
  }
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex');
}
