import { HASH_BYTES } from '../../wire/limits.js';
import type { FileMatch } from '../../wire/messages.js';

/** Files that are packed together. */
const PACK_FILES = 1024;

interface Pack {
  /** UTF-8, one behind the other. */
  readonly paths: Buffer;
  /** Where each path ends. */
  readonly ends: Uint32Array;
  readonly hashes: Buffer;
  readonly sizes: Float64Array;
  /** NaN: not known. */
  readonly modified: Float64Array;
}

/** Files that a peer lists, by number: a million take 100 MB, where objects would take 400. */
export class PackedFiles {
  readonly #packs: Pack[] = [];
  /** Those that do not fill a pack yet. */
  #open: FileMatch[] = [];

  get count(): number {
    return this.#packs.length * PACK_FILES + this.#open.length;
  }

  add(file: FileMatch): void {
    this.#open.push(file);
    if (this.#open.length < PACK_FILES) return;
    this.#packs.push(pack(this.#open));
    this.#open = [];
  }

  /** @throws RangeError */
  at(i: number): FileMatch {
    const { pack, within } = this.#place(i);
    if (pack === undefined) return this.#opened(within);
    const hash = pack.hashes.toString('hex', within * HASH_BYTES, (within + 1) * HASH_BYTES);
    const modified = pack.modified[within] ?? NaN;
    const file = { path: pathOf(pack, within), hash, size: pack.sizes[within] ?? 0 };
    return Number.isNaN(modified) ? file : { ...file, modified };
  }

  /** @throws RangeError */
  pathAt(i: number): string {
    const { pack, within } = this.#place(i);
    return pack === undefined ? this.#opened(within).path : pathOf(pack, within);
  }

  #place(i: number): { pack: Pack | undefined; within: number } {
    return { pack: this.#packs[Math.floor(i / PACK_FILES)], within: i % PACK_FILES };
  }

  #opened(within: number): FileMatch {
    const file = this.#open[within];
    if (file === undefined) throw new RangeError('no such file');
    return file;
  }
}

function pack(files: readonly FileMatch[]): Pack {
  const ends = new Uint32Array(files.length);
  let end = 0;
  for (const [i, { path }] of files.entries()) ends[i] = end += Buffer.byteLength(path);
  return {
    paths: Buffer.from(files.map(({ path }) => path).join('')),
    ends,
    hashes: Buffer.from(files.map(({ hash }) => hash).join(''), 'hex'),
    sizes: Float64Array.from(files, ({ size }) => size),
    modified: Float64Array.from(files, ({ modified = NaN }) => modified),
  };
}

function pathOf({ paths, ends }: Pack, i: number): string {
  return paths.toString('utf8', i === 0 ? 0 : ends[i - 1], ends[i]);
}
