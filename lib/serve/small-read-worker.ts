/** Entry of the thread that reads small files, in batches: see small-reader.ts. */
import { closeSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { openInsideSync } from '../disk/open.js';
import type { ReadBatch, ReadResult } from './small-reader.js';

const port = parentPort;
if (port === null) throw new Error('runs as a worker only');
const root = workerData as string;

/** @returns whether the file was what it was and its bytes are there */
function readInto(path: string, size: number, mtimeNs: bigint, into: Uint8Array): boolean {
  try {
    const { fd, identity } = openInsideSync(root, path);
    try {
      if (identity.size !== size || identity.mtimeNs !== mtimeNs) return false;
      return readSync(fd, into, 0, size, 0) === size;
    } finally {
      closeSync(fd);
    }
  } catch {
    // The caller finds out why.
    return false;
  }
}

port.on('message', ({ number, paths, sizes, mtimes }: ReadBatch) => {
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  const good = new Uint8Array(paths.length);
  let at = 0;
  for (const [i, path] of paths.entries()) {
    const size = sizes[i] ?? 0;
    good[i] = Number(readInto(path, size, mtimes[i] ?? 0n, bytes.subarray(at, at + size)));
    at += size;
  }
  const result: ReadResult = { number, bytes, good };
  port.postMessage(result, [bytes.buffer]);
});
