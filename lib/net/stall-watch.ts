/**
 * Looks whether the other side takes what is sent to it: a connection on which bytes wait and none leave
 * holds memory, here and in the kernel, and perhaps a place that others wait for.
 *
 * Bytes that Node's socket has handed to the kernel are not enough to go by. The kernel asks for more only
 * when a third of its buffer is empty: of one of 4 MiB that takes a client that reads 20 KiB/s over a
 * minute. So what the kernel holds is looked at, too, where that can be seen.
 */
import type { Socket } from 'node:net';
import { systemClock, type Clock } from '../support/clock.js';
import { kernelQueue } from './kernel-queue.js';

/**
 * Milliseconds, unless told otherwise. A reader of 1 KiB/s on loopback is seen to acknowledge something
 * every 65 s, because windows there open by 64 KiB; over a network it is seen much sooner.
 */
export const STALL_TIMEOUT = 90_000;
/** Looks in the time after which a connection has stalled. */
const LOOKS = 4;

export interface StallOptions {
  /** Milliseconds without progress. */
  timeout: number;
  /** Whether more is going to be written, a body that is being sent: the looks go on then. */
  busy: () => boolean;
  /** Told once. */
  onStall: () => void;
  clock?: Clock | undefined;
  /** Bytes of the socket in the kernel that the other side has not acknowledged, if that is known. */
  inKernel?: ((socket: Socket) => Promise<number | undefined>) | undefined;
}

export class StallWatch {
  readonly #socket: Socket;
  readonly #options: StallOptions;
  readonly #clock: Clock;
  /** Forgets the next look; undefined while nothing is watched. */
  #cancel: (() => void) | undefined;
  #stopped = false;
  #lastProgress = 0;
  #handedOver = 0;
  #inKernel: number | undefined;

  constructor(socket: Socket, options: StallOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Something was written: from now on until nothing waits any more it is looked at now and then. */
  readonly wrote = (): void => {
    if (this.#cancel !== undefined || this.#stopped) return;
    this.#handedOver = bytesHandedOver(this.#socket);
    this.#progress();
    this.#lookLater();
  };

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
  }

  #lookLater(): void {
    this.#cancel = this.#clock.after(this.#options.timeout / LOOKS, () => {
      void this.#look();
    });
  }

  async #look(): Promise<void> {
    const { timeout, busy, inKernel = kernelQueue, onStall } = this.#options;
    const isEmpty = this.#socket.writableLength === 0;
    if (isEmpty && !busy()) {
      // What is written later begins anew.
      this.#cancel = undefined;
      return;
    }
    const handedOver = bytesHandedOver(this.#socket);
    if (isEmpty || handedOver !== this.#handedOver) {
      this.#handedOver = handedOver;
      this.#inKernel = undefined;
      this.#progress();
    } else {
      const queue = await inKernel(this.#socket);
      if (this.#stopped) return;
      if (queue !== undefined && queue < (this.#inKernel ?? 0)) this.#progress();
      this.#inKernel = queue;
    }
    // The last look that counts may come a little too early.
    if (this.#clock.now() - this.#lastProgress < timeout * (1 - 1 / (2 * LOOKS))) {
      this.#lookLater();
      return;
    }
    this.stop();
    onStall();
  }

  #progress(): void {
    this.#lastProgress = this.#clock.now();
  }
}

/** Differs when the kernel has taken more, be it of a single large write that goes out slowly. */
function bytesHandedOver(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { _handle?: Partial<Handle> | null };
  const written = socket.bytesWritten - socket.writableLength;
  // Not public, but what Node's own `setTimeout` of a socket goes by.
  return written - (handle?.writeQueueSize ?? 0);
}

interface Handle {
  /** Bytes of the write under way that the kernel has not taken. */
  writeQueueSize: number;
}
