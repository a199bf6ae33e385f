/** Tar as POSIX.1-2001 has it (pax): ustar, with a header of its own for what does not fit in there. */
import type { Archive, Entry } from './archive.js';

const BLOCK = 512;
/** Bytes of the name and of the folder before it. */
const NAME_BYTES = 100;
/** The largest number in eleven octal digits. */
const MAX_SIZE = 8 ** 11 - 1;

export class Tar implements Archive {
  readonly needsCrc = false;
  readonly length: number;
  readonly #entries: readonly Entry[];

  constructor(entries: readonly Entry[]) {
    this.#entries = entries;
    const bytes = entries.map(
      (entry) => paxOf(entry).length + BLOCK + entry.size + padding(entry.size),
    );
    this.length = bytes.reduce((sum, one) => sum + one, 2 * BLOCK);
  }

  before(index: number): Uint8Array {
    const entry = this.#at(index);
    return Buffer.concat([paxOf(entry), header(entry, '0')]);
  }

  after(index: number): Uint8Array {
    return Buffer.alloc(padding(this.#at(index).size));
  }

  end(): Iterable<Uint8Array> {
    return [Buffer.alloc(2 * BLOCK)];
  }

  #at(index: number): Entry {
    const entry = this.#entries[index];
    if (entry === undefined) throw new RangeError('no such entry');
    return entry;
  }
}

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

function header({ path, size, modified }: Entry, type: '0' | 'x'): Buffer {
  const block = Buffer.alloc(BLOCK);
  // What is too long stands in the header before it.
  block.write(path, 0, NAME_BYTES);
  const octal = (value: number, at: number, digits: number): void => {
    block.write(value.toString(8).padStart(digits, '0'), at, digits, 'latin1');
  };
  octal(0o644, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(Math.min(size, MAX_SIZE), 124, 11);
  octal(Math.min(modified, MAX_SIZE), 136, 11);
  block.write(`        ${type}`, 148, 'latin1');
  block.write('ustar\x0000', 257, 'latin1');
  octal(
    block.reduce((sum, byte) => sum + byte, 0),
    148,
    6,
  );
  block[154] = 0;
  return block;
}

/** The extended header of an entry that needs one. */
function paxOf({ path, size, modified }: Entry): Buffer {
  // Only ASCII means the same everywhere in a header.
  const isPlain = /^[\x20-\x7e]*$/.test(path) && path.length <= NAME_BYTES;
  const records = [
    ...(isPlain ? [] : [record('path', path)]),
    ...(size <= MAX_SIZE ? [] : [record('size', String(size))]),
  ];
  if (records.length === 0) return Buffer.alloc(0);
  const body = Buffer.from(records.join(''));
  const head = header({ path: 'pax', size: body.length, modified }, 'x');
  return Buffer.concat([head, body, Buffer.alloc(padding(body.length))]);
}

/** `length key=value\n`, where the length counts itself. */
function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let length = bytes + 1;
  while (bytes + String(length).length !== length) length = bytes + String(length).length;
  return `${length}${rest}`;
}
