/** Where a connection puts the body that follows the ACKN of an RQFH. */
import type { PeerError } from '../errors.js';

export interface BodySink {
  /** Bytes of the body still to come. */
  readonly remaining: number;
  /**
   * Memory for the next bytes, no longer than `remaining`; undefined when there is no room now: the
   * connection then stops reading until it is told to `resume`.
   */
  space(): Uint8Array | undefined;
  /**
   * `n` bytes have been put at the start of `space()`.
   *
   * @throws PeerError when they are wrong; the connection is then destroyed with it
   */
  advance(n: number): void;
  /** The body is complete. */
  end(): void;
  /** The connection ended, or was ended, before the body was complete. */
  fail(error: PeerError): void;
}

/** Takes the bytes of a body that is no longer wanted. */
export class DiscardSink implements BodySink {
  readonly #space: Uint8Array;
  remaining: number;

  constructor(bytes: number) {
    this.remaining = bytes;
    this.#space = Buffer.allocUnsafe(Math.min(bytes, 64 * 1024));
  }

  space(): Uint8Array {
    return this.#space.subarray(0, Math.min(this.remaining, this.#space.length));
  }
  advance(n: number): void {
    this.remaining -= n;
  }
  end(): void {
    // It is not wanted.
  }
  fail(): void {
    // It is not wanted.
  }
}
