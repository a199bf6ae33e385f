/**
 * Write to a file from a thread of its own, in pieces of 32 KiB.
 *
 * Why pieces: for a larger one a page cache with large folios (Linux's ext4 since 6.16, xfs) takes a
 * large piece of free memory, and that is what a virtual machine gives back to its host (free page
 * reporting), which has to find it again: measured 0.3 to 3.8 s of CPU for a GiB, against 0.45 s, always,
 * in pieces that are made of the small pages used last. Why a thread: to wake one for each piece, as
 * node:fs does, costs more than to write it.
 */
import { Thread } from '../support/thread.js';

/** Bytes that are written by node:fs before a thread is started. */
const BEFORE = 32 * 1024 * 1024;

export interface WriteMessage {
  readonly fd: number;
  /** In memory that both threads see. */
  readonly bytes: Uint8Array;
  /** Of the first byte in the file. */
  readonly position: number;
}

/** The answers come in the order of the messages. */
export interface WriteAnswer {
  /** Bytes that have been written: all, or those before an error. */
  readonly written: number;
  readonly error: { readonly code: string | undefined; readonly message: string } | undefined;
}

/** What has become of a write. */
export interface Written {
  /** Bytes that have been written: all, or those before an error. */
  readonly written: number;
  /** The system's, with its `code`. */
  readonly error: Error | undefined;
}

export class FileWriter {
  #before = 0;
  /** Once it has died, node:fs writes all. */
  #thread: Thread<WriteMessage, WriteAnswer> | undefined;

  /** Whether `write` takes these bytes; if not, node:fs is to write them. */
  takes(bytes: Uint8Array): boolean {
    if (!(bytes.buffer instanceof SharedArrayBuffer)) return false;
    this.#before += bytes.length;
    if (this.#before > BEFORE) {
      this.#thread ??= new Thread(new URL('./file-writer-worker.js', import.meta.url));
    }
    return this.#thread?.ready === true;
  }

  /**
   * Write bytes. The file must stay open until it is done.
   *
   * @param position of the first byte in the file
   */
  async write(fd: number, bytes: Uint8Array, position: number): Promise<Written> {
    const answer = await this.#thread?.ask({ fd, bytes, position });
    if (answer === undefined) {
      return { written: 0, error: new Error('the thread that writes has died') };
    }
    const { written, error } = answer;
    return {
      written,
      error: error && Object.assign(new Error(error.message), { code: error.code }),
    };
  }
}

/** One for all files of this process. */
export const fileWriter = new FileWriter();
