/**
 * A hash table from keys to slots (small dense integers) that stores no keys: these lie in columns
 * beside it, and it asks. A million entries cost 16 to 24 bytes each and no object.
 *
 * Slots with equal keys hang on a list behind the one that is in the table, so that a hundred
 * thousand copies of one file cost no more than others.
 */

const NONE = -1;
/** Where an entry was removed: the search continues behind it. */
const GONE = -2;

export class SlotTable {
  readonly #hashOf: (slot: number) => number;
  readonly #same: (a: number, b: number) => boolean;
  #table = new Int32Array(1024).fill(NONE);
  /** Entries of the table in use, and removed. */
  #used = 0;
  #gone = 0;
  #next = new Int32Array(0);
  #previous = new Int32Array(0);

  /**
   * @param hashOf 32 bits that are equal when the keys of two slots are
   * @param same whether two slots have equal keys
   */
  constructor(hashOf: (slot: number) => number, same: (a: number, b: number) => boolean) {
    this.#hashOf = hashOf;
    this.#same = same;
  }

  add(slot: number): void {
    this.#reserve(slot);
    const hash = this.#hashOf(slot);
    const at = this.#find(hash, (other) => this.#same(slot, other));
    const head = this.#table[at] ?? NONE;
    this.#previous[slot] = NONE;
    if (head >= 0) {
      // Behind the head: the table need not change.
      const second = this.#next[head] ?? NONE;
      this.#next[head] = slot;
      this.#previous[slot] = head;
      this.#next[slot] = second;
      if (second >= 0) this.#previous[second] = slot;
      return;
    }
    this.#next[slot] = NONE;
    this.#table[at] = slot;
    this.#used++;
    if ((this.#used + this.#gone) * 4 > this.#table.length * 3) this.#rehash();
  }

  /** The slot must be in the table, and its key as it was when it was added. */
  remove(slot: number): void {
    const previous = this.#previous[slot] ?? NONE;
    const next = this.#next[slot] ?? NONE;
    if (next >= 0) this.#previous[next] = previous;
    if (previous >= 0) {
      this.#next[previous] = next;
      return;
    }
    const at = this.#find(this.#hashOf(slot), (other) => other === slot);
    this.#table[at] = next >= 0 ? next : GONE;
    if (next < 0) {
      this.#used--;
      this.#gone++;
    }
  }

  /** The first slot whose key has this hash and matches, or -1. */
  first(hash: number, matches: (slot: number) => boolean): number {
    const slot = this.#table[this.#find(hash, matches)] ?? NONE;
    return slot >= 0 ? slot : NONE;
  }

  /** The next slot with the same key, or -1. */
  next(slot: number): number {
    return this.#next[slot] ?? NONE;
  }

  /** Where the matching slot is, or else where it would go. */
  #find(hash: number, matches: (slot: number) => boolean): number {
    const mask = this.#table.length - 1;
    let free = NONE;
    for (let at = spread(hash) & mask; ; at = (at + 1) & mask) {
      const slot = this.#table[at] ?? NONE;
      if (slot === NONE) return free === NONE ? at : free;
      if (slot === GONE) {
        if (free === NONE) free = at;
      } else if (matches(slot)) {
        return at;
      }
    }
  }

  #rehash(): void {
    const old = this.#table;
    const wanted = this.#used * 2 > old.length ? old.length * 2 : old.length;
    this.#table = new Int32Array(wanted).fill(NONE);
    this.#gone = 0;
    const mask = wanted - 1;
    for (const slot of old) {
      if (slot < 0) continue;
      let at = spread(this.#hashOf(slot)) & mask;
      while ((this.#table[at] ?? NONE) >= 0) at = (at + 1) & mask;
      this.#table[at] = slot;
    }
  }

  #reserve(slot: number): void {
    if (slot < this.#next.length) return;
    const length = Math.max(1024, slot + 1, this.#next.length * 2);
    const next = new Int32Array(length);
    const previous = new Int32Array(length);
    next.set(this.#next);
    previous.set(this.#previous);
    this.#next = next;
    this.#previous = previous;
  }
}

/** Keys may differ in their high bits only (inode numbers, for example). */
function spread(hash: number): number {
  let h = hash | 0;
  h = Math.imul(h ^ (h >>> 16), 0x45d9f3b);
  h = Math.imul(h ^ (h >>> 16), 0x45d9f3b);
  return (h ^ (h >>> 16)) >>> 0;
}
