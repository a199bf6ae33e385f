/** What of a file is wanted, in bytes and in blocks. Pure. */
import { BLOCK_BYTES } from '../../wire/body.js';
import type { FileHead } from '../../wire/messages.js';
import { grantRange } from '../../wire/range.js';
import { BlockSet, type BlockRun } from '../block-set.js';
import type { ByteRange } from './source.js';

export interface WantedBlocks {
  /** What a peer would grant. */
  readonly head: FileHead;
  /** The blocks that hold bytes of the range: from `first` to `end` - 1. */
  readonly first: number;
  readonly end: number;
}

/** @throws PeerError ERR_RANGE when the range is not inside a file of `size` bytes */
export function wantedBlocks(
  wanted: { offset?: number | undefined; length?: number | undefined },
  size: number,
): WantedBlocks {
  const range = grantRange(wanted, size);
  const { offset, length } = range;
  const first = Math.floor(offset / BLOCK_BYTES);
  const end = length === 0 ? first : Math.ceil((offset + length) / BLOCK_BYTES);
  return { head: { type: 'ACKN', of: 'RQFH', size, ...range }, first, end };
}

/** The bytes of blocks that are inside the range. */
export function bytesOf({ first, count }: BlockRun, { offset, length }: ByteRange): ByteRange {
  const from = Math.max(offset, first * BLOCK_BYTES);
  const to = Math.min(offset + length, (first + count) * BLOCK_BYTES);
  return { offset: from, length: to - from };
}

/** The same blocks in a set for another number of blocks. */
export function copyOf(set: BlockSet | undefined, count: number): BlockSet {
  const copy = new BlockSet(count);
  const end = Math.min(count, set?.count ?? 0);
  let at = 0;
  const addTo = (to: number): void => {
    for (; at < to; at++) copy.add(at);
  };
  for (const run of set?.missing(0, end) ?? []) {
    addTo(run.first);
    at = run.first + run.count;
  }
  addTo(end);
  return copy;
}
