/**
 * Many small pieces of memory without an object for each: pieces are cut from slabs of 1 MiB, and
 * given back to lists of pieces of the same size. An address is a number; 0 is no piece.
 */

const SLAB_BYTES = 2 ** 20;
/** Pieces are multiples of this. */
const UNIT = 8;
const UNITS_BITS = 17;
const UNIT_MASK = 2 ** UNITS_BITS - 1;

/** Bytes of the largest piece. */
export const MAX_PIECE_BYTES = 64 * 1024;

export class Arena {
  readonly #slabs: Buffer[] = [];
  /** By size in units: the first free piece. It holds the address of the next. */
  readonly #free = new Uint32Array(MAX_PIECE_BYTES / UNIT + 1);
  /** Where nothing was cut from the last slab yet, in units. */
  #top = UNIT_MASK + 1;

  /** @returns the address of a piece of at least so many bytes, with whatever was there before */
  take(bytes: number): number {
    if (bytes > MAX_PIECE_BYTES) throw new RangeError(`a piece of ${bytes} bytes is too large`);
    const units = Math.max(1, Math.ceil(bytes / UNIT));
    const free = this.#free[units] ?? 0;
    if (free !== 0) {
      this.#free[units] = this.slab(free).readUInt32LE(offsetOf(free));
      return free;
    }
    if (this.#top + units > UNIT_MASK + 1) {
      this.#top = this.#slabs.length === 0 ? 1 : 0;
      this.#slabs.push(Buffer.from(new ArrayBuffer(SLAB_BYTES)));
    }
    const address = (this.#slabs.length - 1) * 2 ** UNITS_BITS + this.#top;
    this.#top += units;
    return address;
  }

  /** Give a piece back that was taken with this size. */
  release(address: number, bytes: number): void {
    const units = Math.max(1, Math.ceil(bytes / UNIT));
    this.slab(address).writeUInt32LE(this.#free[units] ?? 0, offsetOf(address));
    this.#free[units] = address;
  }

  /** The memory in which a piece lies. */
  slab(address: number): Buffer {
    const slab = this.#slabs[address >>> UNITS_BITS];
    if (slab === undefined) throw new RangeError('no such piece');
    return slab;
  }
}

/** Where a piece begins in its slab. */
export function offsetOf(address: number): number {
  return (address & UNIT_MASK) * UNIT;
}

/** A column of a table, with room for `rows` rows at least. */
export function grown<T extends Uint8Array | Uint16Array | Uint32Array | Int32Array>(
  column: T,
  rows: number,
): T {
  if (rows <= column.length) return column;
  const make = column.constructor as new (length: number) => T;
  const larger = new make(Math.max(rows, Math.ceil(column.length * 1.5), 64));
  larger.set(column);
  return larger;
}
