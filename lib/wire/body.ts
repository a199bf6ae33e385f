/**
 * The shape of the block tree, which follows from the file's size alone, and the order in which a
 * range of it travels behind the ACKN of an RQFH. Arithmetic only: no hash, no file, no socket.
 *
 * Level 0 are the blocks, level k + 1 are lists of up to 1024 hashes of level k; the top level has
 * one node, the root, whose hash is the file's. PROTOCOL.md describes it with examples.
 */
import { HASH_BYTES } from './limits.js';

/** Bytes of a block. */
export const BLOCK_BYTES = 256 * 1024;
/** Hashes in a list. */
export const LIST_HASHES = 1024;
/** Bytes of a full list. */
export const LIST_BYTES = LIST_HASHES * HASH_BYTES;

/** Number of nodes on each level, from the blocks up to the root (which is 1). */
export function levelCounts(size: number): number[] {
  const counts = [Math.max(1, Math.ceil(size / BLOCK_BYTES))];
  for (let n = counts[0] ?? 1; n > 1;) {
    n = Math.ceil(n / LIST_HASHES);
    counts.push(n);
  }
  return counts;
}

/** Number of blocks of a file of `size` bytes; an empty file has one, of no bytes. */
export function blockCount(size: number): number {
  return Math.max(1, Math.ceil(size / BLOCK_BYTES));
}

/** Bytes of block `index` in a file of `size` bytes. */
export function blockLength(size: number, index: number): number {
  return Math.min(BLOCK_BYTES, size - index * BLOCK_BYTES);
}

/** A part of a body. Consecutive blocks under one list are one part. */
export type BodyPart =
  | { kind: 'list'; level: number; index: number; bytes: number }
  | { kind: 'blocks'; first: number; count: number; bytes: number };

/** The first and last block that hold bytes of a range; undefined when the range is empty. */
function blockSpan(offset: number, length: number): { first: number; last: number } | undefined {
  if (length === 0) return undefined;
  return {
    first: Math.floor(offset / BLOCK_BYTES),
    last: Math.floor((offset + length - 1) / BLOCK_BYTES),
  };
}

/**
 * The parts of the body that carries `length` bytes at `offset` of a file of `size` bytes, in
 * pre-order: a list before what it covers, only lists above the range's blocks. An empty range has
 * no parts.
 */
export function* bodyParts(size: number, offset: number, length: number): Generator<BodyPart> {
  const span = blockSpan(offset, length);
  if (span === undefined) return;
  const counts = levelCounts(size);
  yield* partsBelow(size, counts, counts.length - 1, 0, span);
}

function* partsBelow(
  size: number,
  counts: readonly number[],
  level: number,
  index: number,
  span: { first: number; last: number },
): Generator<BodyPart> {
  if (level === 0) {
    yield { kind: 'blocks', first: 0, count: 1, bytes: blockLength(size, 0) };
    return;
  }
  const firstChild = index * LIST_HASHES;
  const endChild = Math.min(firstChild + LIST_HASHES, counts[level - 1] ?? 0);
  yield { kind: 'list', level, index, bytes: (endChild - firstChild) * HASH_BYTES };
  // Blocks that one child covers; all blocks of children [from, to] that the range touches follow.
  const covers = LIST_HASHES ** (level - 1);
  const from = Math.max(firstChild, Math.floor(span.first / covers));
  const to = Math.min(endChild - 1, Math.floor(span.last / covers));
  if (level === 1) {
    const bytes = Math.min(size, (to + 1) * BLOCK_BYTES) - from * BLOCK_BYTES;
    yield { kind: 'blocks', first: from, count: to - from + 1, bytes };
    return;
  }
  for (let child = from; child <= to; child++) {
    yield* partsBelow(size, counts, level - 1, child, span);
  }
}

/** Bytes of a body on the wire: lists and whole blocks. */
export function bodyBytes(size: number, offset: number, length: number): number {
  const span = blockSpan(offset, length);
  if (span === undefined) return 0;
  const counts = levelCounts(size);
  let bytes = Math.min(size, (span.last + 1) * BLOCK_BYTES) - span.first * BLOCK_BYTES;
  for (let level = 1; level < counts.length; level++) {
    const covers = LIST_HASHES ** level;
    const from = Math.floor(span.first / covers);
    const to = Math.floor(span.last / covers);
    const children = Math.min((to + 1) * LIST_HASHES, counts[level - 1] ?? 0) - from * LIST_HASHES;
    bytes += children * HASH_BYTES;
  }
  return bytes;
}
