import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { HASH_BYTES } from '../../wire/limits.js';
import type { FileMatch } from '../../wire/messages.js';

/** Files that are packed together. */
const PACK_FILES = 1024;

interface Pack {
  /** Of each file path, size and time, NUL between them, compressed: those of one folder have much in common. */
  readonly texts: Buffer;
  readonly hashes: Buffer;
}

/** Texts of a file in a pack. */
const TEXTS = 3;

/**
 * Files that a peer lists, by number: a million take 60 MB, where objects would take 400. They are best
 * read in order.
 */
export class PackedFiles {
  readonly #packs: Pack[] = [];
  /** The texts of the pack that was read last. */
  #read: { pack: Pack; texts: readonly string[] } | undefined;
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
    const [path = '', size, modified] = this.#texts(pack, within);
    const hash = pack.hashes.toString('hex', within * HASH_BYTES, (within + 1) * HASH_BYTES);
    const file = { path, hash, size: Number(size) };
    return modified === '' ? file : { ...file, modified: Number(modified) };
  }

  /** @throws RangeError */
  pathAt(i: number): string {
    const { pack, within } = this.#place(i);
    return pack === undefined ? this.#opened(within).path : (this.#texts(pack, within)[0] ?? '');
  }

  #texts(pack: Pack, within: number): readonly string[] {
    if (this.#read?.pack !== pack) {
      this.#read = { pack, texts: inflateRawSync(pack.texts).toString().split('\0') };
    }
    return this.#read.texts.slice(within * TEXTS, (within + 1) * TEXTS);
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
  const texts = files.flatMap(({ path, size, modified = '' }) => [path, size, modified]);
  return {
    // A copy: what zlib gives lies in a larger piece of memory.
    texts: Buffer.from(deflateRawSync(texts.join('\0'), { level: 1 })),
    hashes: Buffer.from(files.map(({ hash }) => hash).join(''), 'hex'),
  };
}
