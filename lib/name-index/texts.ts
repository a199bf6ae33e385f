/**
 * Names in an arena, each in its folded form, and in the original one where that differs. Nothing is
 * made to read one: a text is an address, and its bytes are where these functions say.
 */
import { Arena, offsetOf } from './arena.js';

// A text: bytes folded (2), bytes of the original (2; 0: it is the same), then both forms.
const TEXT_HEAD = 4;

export class Texts {
  readonly #arena = new Arena();

  /** Keep the name that is in `folded` and `original` between these places. */
  put(
    folded: Uint8Array,
    from: number,
    to: number,
    original: Uint8Array,
    originalFrom: number,
    originalTo: number,
  ): number {
    const n = to - from;
    let other = originalTo - originalFrom;
    if (other === n && difference(folded, from, to, original, originalFrom, originalTo) === 0) {
      other = 0;
    }
    const text = this.#arena.take(TEXT_HEAD + n + other);
    const slab = this.#arena.slab(text);
    let at = offsetOf(text);
    slab[at++] = n;
    slab[at++] = n >>> 8;
    slab[at++] = other;
    slab[at++] = other >>> 8;
    // Names are short: a loop is faster than a call.
    for (let i = 0; i < n; i++) slab[at++] = folded[from + i] ?? 0;
    for (let i = 0; i < other; i++) slab[at++] = original[originalFrom + i] ?? 0;
    return text;
  }

  release(text: number): void {
    const slab = this.#arena.slab(text);
    const at = offsetOf(text);
    this.#arena.release(text, TEXT_HEAD + uint16At(slab, at) + uint16At(slab, at + 2));
  }

  slab(text: number): Buffer {
    return this.#arena.slab(text);
  }

  /** Whether the original form is this. */
  isOriginal(text: number, bytes: Uint8Array, from: number, to: number): boolean {
    const slab = this.#arena.slab(text);
    const at = originalAt(slab, text);
    const end = at + originalBytes(slab, text);
    return end - at === to - from && difference(slab, at, end, bytes, from, to) === 0;
  }
}

/** Where the folded form begins in the slab. */
export function foldedAt(text: number): number {
  return offsetOf(text) + TEXT_HEAD;
}

export function foldedBytes(slab: Uint8Array, text: number): number {
  return uint16At(slab, offsetOf(text));
}

export function originalAt(slab: Uint8Array, text: number): number {
  const at = offsetOf(text);
  return at + TEXT_HEAD + (uint16At(slab, at + 2) === 0 ? 0 : uint16At(slab, at));
}

export function originalBytes(slab: Uint8Array, text: number): number {
  const at = offsetOf(text);
  return uint16At(slab, at + 2) || uint16At(slab, at);
}

function uint16At(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
}

/** How bytes differ in what they have in common, in the order of UTF-16 code units. */
export function difference(
  a: Uint8Array,
  aFrom: number,
  aTo: number,
  b: Uint8Array,
  bFrom: number,
  bTo: number,
): number {
  const end = Math.min(aTo, aFrom + bTo - bFrom);
  for (let i = aFrom, j = bFrom; i < end; i++, j++) {
    const x = a[i] ?? 0;
    const y = b[j] ?? 0;
    if (x !== y) return order(x) - order(y);
  }
  return 0;
}

/** U+E000 to U+FFFF (EE and EF) come behind the surrogates, that is, behind F0 to F4. */
function order(byte: number): number {
  return (byte & 0xfe) === 0xee ? byte + 0x10 : byte;
}
