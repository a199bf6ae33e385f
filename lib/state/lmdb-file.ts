/**
 * Checks an LMDB data file before LMDB maps it into memory: one of another format, or shorter than its
 * header says, would end the process with a signal instead of an error.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { systemCode } from '../errors.js';

const MAGIC = 0xbeefc0de;
/** Offsets in a meta page (MDB_page's header, then MDB_meta; lmdb's mdb.c). */
const MAGIC_AT = 24;
const PAGE_SIZE_AT = 48;
const LAST_PAGE_AT = 144;
const TRANSACTION_AT = 152;
const META_BYTES = 160;

/** What is wrong with the file, as far as its size and header tell. A file that does not exist is sound. */
export function damageOf(file: string): string | undefined {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size } = fstatSync(fd);
    // Created, and the machine stopped before anything was written.
    if (size === 0) return undefined;
    const first = readMeta(fd, 0);
    if (first === undefined) return 'its header is not one of LMDB';
    const second = readMeta(fd, first.pageSize);
    const last = second !== undefined && second.transaction > first.transaction ? second : first;
    const wanted = (last.lastPage + 1) * first.pageSize;
    return size < wanted ? `it has ${size} bytes and should have ${wanted}` : undefined;
  } finally {
    closeSync(fd);
  }
}

function readMeta(
  fd: number,
  position: number,
): { pageSize: number; lastPage: number; transaction: number } | undefined {
  const meta = Buffer.alloc(META_BYTES);
  if (readSync(fd, meta, 0, META_BYTES, position) < META_BYTES) return undefined;
  const pageSize = meta.readUInt32LE(PAGE_SIZE_AT);
  if (meta.readUInt32LE(MAGIC_AT) !== MAGIC) return undefined;
  // A power of two from 256 bytes to 64 KiB.
  if (pageSize < 256 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) return undefined;
  return {
    pageSize,
    lastPage: Number(meta.readBigUInt64LE(LAST_PAGE_AT)),
    transaction: Number(meta.readBigUInt64LE(TRANSACTION_AT)),
  };
}
