/**
 * From one table of its properties both the encoder and the decoder of a message: each property has a
 * field, which writes it into the CBOR map and reads it from there, checked.
 */
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

/** How values of one type are put into CBOR, and checked when they come out of it. */
export interface Codec<T> {
  encode(value: T): unknown;
  /** @throws PeerError ERR_MALFORMED */
  decode(value: unknown, name: string): T;
}

/** How a property is put into the CBOR map, and taken out of it. */
export interface Field<T> {
  put(value: T, map: Map<string, unknown>): void;
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
  const put = (value: T, map: Map<string, unknown>): void => {
    const properties = value as Record<string, unknown>;
    for (const [name, field] of fields) field.put(properties[name], map);
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
    encode(value) {
      const map = new Map<string, unknown>();
      put(value, map);
      return map;
    },
    decode: (value, name) => take(asMap(value, name)),
  };
}

export function required<T>(key: string, codec: Codec<T>): Field<T> {
  return {
    put: (value, map) => map.set(key, codec.encode(value)),
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
    put(value, map) {
      if (!omits(value)) map.set(key, codec.encode(value));
    },
    take(map) {
      const value = map.get(key);
      return value === undefined ? absent : codec.decode(value, key);
    },
  };
}

/** True, or absent. */
export function flag(key: string): Field<true | undefined> {
  const codec = asIs((value, name) => (asBool(value, name) ? true : undefined));
  return absentAs(key, codec, undefined, (value) => value !== true);
}

/** A property that is always the same, under this key, or not sent when there is none. */
export function constant<const T>(value: T, key?: string): Field<T> {
  return {
    put(_, map) {
      if (key !== undefined) map.set(key, value);
    },
    take: () => value,
  };
}

function isUndefined(value: unknown): boolean {
  return value === undefined;
}

function asIs<T>(decode: Codec<T>['decode']): Codec<T> {
  return { encode: (value) => value, decode };
}

export function uint(max?: number, min?: number): Codec<number> {
  return asIs((value, name) => asUint(value, name, max, min));
}

export function text(maxBytes: number): Codec<string> {
  return asIs((value, name) => asText(value, name, maxBytes));
}

export function bytes(maxBytes: number): Codec<Uint8Array> {
  return asIs((value, name) => asBytes(value, name, maxBytes));
}

/** A byte string of a fixed length, in memory as lower-case hex. */
export function hex(length: number): Codec<string> {
  return {
    encode: (value) => Buffer.from(value, 'hex'),
    decode: (value, name) => asHex(value, name, length),
  };
}

export function oneOf<const T>(...values: T[]): Codec<T> {
  return asIs((value, name) => {
    const known = values.find((one) => one === value);
    if (known === undefined) throw malformed(`${name} is not known`);
    return known;
  });
}

export function array<T>(codec: Codec<T>, max: number): Codec<readonly T[]> {
  return {
    encode: (values) => values.map((value) => codec.encode(value)),
    decode: (value, name) => asArray(value, name, max).map((item) => codec.decode(item, name)),
  };
}
