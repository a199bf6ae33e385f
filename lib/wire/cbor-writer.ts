/**
 * Writes CBOR (RFC 8949) of the kind that payloads use: see `cbor.ts`. All messages are written into one
 * buffer, so that a long one makes no garbage; what is done with it is copied out.
 */

const INITIAL_BYTES = 64 * 1024;
/** Bytes of the longest head: one byte, and eight of an argument. */
const MAX_HEAD_BYTES = 9;
/** Texts up to so many characters are written one by one, as long as they are ASCII: a call takes longer. */
const SHORT_TEXT = 96;

/** Major types, in the place that they have in a head. */
const UINT = 0x00;
const BYTES = 0x40;
const TEXT = 0x60;
const ARRAY = 0x80;
const MAP = 0xa0;
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;

/** The most entries of a map whose head is one byte: its count can be written after them. */
const MAX_SHORT_COUNT = 23;

export class CborWriter {
  #buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  #at = 0;

  /**
   * Begin anew.
   *
   * @param reserved bytes before what is written, for a head
   */
  reset(reserved: number): this {
    this.#at = reserved;
    return this;
  }

  /** Where the next byte goes. */
  get at(): number {
    return this.#at;
  }

  /** A copy of what was written from there on, and of what was reserved. */
  bytesFrom(start: number): Buffer {
    return Buffer.from(this.#buffer.subarray(start, this.#at));
  }

  /** An integer from 0 to 2^53 - 1. @throws TypeError it is none */
  uint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new TypeError(`${value} has no place in CBOR`);
    this.#head(UINT, value);
  }

  text(value: string): void {
    if (value.length <= SHORT_TEXT && this.#ascii(value)) return;
    const bytes = Buffer.byteLength(value);
    this.#head(TEXT, bytes, bytes);
    this.#buffer.write(value, this.#at);
    this.#at += bytes;
  }

  bytes(value: Uint8Array): void {
    this.#head(BYTES, value.length, value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  /** A byte string. @param value in hex */
  hex(value: string): void {
    const bytes = value.length >>> 1;
    this.#head(BYTES, bytes, bytes);
    this.#at += this.#buffer.write(value, this.#at, 'hex');
  }

  bool(value: boolean): void {
    this.#simple(value ? TRUE : FALSE);
  }

  null(): void {
    this.#simple(NULL);
  }

  /** So many items follow. */
  array(count: number): void {
    this.#head(ARRAY, count);
  }

  /** So many entries follow, each a text and a value. */
  map(count: number): void {
    this.#head(MAP, count);
  }

  /**
   * A map of at most 23 entries, the number of which is known only when they are written.
   *
   * @returns where it begins, for `endMap`
   */
  beginMap(): number {
    this.#simple(MAP);
    return this.#at - 1;
  }

  endMap(begin: number, count: number): void {
    if (count > MAX_SHORT_COUNT) throw new RangeError(`${count} entries are too many`);
    this.#buffer[begin] = MAP | count;
  }

  /** @returns whether it was written: it is ASCII */
  #ascii(value: string): boolean {
    const start = this.#at;
    this.#head(TEXT, value.length, value.length);
    const buffer = this.#buffer;
    let at = this.#at;
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 0x7f) {
        this.#at = start;
        return false;
      }
      buffer[at++] = unit;
    }
    this.#at = at;
    return true;
  }

  #simple(byte: number): void {
    this.#need(1);
    this.#buffer[this.#at++] = byte;
  }

  /** A head of the shortest form. @param content bytes that follow */
  #head(major: number, argument: number, content = 0): void {
    this.#need(MAX_HEAD_BYTES + content);
    const buffer = this.#buffer;
    let at = this.#at;
    if (argument < 24) {
      buffer[at++] = major | argument;
    } else if (argument < 0x100) {
      buffer[at++] = major | 24;
      buffer[at++] = argument;
    } else if (argument < 0x10000) {
      buffer[at++] = major | 25;
      buffer[at++] = argument >>> 8;
      buffer[at++] = argument;
    } else if (argument < 0x1_0000_0000) {
      buffer[at++] = major | 26;
      at = buffer.writeUInt32BE(argument, at);
    } else {
      buffer[at++] = major | 27;
      at = buffer.writeUInt32BE(Math.floor(argument / 0x1_0000_0000), at);
      at = buffer.writeUInt32BE(argument % 0x1_0000_0000, at);
    }
    this.#at = at;
  }

  #need(bytes: number): void {
    const least = this.#at + bytes;
    if (least <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(least, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = larger;
  }
}
