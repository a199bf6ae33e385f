/** Two ways to send bytes of a file over a socket: without a copy of them, and as a stream. */
import { closeSync, readSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PeerError } from '../errors.js';
import { allocateReadBuffer } from '../support/memory.js';
import type { ClientRate } from '../limits/rate-limiter.js';
import type { ByteAccount } from '../limits/byte-budget.js';
import { descriptorOf } from '../net/kernel-receive.js';
import type { Kernel } from './sendfile.js';

/** One file on its way out. */
export interface Outgoing {
  handle: FileHandle;
  socket: Socket;
  /** Aborted when the connection is closed. */
  closed: AbortSignal;
  /** Counts what is in memory to be sent. */
  account: ByteAccount;
  /** Many others are under way: each takes little memory in the kernel. */
  crowded?: boolean | undefined;
  /** Asked before every piece; undefined: nothing limits the rate. */
  rate?: ClientRate | undefined;
  /** Shown what is sent, before it is: then it is read, and not sent without a copy. */
  see?: ((bytes: Uint8Array) => void) | undefined;
  /** Told how many bytes of the file have been sent, or read to be sent: `copied`, or by the kernel. */
  onBytes: (bytes: number, copied: boolean) => void;
}

export interface RangeSender {
  /**
   * Send a range of the file; resolves when the kernel has all of it.
   *
   * @throws PeerError ERR_CHANGED when the file ends before the range does
   */
  send(position: number, length: number): Promise<void>;
  /** Nothing more will be sent. */
  close(): void;
}

/** Bytes that one call moves at most, yielding to other transfers in between. */
const PIECE_BYTES = 4 * 1024 * 1024;
/** The same for calls in this thread, and for all of them in one turn of the event loop. */
const NOW_BYTES = 1024 * 1024;
const TURN_BYTES = 4 * NOW_BYTES;
/**
 * Bytes written in the ordinary way where the socket is full: Node says when there is room again. Few: as
 * many connections may be waiting as there are.
 */
const BRIDGE_BYTES = 1024;
/** Bytes read at a time into a stream; the best of 64 KiB to 2 MiB when it was measured. */
const CHUNK_BYTES = 512 * 1024;
/**
 * The same of what is in memory, which this thread reads: no slower than more at a time. Over TLS Node keeps as much
 * memory as the largest chunk for each connection, until it is closed.
 */
const CACHED_CHUNK_BYTES = 128 * 1024;
/** Where many are under way: bytes that the kernel takes ahead, and that are read at a time. */
const CROWDED_UNSENT = 128 * 1024;
const CROWDED_CHUNK_BYTES = 64 * 1024;

/** How much may still be moved by this thread before the event loop has its turn. */
const turn = {
  left: TURN_BYTES,
  next: undefined as Promise<void> | undefined,
  async take(bytes: number): Promise<void> {
    while (this.left < bytes) await this.next;
    this.left -= bytes;
    this.next ??= nextTurn().then(() => {
      this.left = TURN_BYTES;
      this.next = undefined;
    });
  },
};

/** Resolves when the bytes have been handed to the kernel: all of them. */
export function written(socket: Socket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => {
      if (error != null) reject(error);
      // Node calls a write that was cut short by `destroy` done, too. Nothing may follow the gap.
      else if (socket.destroyed) reject(new PeerError('ERR_CLOSED', 'the connection was closed'));
      else resolve();
    });
  });
}

function becameShorter(): PeerError {
  return new PeerError('ERR_CHANGED', 'the file became shorter');
}

/**
 * By sendfile(2). Whatever was written to the socket before must have been handed to the kernel: what
 * is sent here overtakes what Node still keeps.
 */
export class ZeroCopySender implements RangeSender {
  readonly #kernel: Kernel;
  readonly #file: Outgoing;
  /** A descriptor of our own: that of the socket may be another's by the time a call comes to it. */
  readonly #fd: number;
  #bridge: Buffer | undefined;

  private constructor(kernel: Kernel, file: Outgoing, fd: number) {
    this.#kernel = kernel;
    this.#file = file;
    this.#fd = fd;
  }

  /** @returns undefined where it cannot be done */
  static open(kernel: Kernel, file: Outgoing): ZeroCopySender | undefined {
    const fd = descriptorOf(file.socket);
    if (fd === undefined || file.socket.destroyed) return undefined;
    const own = kernel.dup(fd);
    if (own < 0) return undefined;
    // Each time: the connection may have been through a crowd before.
    kernel.limitUnsent(own, file.crowded === true ? CROWDED_UNSENT : 0);
    return new ZeroCopySender(kernel, file, own);
  }

  async send(position: number, length: number): Promise<void> {
    const { closed, rate } = this.#file;
    if (rate === undefined) {
      await this.#sendPiece(position, length);
      return;
    }
    const end = position + length;
    for (let at = position; at < end;) {
      const bytes = Math.min(rate.pieceBytes, end - at);
      await rate.take(bytes, closed);
      await this.#sendPiece(at, bytes);
      at += bytes;
    }
  }

