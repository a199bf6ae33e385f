/**
 * Whether the other side takes what is sent to it: a connection on which bytes wait and none leave holds
 * memory, here and in the kernel, and perhaps a place that others wait for.
 *
 * Bytes that Node's socket has handed to the kernel are not enough to go by. The kernel asks for more only
 * when a third of its buffer is empty: of one of 4 MiB that takes a client that reads 20 KiB/s over a
 * minute. So what the kernel holds is looked at, too, where that can be seen.
 */
import type { Socket } from 'node:net';
import type { LookResult } from './deadline.js';

export class SendProgress {
  readonly #socket: Socket;
  readonly #inBody: () => boolean;
  readonly #inKernel: () => Promise<number | undefined>;
  #handedOver = 0;
  /** Bytes in the kernel at the last look; undefined when that was not looked at. */
  #queued: number | undefined;

  /**
   * @param inBody whether a body is being sent: more of it is going to be written
   * @param inKernel bytes of the socket that the other side has not acknowledged, if that is known
   */
  constructor(socket: Socket, inBody: () => boolean, inKernel: () => Promise<number | undefined>) {
    this.#socket = socket;
    this.#inBody = inBody;
    this.#inKernel = inKernel;
  }

  /** Something is written now; what happened before does not count. */
  begin(): void {
    this.#handedOver = bytesHandedOver(this.#socket);
    this.#queued = undefined;
  }

  /** What has happened since the last look. */
  readonly look = async (): Promise<LookResult> => {
    const isEmpty = this.#socket.writableLength === 0;
    const inBody = this.#inBody();
    const before = this.#handedOver;
    this.#handedOver = bytesHandedOver(this.#socket);
    if ((isEmpty && inBody) || before !== this.#handedOver) {
      this.#queued = undefined;
      return 'progress';
    }
    const queued = this.#queued;
    const now = (this.#queued = await this.#inKernel());
    if (isEmpty && (now ?? 0) === 0) return 'done';
    return now !== undefined && queued !== undefined && now < queued ? 'progress' : 'nothing';
  };
}

/** Differs when the kernel has taken more, be it of a single large write that goes out slowly. */
function bytesHandedOver(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { _handle?: Partial<Handle> | null };
  const written = socket.bytesWritten - socket.writableLength;
  // Not public, but what Node's own `setTimeout` of a socket goes by. Below that of TLS is the connection's own.
  return written - ((handle?._parent ?? handle)?.writeQueueSize ?? 0);
}

interface Handle {
  /** Bytes of the write under way that the kernel has not taken. */
  writeQueueSize: number;
  _parent: Handle;
}
