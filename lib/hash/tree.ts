/**
 * The hashes of a block tree (wire/body.ts has its shape). Pure.
 */
import { BLOCK_BYTES, LIST_BYTES } from '../wire/body.js';
import { HASH_BYTES } from '../wire/limits.js';
import { hashBlock, hashList } from './blake3.js';

/**
 * The hashes of a tree, level by level: `levels[k]` holds the hashes of level k one after the other,
 * 32 bytes each; the last level is the root alone.
 */
export interface Tree {
  readonly levels: readonly Uint8Array[];
}

/** The lists of a tree, wherever they are kept. */
export interface Lists {
  /** The bytes of list `index` of `level` (1 or higher). */
  list(level: number, index: number): Uint8Array;
}

/** Build all levels from the hashes of the blocks. */
export function buildTree(blockHashes: Uint8Array): Tree {
  const levels = [blockHashes];
  for (let level = blockHashes; level.length > HASH_BYTES;) {
    const above = new Uint8Array(Math.ceil(level.length / LIST_BYTES) * HASH_BYTES);
    for (let at = 0, i = 0; at < level.length; at += LIST_BYTES, i++) {
      above.set(hashList(level.subarray(at, at + LIST_BYTES)), i * HASH_BYTES);
    }
    levels.push(above);
    level = above;
  }
  return { levels };
}

/** The root's 32 bytes. */
export function rootOf(tree: Tree): Uint8Array {
  return tree.levels.at(-1) ?? new Uint8Array(0);
}

/** The bytes of list `index` of `level` (1 or higher): the hashes of what it covers. */
export function listBytes(tree: Tree, level: number, index: number): Uint8Array {
  return (tree.levels[level - 1] ?? new Uint8Array(0)).subarray(
    index * LIST_BYTES,
    (index + 1) * LIST_BYTES,
  );
}

/** Hash a stream of bytes whose length is not known beforehand. */
export class TreeHasher {
  readonly #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #filled = 0;
  #hashes: Uint8Array[] = [];

  update(chunk: Uint8Array): this {
    for (let rest = chunk; rest.length > 0;) {
      if (this.#filled === BLOCK_BYTES) this.#endBlock();
      const n = Math.min(BLOCK_BYTES - this.#filled, rest.length);
      this.#block.set(rest.subarray(0, n), this.#filled);
      this.#filled += n;
      rest = rest.subarray(n);
    }
    return this;
  }

  /** The tree of all bytes given. The hasher must not be used after that. */
  digest(): Tree {
    // The last block is never empty, unless the file is.
    this.#endBlock();
    return buildTree(Buffer.concat(this.#hashes));
  }

  #endBlock(): void {
    this.#hashes.push(hashBlock(this.#block.subarray(0, this.#filled)));
    this.#filled = 0;
  }
}
