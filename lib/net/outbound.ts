/**
 * The writing half of a connection: frames go out when the present turn of the event loop's work is
 * done, all in one system call, except while a body is being written: then they wait for its end,
 * because a body may not be interrupted. Bodies follow one another in the order in which they were
 * asked for.
 */
import type { Socket } from 'node:net';

/** Writes the raw bytes of a body; resolves when all have been handed to the socket. */
export type BodyWriter = (socket: Socket) => Promise<void>;

/** Bytes of whole bodies that may wait for the kernel. */
const WHOLE_HIGH_WATER = 128 * 1024;

export class Outbound {
  readonly #socket: Socket;
  /** Frames that wait for the end of a body; undefined while none is written. */
  #held: Buffer[] | undefined;
  #heldBytes = 0;
  #gathers = false;

  readonly #onWrite: () => void;

  /** @param onWrite told when something was written, and when a body begins */
  constructor(socket: Socket, onWrite: () => void) {
    this.#socket = socket;
    this.#onWrite = onWrite;
  }

  /** Whether a body is being written. */
  get inBody(): boolean {
    return this.#held !== undefined;
  }

  /** Bytes that were written here and have not gone out. */
  get waitingBytes(): number {
    return this.#socket.writableLength + this.#heldBytes;
  }

  frame(bytes: Buffer): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return;
    if (this.#held === undefined) {
      this.#gather();
      this.#socket.write(bytes);
      this.#onWrite();
    } else {
      this.#held.push(bytes);
      this.#heldBytes += bytes.length;
    }
  }

  /**
   * Write a frame and the body that belongs to it. Only one at a time.
   *
   * When `write` fails nobody can tell any more what the next byte means: the caller must then
   * destroy the socket.
   */
  async frameAndBody(head: Buffer, write: BodyWriter): Promise<void> {
    if (this.#held !== undefined) throw new TypeError('a body is being written');
    this.#held = [];
    // Bytes that the writer has at hand go out with the head.
    this.#gather();
    this.#socket.write(head);
    this.#onWrite();
    await write(this.#socket);
    const held = this.#held;
    this.#held = undefined;
    this.#heldBytes = 0;
    for (const bytes of held) this.frame(bytes);
  }

  /**
   * Write a frame and the body that belongs to it, both whole.
   *
   * @returns undefined when there is room for more; else resolves when this has gone out
   */
  whole(head: Buffer, body: Uint8Array): Promise<void> | undefined {
    if (this.#held !== undefined) throw new TypeError('a body is being written');
    this.#gather();
    this.#socket.write(head);
    this.#onWrite();
    if (this.#socket.writableLength + body.length < WHOLE_HIGH_WATER) {
      this.#socket.write(body);
      return undefined;
    }
    return new Promise((resolve) => {
      // Whether it went well shows in the socket.
      this.#socket.write(body, () => {
        resolve();
      });
    });
  }

  /** Let what is written from now on, before anything else happens, go out in one system call. */
  #gather(): void {
    if (this.#gathers) return;
    this.#gathers = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#gathers = false;
      this.#socket.uncork();
    });
  }
}
