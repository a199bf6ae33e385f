/** Reads CBOR (RFC 8949), and refuses whatever payloads do not use: see `cbor.ts`. */
import { isUtf8 } from 'node:buffer';

/** Texts up to so many bytes are looked at for ASCII one by one. */
const SHORT_TEXT = 24;
/** Items in one another, at most. */
const MAX_DEPTH = 64;
/** The smallest argument that needs 1, 2, 4 and 8 bytes of its own. */
const LEAST = [24, 0x100, 0x10000, 0x1_0000_0000];

export class CborReader {
  readonly #bytes: Buffer;
  #at = 0;
  #depth = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Whether all has been read. */
  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /**
   * The next item: a number, string, boolean, null, Array, Map with text keys, or a Buffer that is a view of
   * what is read.
   *
   * @throws Error it is not one of these
   */
  item(): unknown {
    const initial = this.#byte();
    const low = initial & 0x1f;
    switch (initial >>> 5) {
      case 0:
        return this.#argument(low);
      case 2:
        return this.#take(this.#argument(low));
      case 3:
        return this.#text(low);
      case 4:
      case 5:
        return this.#nested(initial >>> 5 === 4, this.#argument(low));
      case 7:
        return simple(low);
      default:
        throw new Error(initial >>> 5 === 1 ? 'a negative number' : 'a tag');
    }
  }

  #nested(isArray: boolean, count: number): unknown {
    if (++this.#depth > MAX_DEPTH) throw new Error('nested too deep');
    const items = isArray ? this.#array(count) : this.#map(count);
    this.#depth--;
    return items;
  }

  #array(count: number): unknown[] {
    const items: unknown[] = [];
    // It may say more than there is: memory is taken as items come.
    for (let i = 0; i < count; i++) items.push(this.item());
    return items;
  }

  #map(count: number): Map<string, unknown> {
    const map = new Map<string, unknown>();
    for (let i = 0; i < count; i++) {
      const initial = this.#byte();
      if (initial >>> 5 !== 3) throw new Error('a map key is not a text');
      const key = this.#text(initial & 0x1f);
      map.set(key, this.item());
      if (map.size === i) throw new Error('a map key comes twice');
    }
    return map;
  }

  #text(low: number): string {
    const length = this.#argument(low);
    const start = this.#at;
    if (length <= SHORT_TEXT) {
      const text = this.#ascii(length);
      if (text !== undefined) return text;
    }
    this.#skip(length);
    // As Buffer reads it, a first U+FEFF stays.
    const text = this.#bytes.toString('utf8', start, this.#at);
    // U+FFFD stands for what is not UTF-8, so only a text that holds one can be bad.
    if (text.includes('\ufffd') && !isUtf8(this.#bytes.subarray(start, this.#at))) {
      throw new Error('a text is not UTF-8');
    }
    return text;
  }

  /** @returns undefined: it is not ASCII, and nothing was read */
  #ascii(length: number): string | undefined {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Error('it ends too early');
    let text = '';
    for (let i = this.#at; i < end; i++) {
      const byte = this.#bytes[i] ?? 0;
      if (byte > 0x7f) return undefined;
      text += String.fromCharCode(byte);
    }
    this.#at = end;
    return text;
  }

  /** The argument of a head, which has the shortest form. */
  #argument(low: number): number {
    if (low < 24) return low;
    if (low > 27) throw new Error('an indefinite length');
    const bytes = this.#bytes;
    const at = this.#at;
    this.#skip(1 << (low - 24));
    let value: number;
    if (low === 24) value = bytes[at] ?? 0;
    else if (low === 25) value = bytes.readUInt16BE(at);
    else if (low === 26) value = bytes.readUInt32BE(at);
    else value = bytes.readUInt32BE(at) * 0x1_0000_0000 + bytes.readUInt32BE(at + 4);
    if (value < (LEAST[low - 24] ?? 0)) throw new Error('not the shortest form');
    if (!Number.isSafeInteger(value)) throw new Error('a number above 2^53 - 1');
    return value;
  }

  #take(length: number): Buffer {
    const start = this.#at;
    this.#skip(length);
    return this.#bytes.subarray(start, this.#at);
  }

  #byte(): number {
    const at = this.#at;
    this.#skip(1);
    return this.#bytes[at] ?? 0;
  }

  #skip(length: number): void {
    if (length > this.#bytes.length - this.#at) throw new Error('it ends too early');
    this.#at += length;
  }
}

function simple(low: number): boolean | null {
  if (low === 20) return false;
  if (low === 21) return true;
  if (low === 22) return null;
  throw new Error(low === 31 ? 'a break' : 'a float, or a simple value');
}
