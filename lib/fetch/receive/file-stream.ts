/** A file's verified bytes as a Readable: only as much is read from the peer as is read from it. */
import { Readable } from 'node:stream';
import type { VerifiedBlock } from './body-verifier.js';
import { allocateReadBuffer } from '../../support/memory.js';
import type { FileHead } from '../../wire/messages.js';
import type { BlockOutput } from './body-receiver.js';

/** What the stream needs of its producer. */
export interface Producer {
  /** Begin to fetch. Rejects with what went wrong. */
  start(output: FileStream): Promise<void>;
  /** There is room for more. */
  resume(): void;
  /** The rest is not wanted. */
  cancel(): void;
}

/**
 * Emits `head` with the file's size and the range before the first byte, besides what every Readable
 * emits. An error is a PeerError; everything read before it was right.
 */
export class FileStream extends Readable implements BlockOutput {
  readonly #producer: Producer;
  #started = false;
  #full = false;
  #complete = false;

  constructor(feeder: Producer) {
    super({ highWaterMark: 1024 * 1024 });
    this.#producer = feeder;
  }

  override _read(): void {
    this.#full = false;
    if (this.#started) {
      this.#producer.resume();
      return;
    }
    this.#started = true;
    this.#producer.start(this).catch((error: unknown) => {
      this.destroy(error as Error);
    });
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.#complete) this.#producer.cancel();
    callback(error);
  }

  head(head: FileHead): void {
    this.emit('head', head);
  }

  allocate(bytes: number): Uint8Array | undefined {
    // The reader keeps what it gets, so every block has memory of its own.
    return this.#full ? undefined : allocateReadBuffer(bytes);
  }

  write({ bytes }: VerifiedBlock): void {
    if (!this.push(bytes)) this.#full = true;
  }

  end(): void {
    this.#complete = true;
    this.push(null);
  }

  fail(error: Error): void {
    this.destroy(error);
  }
}
