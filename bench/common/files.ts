/** Files to measure with. */
import { randomFillSync } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';

/** A file of `size` bytes, no two blocks of it alike. It is in the page cache afterwards. */
export function makeFile(file: string, size: number): void {
  const piece = randomFillSync(Buffer.alloc(4 * 1024 * 1024));
  const fd = openSync(file, 'w');
  try {
    for (let at = 0; at < size; at += piece.length) {
      for (let block = 0; block < piece.length; block += 64 * 1024) {
        piece.writeDoubleBE(at + block, block);
      }
      writeSync(fd, piece, 0, Math.min(piece.length, size - at));
    }
  } finally {
    closeSync(fd);
  }
}