  async #sendPiece(position: number, length: number): Promise<void> {
    const { closed, onBytes } = this.#file;
    const end = position + length;
    for (let at = position; at < end;) {
      closed.throwIfAborted();
      const { want, moved, cached } = await this.#move(at, end - at);
      at += moved;
      onBytes(moved, false);
      if (moved === want) continue;
      // The socket is full, the file is at its end, or something is wrong: ordinary reading and writing
      // tells what it is, and the write is done when there is room again.
      at += await this.#writeSome(at, Math.min(BRIDGE_BYTES, end - at), cached);
    }
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** What is in memory is moved here: to tell another thread would take longer than to do it. */
  async #move(
    position: number,
    left: number,
  ): Promise<{ want: number; moved: number; cached: boolean }> {
    const { fd } = this.#file.handle;
    const kernel = this.#kernel;
    let want = Math.min(NOW_BYTES, left);
    const cached = kernel.isCached(fd, position, want);
    let moved: number;
    if (cached) {
      await turn.take(want);
      moved = kernel.sendfileNow(this.#fd, fd, position, want);
    } else {
      want = Math.min(PIECE_BYTES, left);
      moved = await kernel.sendfile(this.#fd, fd, position, want);
    }
    return { want, moved: Math.max(0, moved), cached };
  }

  async #writeSome(position: number, length: number, cached: boolean): Promise<number> {
    const { handle, socket, closed, account, onBytes } = this.#file;
    closed.throwIfAborted();
    if (length === 0) return 0;
    const bridge = (this.#bridge ??= allocateReadBuffer(BRIDGE_BYTES));
    const bytesRead = cached
      ? readSync(handle.fd, bridge, 0, length, position)
      : (await handle.read(bridge, 0, length, position)).bytesRead;
    if (bytesRead === 0) throw becameShorter();
    closed.throwIfAborted();
    account.add(bytesRead);
    try {
      await written(socket, bridge.subarray(0, bytesRead));
    } finally {
      account.give(bytesRead);
    }
    onBytes(bytesRead, true);
    return bytesRead;
  }
}

/** In chunks that are read and written: wherever the other way is not open. */
export class StreamSender implements RangeSender {
  readonly #kernel: Kernel | undefined;
  readonly #file: Outgoing;
  /** Memory for chunks, used again when a chunk has gone out. */
  readonly #free: Buffer[] = [];

  /** @param kernel tells what is in memory; undefined: other threads read everything */
  constructor(kernel: Kernel | undefined, file: Outgoing) {
    this.#kernel = kernel;
    this.#file = file;
  }

  async send(position: number, length: number): Promise<void> {
    const { closed, rate, crowded } = this.#file;
    const most = crowded === true ? CROWDED_CHUNK_BYTES : CHUNK_BYTES;
    const end = position + length;
    // A chunk is read while the one before it is written.
    let writing: Promise<void> | undefined;
    try {
      for (let at = position; at < end;) {
        const want = Math.min(rate?.pieceBytes ?? Infinity, most, end - at);
        await rate?.take(want, closed);
        const chunkEnd = at + want;
        while (at < chunkEnd) {
          const chunk = await this.#read(at, chunkEnd - at, writing);
          await writing;
          closed.throwIfAborted();
          this.#file.see?.(chunk.memory.subarray(0, chunk.bytes));
          writing = this.#write(chunk);
          // Its failure shows when it is awaited.
          writing.catch(() => undefined);
          at += chunk.bytes;
        }
      }
    } finally {
      await writing;
    }
  }

  close(): void {
    // Nothing is kept open.
  }

  async #read(position: number, left: number, writing: Promise<void> | undefined): Promise<Chunk> {
    const { handle, account } = this.#file;
    const few = Math.min(left, CACHED_CHUNK_BYTES);
    const cached = this.#kernel?.isCached(handle.fd, position, few) === true;
    const want = cached ? few : left;
    // What is in memory need not be read ahead; little room is for one chunk at a time.
    if (cached || account.room < want) await writing;
    const taken = account.takeSome(want);
    try {
      const free = this.#free.pop();
      const memory = free !== undefined && free.length >= taken ? free : allocateReadBuffer(taken);
      if (cached) await turn.take(taken);
      const bytesRead = cached
        ? readSync(handle.fd, memory, 0, taken, position)
        : (await handle.read(memory, 0, taken, position)).bytesRead;
      if (bytesRead === 0) throw becameShorter();
      return { memory, taken, bytes: bytesRead };
    } catch (error) {
      account.give(taken);
      throw error;
    }
  }

  async #write({ memory, taken, bytes }: Chunk): Promise<void> {
    const { socket, account, onBytes } = this.#file;
    try {
      await written(socket, memory.subarray(0, bytes));
      onBytes(bytes, true);
    } finally {
      account.give(taken);
      this.#free.push(memory);
    }
  }
}

/** What was read. */
interface Chunk {
  readonly memory: Buffer;
  /** Bytes counted for it. */
  readonly taken: number;
  readonly bytes: number;
}
