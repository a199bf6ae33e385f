/** Which blocks of a file are there: a bitmap, in pages that exist only where a bit was ever set. */

/** Blocks of a page: 4 KiB of memory for 8 GiB of a file. */
const PAGE_BLOCKS = 32 * 1024;
/** Blocks of a word of a page. */
const WORD_BLOCKS = 32;

/** Consecutive blocks. */
export interface BlockRun {
  first: number;
  count: number;
}

/**
 * A set of block numbers from 0 to `count` - 1. `count` follows from the size that a peer claims: memory
 * is taken for what is added, not for what is claimed.
 */
export class BlockSet {
  /** Blocks of the file: no number in the set is as high. */
  readonly count: number;
  readonly #pages = new Map<number, Uint32Array>();
  #size = 0;

  constructor(count: number) {
    this.count = count;
  }

  /** How many blocks are in the set. */
  get size(): number {
    return this.#size;
  }

  has(block: number): boolean {
    const page = this.#pages.get(Math.floor(block / PAGE_BLOCKS));
    if (page === undefined) return false;
    const { word, bit } = placeOf(block);
    return ((page[word] ?? 0) & bit) !== 0;
  }

  /** @throws RangeError when the file has no such block */
  add(block: number): void {
    if (!Number.isSafeInteger(block) || block < 0 || block >= this.count) {
      throw new RangeError(`block ${block} of ${this.count}`);
    }
    const index = Math.floor(block / PAGE_BLOCKS);
    let page = this.#pages.get(index);
    if (page === undefined) {
      page = new Uint32Array(PAGE_BLOCKS / WORD_BLOCKS);
      this.#pages.set(index, page);
    }
    const { word, bit } = placeOf(block);
    const before = page[word] ?? 0;
    if ((before & bit) !== 0) return;
    page[word] = before | bit;
    this.#size++;
  }

  delete(block: number): void {
    const page = this.#pages.get(Math.floor(block / PAGE_BLOCKS));
    if (page === undefined || !this.has(block)) return;
    const { word, bit } = placeOf(block);
    page[word] = (page[word] ?? 0) & ~bit;
    this.#size--;
  }

  /**
   * The runs of blocks within [from, to) that are not in the set, each as long as it can be, in order.
   * Blocks that are added or deleted meanwhile count if the generator has not come to them.
   */
  *missing(from = 0, to = this.count): Generator<BlockRun, void, void> {
    const end = Math.min(to, this.count);
    for (let at = Math.max(0, from); at < end;) {
      const first = this.#next(at, end, false);
      if (first === end) return;
      at = this.#next(first, end, true);
      yield { first, count: at - first };
    }
  }

  /** The first block from `from` on that is in the set, or is not; `end` when there is none before it. */
  #next(from: number, end: number, present: boolean): number {
    for (let at = from; at < end;) {
      const index = Math.floor(at / PAGE_BLOCKS);
      const page = this.#pages.get(index);
      if (page === undefined) {
        if (!present) return at;
        at = (index + 1) * PAGE_BLOCKS;
        continue;
      }
      const { word, shift } = placeOf(at);
      const bits = page[word] ?? 0;
      const sought = (present ? bits : ~bits) >>> shift;
      // `sought & -sought` is its lowest bit alone.
      if (sought !== 0) return Math.min(end, at + 31 - Math.clz32(sought & -sought));
      at += WORD_BLOCKS - shift;
    }
    return end;
  }
}

/** Where the bit of a block is, in its page. */
function placeOf(block: number): { word: number; shift: number; bit: number } {
  const within = block % PAGE_BLOCKS;
  const shift = within % WORD_BLOCKS;
  return { word: (within - shift) / WORD_BLOCKS, shift, bit: 1 << shift };
}
