/**
 * Receive the body of a file of one block, all at once: no lists, no blocks to be passed on in between.
 * What BodyReceiver does for any file and range, at less cost for many small files.
 */
import { PeerError } from '../../errors.js';
import { hashBlock } from '../../hash/blake3.js';
import type { BodySink } from '../../net/body-sink.js';
import { BLOCK_BYTES } from '../../wire/body.js';
import type { FileHead, GetFile } from '../../wire/messages.js';
import { checkHead } from './body-receiver.js';

/** Bytes of a file that is received at once, at most: a block. */
export const SMALL_BYTES = BLOCK_BYTES;

export class SmallBody implements BodySink {
  /** The file's bytes; verified when the body has come and `error` is undefined. */
  readonly bytes: Buffer;
  /** Why the bytes must not be used. The connection is as good as before: the body had its length. */
  error: PeerError | undefined;
  readonly #hash: string;
  #filled = 0;

  /**
   * @param request for a whole file
   * @param size bytes of the file, as the peer listed it; at most SMALL_BYTES
   * @throws PeerError ERR_MALFORMED or ERR_MISMATCH as `checkHead`; ERR_MISMATCH for another size
   */
  constructor(request: GetFile, head: FileHead, size: number) {
    if (head.size !== size) throw otherSize(head.size, size);
    checkHead(request, head);
    this.#hash = request.hash;
    this.bytes = Buffer.allocUnsafe(head.size);
  }

  get remaining(): number {
    return this.bytes.length - this.#filled;
  }

  space(): Uint8Array {
    return this.bytes.subarray(this.#filled);
  }

  advance(n: number): void {
    this.#filled += n;
    if (this.#filled < this.bytes.length) return;
    if (!Buffer.from(this.#hash, 'hex').equals(hashBlock(this.bytes))) {
      this.error = new PeerError('ERR_MISMATCH', 'the bytes do not match the hash');
    }
  }

  end(): void {
    // The caller has the bytes.
  }

  fail(): void {
    // The caller is told by its promise.
  }
}

/** What a peer sends is not what it listed. */
export function otherSize(sent: number, listed: number): PeerError {
  return new PeerError(
    'ERR_MISMATCH',
    `the peer listed a file of ${listed} bytes and sends one of ${sent}`,
  );
}
