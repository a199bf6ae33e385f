/** Batches as they travel between threads: columns are copied as a whole, objects one by one. */
import { HASH_BYTES } from '../wire/limits.js';
import type { FileIdentity } from '../disk/open.js';
import type { HashResult } from './file.js';

/** Paths, each ended by a NUL. */
export function packPaths(paths: readonly string[]): string {
  return paths.map((path) => `${path}\0`).join('');
}

export function unpackPaths(packed: string): string[] {
  return packed.split('\0').slice(0, -1);
}

/** Numbers of an identity: size, mtimeNs, birthNs, ino. */
const NUMBERS = 4;

export function packIdentities(identities: readonly FileIdentity[]): BigInt64Array {
  const numbers = new BigInt64Array(identities.length * NUMBERS);
  for (const [i, { size, mtimeNs, birthNs, ino }] of identities.entries()) {
    numbers[i * NUMBERS] = BigInt(size);
    numbers[i * NUMBERS + 1] = mtimeNs;
    numbers[i * NUMBERS + 2] = birthNs;
    numbers[i * NUMBERS + 3] = BigInt.asIntN(64, ino);
  }
  return numbers;
}

export function unpackIdentity(numbers: BigInt64Array, i: number): FileIdentity {
  const at = i * NUMBERS;
  return {
    size: Number(numbers[at] ?? 0n),
    mtimeNs: numbers[at + 1] ?? 0n,
    birthNs: numbers[at + 2] ?? 0n,
    ino: BigInt.asUintN(64, numbers[at + 3] ?? 0n),
  };
}

export interface PackedResults {
  /** Of each file the number of its blocks; CHANGED or FAILED where there are none. */
  blocks: Int32Array;
  /** Of each file that was hashed, in order. */
  identities: BigInt64Array;
  /** Hashes of all blocks of all files, one after the other. */
  hashes: Uint8Array;
  /** Of the files that failed, in order. */
  failures: { code: string; message: string }[];
}

const CHANGED = -1;
const FAILED = -2;

export function packResults(results: readonly HashResult[]): PackedResults {
  const blocks = new Int32Array(results.length);
  const identities: FileIdentity[] = [];
  const hashes: Uint8Array[] = [];
  const failures: PackedResults['failures'] = [];
  for (const [i, result] of results.entries()) {
    switch (result.status) {
      case 'hashed': {
        blocks[i] = result.blockHashes.length / HASH_BYTES;
        identities.push(result.identity);
        hashes.push(result.blockHashes);
        break;
      }
      case 'changed':
        blocks[i] = CHANGED;
        break;
      case 'failed':
        blocks[i] = FAILED;
        failures.push({ code: result.code, message: result.message });
    }
  }
  // Of memory of its own: a pooled buffer would be copied whole.
  const all = new Uint8Array(hashes.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const each of hashes) {
    all.set(each, at);
    at += each.length;
  }
  return { blocks, identities: packIdentities(identities), hashes: all, failures };
}

export function unpackResults(packed: PackedResults): HashResult[] {
  const { blocks, identities, hashes } = packed;
  const failures = packed.failures.values();
  let at = 0;
  let hashed = 0;
  return Array.from(blocks, (count): HashResult => {
    if (count === CHANGED) return { status: 'changed' };
    if (count === FAILED) {
      const { code = 'ERR_INTERNAL', message = '' } = failures.next().value ?? {};
      return { status: 'failed', code, message };
    }
    const blockHashes = hashes.subarray(at, at + count * HASH_BYTES);
    at += blockHashes.length;
    return { status: 'hashed', identity: unpackIdentity(identities, hashed++), blockHashes };
  });
}
