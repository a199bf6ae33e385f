/**
 * The writing half of a connection: frames go out when the present turn of the event loop's work is
 * done, all in one system call, except while a body is being written: then they wait for its end,
 * because a body may not be interrupted. Bodies follow one another in the order in which they were
 * asked for.
 */
import type { Socket } from 'node:net';
import type { ByteAccount } from '../limits/byte-budget.js';

/** Writes the raw bytes of a body; resolves when all have been handed to the socket. */
export type BodyWriter = (socket: Socket) => Promise<void>;

/** Bytes of whole bodies that may wait for the kernel. */
const WHOLE_HIGH_WATER = 128 * 1024;

export interface OutboundOptions {
  /** Counts what is written here until the kernel has taken it. */
  account: ByteAccount;
  /** Something was written, or a body begins. */
  onWrite: () => void;
  /** The kernel has taken something. */
  onSent: () => void;
}

export class Outbound {
  readonly #socket: Socket;
  /** Frames that wait for the end of a body; undefined while none is written. */
  #held: Buffer[] | undefined;
  #heldBytes = 0;
  #gathers = false;

  readonly #options: OutboundOptions;
  /** Told when there is room. */
  #waiter: (() => void) | undefined;

  constructor(socket: Socket, options: OutboundOptions) {
    this.#socket = socket;
    this.#options = options;
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
    this.#options.account.add(bytes.length);
    if (this.#held === undefined) {
      this.#write(bytes);
    } else {
      this.#held.push(bytes);
      this.#heldBytes += bytes.length;
    }
  }

  /** Whether another answer may be prepared: nothing waits, or there is room for more. */
  get hasRoom(): boolean {
    return this.waitingBytes === 0 || this.#options.account.room > 0;
  }

  /** Resolves when there is room, or the connection is closed. Only one waits at a time. */
  async room(): Promise<void> {
    if (!this.hasRoom) await new Promise<void>((resolve) => (this.#waiter = resolve));
  }

  /** The connection is closed. */
  close(): void {
    this.#options.account.close();
    this.#waiter?.();
  }

  /**
   * Write a frame and the body that belongs to it. Only one at a time.
   *
   * When `write` fails the meaning of the next byte is lost: the caller must then
   * destroy the socket.
   */
  async frameAndBody(head: Buffer, write: BodyWriter): Promise<void> {
    if (this.#held !== undefined) throw new TypeError('a body is being written');
    this.#held = [];
    // Bytes that the writer has at hand go out with the head.
    this.#options.account.add(head.length);
    this.#write(head);
    await write(this.#socket);
    const held = this.#held;
    this.#held = undefined;
    this.#heldBytes = 0;
    for (const bytes of held) this.#write(bytes);
    this.#sent();
  }

  /**
   * Write a frame and the body that belongs to it, both whole.
   *
   * @returns undefined when there is room for more; else resolves when this has gone out
   */
  whole(head: Buffer, body: Uint8Array): Promise<void> | undefined {
    if (this.#held !== undefined) throw new TypeError('a body is being written');
    this.#options.account.add(head.length + body.length);
    this.#write(head);
    const hasRoom = this.#socket.writableLength + body.length < WHOLE_HIGH_WATER;
    if (hasRoom) {
      this.#write(body);
      return undefined;
    }
    // Whether it went well shows in the socket.
    return new Promise((resolve) => {
      this.#write(body, resolve);
    });
  }

  /** Write what the account has counted. */
  #write(bytes: Uint8Array, onSent?: () => void): void {
    const { account, onWrite } = this.#options;
    this.#gather();
    this.#socket.write(bytes, () => {
      account.give(bytes.length);
      onSent?.();
      this.#sent();
    });
    onWrite();
  }

  #sent(): void {
    this.#options.onSent();
    if (this.#waiter === undefined || !this.hasRoom) return;
    this.#waiter();
    this.#waiter = undefined;
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
