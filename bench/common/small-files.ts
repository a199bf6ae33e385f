/** Many small files whose content follows from their number, made in a worker. */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker, isMainThread, workerData } from 'node:worker_threads';
import { hashBlock } from '../../lib/hash/blake3.js';

export interface SmallFiles {
  folder: string;
  count: number;
  /** Makes the content of two sets differ. */
  seed: string;
}

export const SMALL_BYTES = 4096;
export const FILES_A_FOLDER = 100;

/** Path of a file below the set's folder. */
function pathOf(i: number): string {
  return `${Math.floor(i / FILES_A_FOLDER)}/file-${i}.bin`;
}

function contentOf(seed: string, i: number): Buffer {
  return Buffer.alloc(SMALL_BYTES, `${seed} ${i} `);
}

/** Paths below the set's folder, and hashes (hex). */
export function expected({ count, seed }: SmallFiles): Map<string, string> {
  const files = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    files.set(pathOf(i), Buffer.from(hashBlock(contentOf(seed, i))).toString('hex'));
  }
  return files;
}

export async function makeSmallFiles(set: SmallFiles): Promise<void> {
  const worker = new Worker(new URL(import.meta.url), { workerData: set, execArgv: [] });
  await once(worker, 'exit');
}

if (!isMainThread) {
  const { folder, count, seed } = workerData as SmallFiles;
  for (let i = 0; i < count; i++) {
    const path = join(folder, pathOf(i));
    if (i % FILES_A_FOLDER === 0) mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, contentOf(seed, i));
  }
}
