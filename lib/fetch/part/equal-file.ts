/** Whether a file on the disk is what a peer lists: by its size, then by the hash of all its bytes. */
import { read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { abortError } from '../../errors.js';
import { hashBlock } from '../../hash/blake3.js';
import { TreeHasher, rootOf } from '../../hash/tree.js';
import { allocateReadBuffer } from '../../support/memory.js';
import { BLOCK_BYTES } from '../../wire/body.js';
import type { FileMatch } from '../../wire/messages.js';

const readAt = promisify(read);

export interface EqualOptions {
  signal?: AbortSignal | undefined;
  /** Told how many bytes were read and hashed, again and again. */
  onBytes?: ((bytes: number) => void) | undefined;
}

/**
 * @param there open for reading
 * @throws PeerError ERR_ABORTED; the system's error
 */
export async function isEqualFile(
  there: { fd: number; size: number },
  { hash, size }: Pick<FileMatch, 'hash' | 'size'>,
  { signal, onBytes }: EqualOptions = {},
): Promise<boolean> {
  if (there.size !== size) return false;
  const wanted = Buffer.from(hash, 'hex');
  if (size <= BLOCK_BYTES) {
    // One byte more, to see whether it has grown.
    const bytes = Buffer.allocUnsafe(size + 1);
    const n = readSync(there.fd, bytes, 0, size + 1, 0);
    return n === size && wanted.equals(hashBlock(bytes.subarray(0, n)));
  }
  const hasher = new TreeHasher();
  const room = allocateReadBuffer(BLOCK_BYTES);
  for (let at = 0; ;) {
    if (signal?.aborted === true) throw abortError(signal);
    const { bytesRead } = await readAt(there.fd, room, 0, BLOCK_BYTES, at);
    if (bytesRead === 0) break;
    hasher.update(room.subarray(0, bytesRead));
    at += bytesRead;
    onBytes?.(bytesRead);
    if (at > size) return false;
  }
  return wanted.equals(rootOf(hasher.digest()));
}
