/**
 * Zip without compression (APPNOTE.TXT 6.3): each file's CRC-32 stands behind it, since it is known only then; what
 * exceeds 4 GiB or 65,535 files is told in the fields of Zip64.
 */
import type { Archive, Entry } from './archive.js';

const MAX_16 = 0xffff;
const MAX_32 = 0xffffffff;
/** Sizes stand behind the file; the name is UTF-8. */
const FLAGS = 0x0808;
/** Versions that can read it: 2.0, and 4.5 where there is Zip64. */
const PLAIN = 20;
const ZIP64 = 45;
/** Made on Unix; a file that everybody may read. */
const MADE_BY = (3 << 8) | ZIP64;
const MODE = 0o100644 << 16;

/** Entries of the directory in one piece. */
const PIECE = 500;

export class Zip implements Archive {
  readonly needsCrc = true;
  readonly length: number;
  readonly #entries: readonly Entry[];
  readonly #names: readonly Buffer[];
  readonly #offsets: Float64Array;
  readonly #crcs: Uint32Array;
  /** Where the directory begins, and its bytes. */
  readonly #directoryAt: number;
  readonly #directoryBytes: number;

  constructor(entries: readonly Entry[]) {
    this.#entries = entries;
    this.#names = entries.map(({ path }) => Buffer.from(path));
    this.#offsets = new Float64Array(entries.length);
    this.#crcs = new Uint32Array(entries.length);
    let at = 0;
    let directory = 0;
    for (const [i, entry] of entries.entries()) {
      const name = this.#names[i]?.length ?? 0;
      this.#offsets[i] = at;
      at += 30 + name + localExtra(entry).length + entry.size + (isLarge(entry) ? 24 : 16);
      directory += 46 + name + centralExtra(entry, this.#offsets[i] ?? 0).length;
    }
    this.#directoryAt = at;
    this.#directoryBytes = directory;
    this.length = at + directory + (this.#needsZip64 ? 76 : 0) + 22;
  }

  before(index: number): Uint8Array {
    const { entry, name } = this.#at(index);
    const extra = localExtra(entry);
    const sizes = isLarge(entry) ? MAX_32 : 0;
    return Buffer.concat([
      numbers([0x04034b50, 4], [versionOf(entry, 0), 2], [FLAGS, 2], [0, 2], ...dosTime(entry)),
      numbers([0, 4], [sizes, 4], [sizes, 4], [name.length, 2], [extra.length, 2]),
      name,
      extra,
    ]);
  }

  after(index: number, crc: number): Uint8Array {
    const { entry } = this.#at(index);
    this.#crcs[index] = crc;
    const width = isLarge(entry) ? 8 : 4;
    return numbers([0x08074b50, 4], [crc, 4], [entry.size, width], [entry.size, width]);
  }

  *end(): Iterable<Uint8Array> {
    for (let from = 0; from < this.#entries.length; from += PIECE) {
      const some = this.#entries.slice(from, from + PIECE);
      yield Buffer.concat(some.map((_, i) => this.#central(from + i)));
    }
    const [at, bytes, count] = [this.#directoryAt, this.#directoryBytes, this.#entries.length];
    if (this.#needsZip64) {
      yield numbers(
        ...([
          [0x06064b50, 4],
          [44, 8],
          [MADE_BY, 2],
          [ZIP64, 2],
          [0, 4],
          [0, 4],
        ] as const),
        ...([
          [count, 8],
          [count, 8],
          [bytes, 8],
          [at, 8],
        ] as const),
        ...([
          [0x07064b50, 4],
          [0, 4],
          [at + bytes, 8],
          [1, 4],
        ] as const),
      );
    }
    const counted = Math.min(count, MAX_16);
    yield numbers(
      ...([
        [0x06054b50, 4],
        [0, 2],
        [0, 2],
        [counted, 2],
        [counted, 2],
      ] as const),
      ...([
        [Math.min(bytes, MAX_32), 4],
        [Math.min(at, MAX_32), 4],
        [0, 2],
      ] as const),
    );
  }

  get #needsZip64(): boolean {
    return (
      this.#entries.length >= MAX_16 ||
      this.#directoryAt >= MAX_32 ||
      this.#directoryBytes >= MAX_32
    );
  }

  #central(index: number): Buffer {
    const { entry, name } = this.#at(index);
    const offset = this.#offsets[index] ?? 0;
    const extra = centralExtra(entry, offset);
    const size = isLarge(entry) ? MAX_32 : entry.size;
    return Buffer.concat([
      numbers([0x02014b50, 4], [MADE_BY, 2], [versionOf(entry, offset), 2], [FLAGS, 2], [0, 2]),
      numbers(...dosTime(entry), [this.#crcs[index] ?? 0, 4], [size, 4], [size, 4]),
      numbers([name.length, 2], [extra.length, 2], [0, 2], [0, 2], [0, 2], [MODE, 4]),
      numbers([Math.min(offset, MAX_32), 4]),
      name,
      extra,
    ]);
  }

  #at(index: number): { entry: Entry; name: Buffer } {
    const [entry, name] = [this.#entries[index], this.#names[index]];
    if (entry === undefined || name === undefined) throw new RangeError('no such entry');
    return { entry, name };
  }
}

function isLarge({ size }: Entry): boolean {
  return size >= MAX_32;
}

function versionOf(entry: Entry, offset: number): number {
  return isLarge(entry) || offset >= MAX_32 ? ZIP64 : PLAIN;
}

/** The time in UTC ("UT"), which the field for it does not tell; and sizes of Zip64, which stand behind the file. */
function localExtra(entry: Entry): Buffer {
  const large = isLarge(entry) ? numbers([1, 2], [16, 2], [0, 8], [0, 8]) : Buffer.alloc(0);
  return Buffer.concat([timeExtra(entry), large]);
}

function centralExtra(entry: Entry, offset: number): Buffer {
  const fields = [
    ...(isLarge(entry) ? [entry.size, entry.size] : []),
    ...(offset >= MAX_32 ? [offset] : []),
  ].map((value) => [value, 8] as const);
  const large =
    fields.length === 0 ? Buffer.alloc(0) : numbers([1, 2], [8 * fields.length, 2], ...fields);
  return Buffer.concat([timeExtra(entry), large]);
}

function timeExtra({ modified }: Entry): Buffer {
  return numbers([0x5455, 2], [5, 2], [1, 1], [Math.min(modified, 0x7fffffff), 4]);
}

type Field = readonly [value: number, bytes: number];

/** Time and date as DOS has them: from 1980 to 2107, each two seconds. */
function dosTime({ modified }: Entry): [Field, Field] {
  const date = new Date(Math.min(Math.max(modified, 315_532_800), 4_354_819_198) * 1000);
  const time =
    (date.getUTCHours() << 11) | (date.getUTCMinutes() << 5) | (date.getUTCSeconds() >> 1);
  const day =
    ((date.getUTCFullYear() - 1980) << 9) | ((date.getUTCMonth() + 1) << 5) | date.getUTCDate();
  return [
    [time, 2],
    [day, 2],
  ];
}

/** Numbers, low byte first. */
function numbers(...fields: readonly Field[]): Buffer {
  const bytes = Buffer.alloc(fields.reduce((sum, [, width]) => sum + width, 0));
  let at = 0;
  for (const [value, width] of fields) {
    if (width === 8) bytes.writeBigUInt64LE(BigInt(value), at);
    else bytes.writeUIntLE(value >>> 0, at, width);
    at += width;
  }
  return bytes;
}
