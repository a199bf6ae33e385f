/**
 * The lists of a file's block tree that are known: what a block on the disk is compared with.
 *
 * A list comes with every body that holds a block below it (PROTOCOL.md, section 5), so whoever wants
 * one asks for a block. Only lists that were verified may be kept here.
 */
import { LIST_HASHES, levelCounts } from '../../wire/body.js';
import { HASH_BYTES } from '../../wire/limits.js';

/** Fetches one block; `keep` is called with every list above it before the promise resolves. */
export type AskForLists = () => Promise<void>;

/** Lists of blocks' hashes that are kept: 32 KiB each. Of the levels above, a 1024th of them, all are. */
const KEPT_GROUPS = 8;

export class BlockHashes {
  readonly #root: Uint8Array;
  /** Level of the root; 0 in a file of one block. */
  readonly #top: number;
  readonly #groups = new Map<number, Uint8Array>();
  readonly #above = new Map<string, Uint8Array>();

  /**
   * @param hash of the file, 32 bytes
   * @param size bytes of the file; a false one makes the lists fail
   */
  constructor(hash: Uint8Array, size: number) {
    this.#root = hash;
    this.#top = levelCounts(size).length - 1;
  }

  /** Keep a list whose hash was right. */
  keep(level: number, index: number, hashes: Uint8Array): void {
    if (level > 1) {
      this.#above.set(`${level} ${index}`, hashes);
      return;
    }
    this.#groups.delete(index);
    this.#groups.set(index, hashes);
    for (const [oldest] of this.#groups) {
      if (this.#groups.size <= KEPT_GROUPS) break;
      this.#groups.delete(oldest);
    }
  }

  /** The hashes of the blocks below list `group` of level 1, 32 bytes each. */
  async group(group: number, ask: AskForLists): Promise<Uint8Array> {
    if (this.#top === 0) return this.#root;
    return this.#groups.get(group) ?? after(ask, () => this.#groups.get(group));
  }

  /** The hash of list `group` of level 1; undefined in a file of one block. */
  async groupHash(group: number, ask: AskForLists): Promise<Uint8Array | undefined> {
    if (this.#top === 0) return undefined;
    if (this.#top === 1) return this.#root;
    const key = `2 ${Math.floor(group / LIST_HASHES)}`;
    const list = this.#above.get(key) ?? (await after(ask, () => this.#above.get(key)));
    return hashAt(list, group % LIST_HASHES);
  }
}

/** Hash number `index` of a list. */
export function hashAt(hashes: Uint8Array, index: number): Uint8Array {
  return hashes.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES);
}

async function after(ask: AskForLists, get: () => Uint8Array | undefined): Promise<Uint8Array> {
  await ask();
  const list = get();
  if (list === undefined) throw new TypeError('the block came without its lists');
  return list;
}
