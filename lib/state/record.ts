/** A file's record in the store: its identity when it was hashed, its hash, its path. */
import type { FileIdentity } from '../disk/open.js';
import { HASH_BYTES } from '../wire/limits.js';

export interface StoredFile {
  path: string;
  /** The root, 32 bytes. */
  hash: Uint8Array;
  identity: FileIdentity;
}

/** Bytes before the path in a file's record: hash, size, mtime, birth, ino. */
const RECORD_HEAD = HASH_BYTES + 4 * 8;

/** Numbers of one record, in the machine's byte order, which is little-endian wherever Node runs. */
const scratch = new BigUint64Array(4);
const scratchBytes = new Uint8Array(scratch.buffer);

export function encodeRecord({ path, hash, identity }: StoredFile): Buffer {
  const record = Buffer.allocUnsafe(RECORD_HEAD + Buffer.byteLength(path));
  record.set(hash, 0);
  scratch[0] = BigInt(identity.size);
  scratch[1] = BigInt.asUintN(64, identity.mtimeNs);
  scratch[2] = BigInt.asUintN(64, identity.birthNs);
  scratch[3] = BigInt.asUintN(64, identity.ino);
  record.set(scratchBytes, HASH_BYTES);
  record.write(path, RECORD_HEAD);
  return record;
}

/**
 * @param record memory that the store uses again for the next
 * @param length bytes of it
 * @returns undefined when it is too short to be one
 */
export function decodeRecord(record: Buffer, length: number): StoredFile | undefined {
  if (length <= RECORD_HEAD) return undefined;
  // One by one: a view of the record costs several times as much, and there may be a million.
  const hash = new Uint8Array(HASH_BYTES);
  for (let i = 0; i < HASH_BYTES; i++) hash[i] = record[i] ?? 0;
  return {
    hash,
    identity: {
      size: Number(record.readBigUInt64LE(HASH_BYTES)),
      mtimeNs: record.readBigInt64LE(HASH_BYTES + 8),
      birthNs: record.readBigInt64LE(HASH_BYTES + 16),
      ino: record.readBigUInt64LE(HASH_BYTES + 24),
    },
    path: record.toString('utf8', RECORD_HEAD, length),
  };
}
