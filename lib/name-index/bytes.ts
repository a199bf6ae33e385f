/** Folded names as bytes: the form of names.ts in UTF-8, and which kinds of characters are in them. */
import { fold } from './names.js';

export const SLASH = 0x2f;

const LOWER = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte,
);

/** A bit for each of these; digits, other ASCII and all else share one bit each. */
const KINDS = 'abcdefghijklmnopqrstuvwxyz.-_';
const [DIGIT, OTHER, BEYOND] = [29, 30, 31];

const KIND = Int32Array.from({ length: 256 }, (_, byte) => {
  const own = KINDS.indexOf(String.fromCharCode(byte));
  if (byte >= 0x80) return 1 << BEYOND;
  return 1 << (own >= 0 ? own : byte >= 0x30 && byte <= 0x39 ? DIGIT : OTHER);
});

/** 1 for what words are made of: letters and digits, and everything beyond ASCII. */
export const IN_WORD = Uint8Array.from({ length: 256 }, (_, byte) =>
  /[a-z0-9\x80-\xff]/.test(String.fromCharCode(byte)) ? 1 : 0,
);

const folding = { bytes: Buffer.alloc(1024), length: 0 };

/**
 * Fold a path. What this returns is overwritten by the next call.
 *
 * @param utf8 the same path in UTF-8, `bytes` bytes
 */
export function foldBytes(path: string, utf8: Uint8Array, bytes: number): Readonly<typeof folding> {
  // ASCII has nothing to normalise.
  const folded = bytes === path.length ? undefined : fold(path);
  const room = folded === undefined ? bytes : folded.length * 3;
  if (folding.bytes.length < room) folding.bytes = Buffer.alloc(room * 2);
  const to = folding.bytes;
  if (folded === undefined) for (let i = 0; i < bytes; i++) to[i] = LOWER[utf8[i] ?? 0] ?? 0;
  folding.length = folded === undefined ? bytes : to.write(folded, 'utf8');
  return folding;
}

/** Bits for the kinds of characters in bytes. */
export function kindsOf(bytes: Uint8Array, from: number, to: number): number {
  let kinds = 0;
  for (let i = from; i < to; i++) kinds |= KIND[bytes[i] ?? 0] ?? 0;
  return kinds;
}

/** Kinds of the characters with which words begin. The begin of the bytes is that of a word. */
export function kindsOfWordStarts(bytes: Uint8Array, from: number, to: number): number {
  let kinds = 0;
  let inWord = 0;
  for (let i = from; i < to; i++) {
    const byte = bytes[i] ?? 0;
    const is = IN_WORD[byte] ?? 0;
    if (is > inWord) kinds |= KIND[byte] ?? 0;
    inWord = is;
  }
  return kinds;
}

/** Kinds of the characters with which words end. */
export function kindsOfWordEnds(bytes: Uint8Array, from: number, to: number): number {
  let kinds = 0;
  let inWord = 0;
  for (let i = to - 1; i >= from; i--) {
    const byte = bytes[i] ?? 0;
    const is = IN_WORD[byte] ?? 0;
    if (is > inWord) kinds |= KIND[byte] ?? 0;
    inWord = is;
  }
  return kinds;
}

/** Whether the bits say all about a character. */
export function isKind(byte: number): boolean {
  return KINDS.includes(String.fromCharCode(byte));
}

export const NONE = 0;
export const PART = 1;
export const WORD = 2;

/**
 * Whether bytes hold a term.
 *
 * @param closely whether to say more: `WORD` when it is a whole word somewhere, with the ends of the
 *   bytes as ends of words
 * @returns NONE or PART, or WORD
 */
export function seek(
  bytes: Uint8Array,
  from: number,
  to: number,
  term: Uint8Array,
  closely: boolean,
): number {
  const n = term.length;
  const first = term[0];
  const end = to - n;
  let found = NONE;
  for (let i = from; i <= end; i++) {
    if (bytes[i] !== first) continue;
    let j = 1;
    while (j < n && bytes[i + j] === term[j]) j++;
    if (j < n) continue;
    if (!closely) return PART;
    if ((i === from || endsWord(bytes, i)) && (i === end || endsWord(bytes, i + n))) return WORD;
    found = PART;
  }
  return found;
}

/** Whether no word goes across this place. */
export function endsWord(bytes: Uint8Array, at: number): boolean {
  return IN_WORD[bytes[at - 1] ?? 0] === 0 || IN_WORD[bytes[at] ?? 0] === 0;
}
