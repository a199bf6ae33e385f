/**
 * From one table of its properties both the encoder and the decoder of a message: each property has a
 * field, which writes it into the CBOR map and reads it from there, checked.
 */
import type { CborWriter } from './cbor-writer.js';
import {
  asArray,
  asBool,
  asBytes,
  asHex,
  asMap,
  asText,
  asUint,
  malformed,
  type Fields,
} from './fields.js';

/** How values of one type are written as CBOR, and checked when they come out of it. */
export interface Codec<T> {
  encode(value: T, out: CborWriter): void;
  /** @throws PeerError ERR_MALFORMED */
  decode(value: unknown, name: string): T;
}

/** How a property is written as entries of the CBOR map, and taken out of it. */
export interface Field<T> {
  /** @returns how many entries it is */
  put(value: T, out: CborWriter): number;
  /** @throws PeerError ERR_MALFORMED */
  take(map: Fields): T;
}

/** A field for every property of `T`, in the order in which they are sent. */
export type Table<T> = { readonly [Name in Exclude<keyof T, never>]-?: Field<T[Name]> };

/** A map with certain keys, alone or with its keys among those of another. */
export interface Shape<T> extends Codec<T>, Field<T> {}

/** @param check throws when the fields do not fit together */
export function shape<T>(table: Table<T>, check?: (value: T) => void): Shape<T> {
  const fields = Object.entries<Field<unknown>>(table);
  const put = (value: T, out: CborWriter): number => {
    const properties = value as Record<string, unknown>;
    let entries = 0;
    for (const [name, field] of fields) entries += field.put(properties[name], out);
    return entries;
  };
  const take = (map: Fields): T => {
    const properties: Record<string, unknown> = {};
    for (const [name, field] of fields) properties[name] = field.take(map);
    const value = properties as T;
    check?.(value);
    return value;
  };
  return {
    put,
    take,
    encode(value, out) {
      const begin = out.beginMap();
      out.endMap(begin, put(value, out));
    },
    decode: (value, name) => take(asMap(value, name)),
  };
}

export function required<T>(key: string, codec: Codec<T>): Field<T> {
  return {
    put: (value, out) => entry(key, codec, value, out),
    take: (map) => codec.decode(map.get(key), key),
  };
}

export function optional<T>(key: string, codec: Codec<T>): Field<T | undefined> {
  return absentAs<T | undefined>(key, codec, undefined, isUndefined);
}

/**
 * A field that may be absent.
 *
 * @param absent its value then
 * @param omits whether a value is not sent
 */
export function absentAs<T>(
  key: string,
  codec: Codec<T>,
  absent: T,
  omits: (value: T) => boolean = () => false,
): Field<T> {
  return {
    put: (value, out) => (omits(value) ? 0 : entry(key, codec, value, out)),
    take(map) {
      const value = map.get(key);
      return value === undefined ? absent : codec.decode(value, key);
    },
  };
}

function entry<T>(key: string, codec: Codec<T>, value: T, out: CborWriter): number {
  out.text(key);
  codec.encode(value, out);
  return 1;
}

/** True, or absent. */
export function flag(key: string): Field<true | undefined> {
  const codec: Codec<true | undefined> = {
    encode: (_, out) => {
      out.bool(true);
    },
    decode: (value, name) => (asBool(value, name) ? true : undefined),
  };
  return absentAs(key, codec, undefined, (value) => value !== true);
}

/** A property that is always the same, under this key, or not sent when there is none. */
export function constant<const T extends string>(value: T, key?: string): Field<T> {
  return {
    put(_, out) {
      if (key === undefined) return 0;
      out.text(key);
      out.text(value);
      return 1;
    },
    take: () => value,
  };
}

function isUndefined(value: unknown): boolean {
  return value === undefined;
}

export function uint(max?: number, min?: number): Codec<number> {
  return {
    encode: (value, out) => {
      out.uint(value);
    },
    decode: (value, name) => asUint(value, name, max, min),
  };
}

export function text(maxBytes: number): Codec<string> {
  return {
    encode: (value, out) => {
      out.text(value);
    },
    decode: (value, name) => asText(value, name, maxBytes),
  };
}

export function bytes(maxBytes: number): Codec<Uint8Array> {
  return {
    encode: (value, out) => {
      out.bytes(value);
    },
    // A copy: what was read may be read into again.
    decode: (value, name) => new Uint8Array(asBytes(value, name, maxBytes)),
  };
}

/** A byte string of a fixed length, in memory as lower-case hex. */
export function hex(length: number): Codec<string> {
  return {
    encode: (value, out) => {
      out.hex(value);
    },
    decode: (value, name) => asHex(value, name, length),
  };
}

export function oneOf<const T extends string>(...values: T[]): Codec<T> {
  return {
    encode: (value, out) => {
      out.text(value);
    },
    decode(value, name) {
      const known = values.find((one) => one === value);
      if (known === undefined) throw malformed(`${name} is not known`);
      return known;
    },
  };
}

export function array<T>(codec: Codec<T>, max: number): Codec<readonly T[]> {
  return {
    encode: (values, out) => {
      out.array(values.length);
      for (const value of values) codec.encode(value, out);
    },
    decode: (value, name) => asArray(value, name, max).map((item) => codec.decode(item, name)),
  };
}
