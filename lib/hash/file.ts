/**
 * Hash files with synchronous reads. Runs inside a worker of the pool, where waiting for the disk
 * holds up nobody else.
 */
import { closeSync, fstatSync, readSync } from 'node:fs';
import { identityOf, sameContent, type FileIdentity, type FolderOpener } from '../disk/open.js';
import { BLOCK_BYTES, blockCount, blockLength } from '../wire/body.js';
import { HASH_BYTES } from '../wire/limits.js';
import { asError, systemCode } from '../errors.js';
import { allocateReadBuffer } from '../support/memory.js';
import { hashBlock } from './blake3.js';

/** Hash the blocks [first, first + count) of a file; the whole file when neither is given. */
export interface HashJob {
  path: string;
  first?: number;
  count?: number;
  /** What the file must be for the part to make sense; read from the file when not given. */
  expect?: FileIdentity;
}

export type HashResult =
  | { status: 'hashed'; identity: FileIdentity; blockHashes: Uint8Array }
  /** The file was written to meanwhile, or is not what was expected. */
  | { status: 'changed' }
  | { status: 'failed'; code: string; message: string };

/** The code of a file that does not have as many bytes as its size says: those of proc(5) and sysfs(5). */
export const WRONG_SIZE = 'ERR_WRONG_SIZE';

// One buffer a worker: a block stays in the cache between the read and the hash.
let buffer: Buffer | undefined;

export function hashFile(opener: FolderOpener, job: HashJob): HashResult {
  let opened: { fd: number; identity: FileIdentity };
  try {
    opened = opener.open(job.path);
  } catch (error) {
    return failed(error);
  }
  try {
    return hashOpen(opened.fd, opened.identity, job);
  } catch (error) {
    return failed(error);
  } finally {
    closeSync(opened.fd);
  }
}

function hashOpen(fd: number, identity: FileIdentity, job: HashJob): HashResult {
  if (job.expect !== undefined && !sameContent(identity, job.expect)) return { status: 'changed' };
  const { size } = identity;
  const first = job.first ?? 0;
  const count = job.count ?? blockCount(size);
  const blockHashes = new Uint8Array(count * HASH_BYTES);
  // Room for one byte too many, which only a file has whose size is wrong.
  buffer ??= allocateReadBuffer(BLOCK_BYTES + 1);
  let hasRightSize = true;
  for (let i = 0; i < count && hasRightSize; i++) {
    const length = blockLength(size, first + i);
    const position = (first + i) * BLOCK_BYTES;
    const room = length + (position + length === size ? 1 : 0);
    hasRightSize = read(fd, buffer.subarray(0, room), length, position) === length;
    blockHashes.set(hashBlock(buffer.subarray(0, length)), i * HASH_BYTES);
  }
  const after = identityOf(fstatSync(fd, { bigint: true }));
  if (!sameContent(identity, after)) return { status: 'changed' };
  return hasRightSize
    ? { status: 'hashed', identity, blockHashes }
    : {
        status: 'failed',
        code: WRONG_SIZE,
        message: 'it has more or fewer bytes than its size says',
      };
}

/** @returns bytes read: at least `wanted`, unless the file ends before */
function read(fd: number, into: Uint8Array, wanted: number, position: number): number {
  let filled = 0;
  do {
    const n = readSync(fd, into, filled, into.length - filled, position + filled);
    if (n === 0) break;
    filled += n;
  } while (filled < wanted);
  return filled;
}

function failed(error: unknown): HashResult {
  return {
    status: 'failed',
    code: systemCode(error) ?? 'ERR_INTERNAL',
    message: asError(error).message,
  };
}
