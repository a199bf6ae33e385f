/** Batches as they travel between threads: columns are copied as a whole, objects one by one. */
import { HASH_BYTES } from '../wire/limits.js';
import type { HashOutcome } from './file.js';

/** Paths, each ended by a NUL. */
export function packPaths(paths: readonly string[]): string {
  return paths.map((path) => `${path}\0`).join('');
}

export function unpackPaths(packed: string): string[] {
  return packed.split('\0').slice(0, -1);
}

export interface PackedOutcomes {
  /** Of each file the number of its blocks; CHANGED or FAILED where there are none. */
  blocks: Int32Array;
  sizes: Float64Array;
  /** mtimeNs, dev, ino of each file. */
  numbers: BigUint64Array;
  /** Hashes of all blocks of all files, one after the other. */
  hashes: Uint8Array;
  /** Of the files that failed, in order. */
  failures: { code: string; message: string }[];
}

const CHANGED = -1;
const FAILED = -2;

export function packOutcomes(outcomes: readonly HashOutcome[]): PackedOutcomes {
  const blocks = new Int32Array(outcomes.length);
  const sizes = new Float64Array(outcomes.length);
  const numbers = new BigUint64Array(outcomes.length * 3);
  const hashes: Uint8Array[] = [];
  const failures: PackedOutcomes['failures'] = [];
  for (const [i, outcome] of outcomes.entries()) {
    switch (outcome.status) {
      case 'hashed': {
        const { identity, blockHashes } = outcome;
        blocks[i] = blockHashes.length / HASH_BYTES;
        sizes[i] = identity.size;
        numbers[i * 3] = BigInt.asUintN(64, identity.mtimeNs);
        numbers[i * 3 + 1] = BigInt.asUintN(64, identity.dev);
        numbers[i * 3 + 2] = BigInt.asUintN(64, identity.ino);
        hashes.push(blockHashes);
        break;
      }
      case 'changed':
        blocks[i] = CHANGED;
        break;
      case 'failed':
        blocks[i] = FAILED;
        failures.push({ code: outcome.code, message: outcome.message });
    }
  }
  // Of memory of its own: a pooled buffer would be copied whole.
  const all = new Uint8Array(hashes.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const each of hashes) {
    all.set(each, at);
    at += each.length;
  }
  return { blocks, sizes, numbers, hashes: all, failures };
}

export function unpackOutcomes(packed: PackedOutcomes): HashOutcome[] {
  const { blocks, sizes, numbers, hashes } = packed;
  const failures = packed.failures.values();
  let at = 0;
  return Array.from(blocks, (count, i): HashOutcome => {
    if (count === CHANGED) return { status: 'changed' };
    if (count === FAILED) {
      const { code = 'ERR_INTERNAL', message = '' } = failures.next().value ?? {};
      return { status: 'failed', code, message };
    }
    const blockHashes = hashes.subarray(at, at + count * HASH_BYTES);
    at += blockHashes.length;
    const identity = {
      size: sizes[i] ?? 0,
      mtimeNs: BigInt.asIntN(64, numbers[i * 3] ?? 0n),
      dev: numbers[i * 3 + 1] ?? 0n,
      ino: numbers[i * 3 + 2] ?? 0n,
    };
    return { status: 'hashed', identity, blockHashes };
  });
}
