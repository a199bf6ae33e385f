/** Memory that one search after the other uses: to allocate it would take most of their time. */
import { grown } from './arena.js';

export class Scratch {
  /** By term, what is known of folders. */
  readonly folders: Uint8Array[] = [];
  /** A list that is being read. */
  list = new Uint32Array(1024);
  /** Bits by id: files in whose own name the term at hand is, and of those where it is a word. */
  seen = new Uint32Array(64);
  words = new Uint32Array(64);
  /** Bits by id: files that were counted one by one. */
  counted = new Uint32Array(64);
  /** Files that may match, and for each: terms that are no word in it * 256 + terms not in its name. */
  ids = new Uint32Array(64);
  scores = new Uint16Array(64);

  /** Clear bits for so many ids. */
  clear(name: 'seen' | 'words' | 'counted', ids: number): void {
    const size = (ids >>> 5) + 1;
    this[name] = grown(this[name], size);
    this[name].fill(0, 0, size);
  }

  /** Give memory back that is rarely needed. */
  trim(): void {
    if (this.ids.length <= MANY) return;
    this.ids = new Uint32Array(64);
    this.scores = new Uint16Array(64);
  }
}

/** Files that may match, in most searches at most so many. */
const MANY = 65_536;

export function setBit(bits: Uint32Array, at: number): void {
  bits[at >>> 5] = (bits[at >>> 5] ?? 0) | (1 << (at & 31));
}

export function clearBit(bits: Uint32Array, at: number): void {
  bits[at >>> 5] = (bits[at >>> 5] ?? 0) & ~(1 << (at & 31));
}

export function hasBit(bits: Uint32Array, at: number): boolean {
  return (((bits[at >>> 5] ?? 0) >>> (at & 31)) & 1) !== 0;
}
