/**
 * recv(2) into memory of one's own: what the kernel has of a body is read without a turn of the event loop for
 * each 64 KiB. By way of `koffi`, an optional dependency; without it Node's own reads do the same work.
 *
 * The mirror image of sendfile(2): Node says when there is something to read, and it reports the end and errors.
 * So a call is made only where Node has just read, in the same turn: the descriptor is open, and still this socket's.
 */
import type { Socket } from 'node:net';

/** Read what is there of a socket, `memory.length` bytes at most. @returns 0 at the end; -1 for nothing, or an error */
export type Receive = (fd: number, memory: Uint8Array) => number;

/** MSG_DONTWAIT of <sys/socket.h>, on Linux. */
const DONT_WAIT = 0x40;

let receive: Receive | undefined;
let loading: Promise<Receive | undefined> | undefined;

/** recv(2); undefined where there is none (not Linux, or koffi cannot be loaded). */
export function loadReceive(): Promise<Receive | undefined> {
  loading ??= (process.platform === 'linux' ? bind() : Promise.resolve(undefined)).then(
    (bound) => (receive = bound),
    () => undefined,
  );
  return loading;
}

/** recv(2) if it is loaded; if not, it is loaded for the next time. */
export function kernelReceive(): Receive | undefined {
  if (receive === undefined) void loadReceive();
  return receive;
}

/**
 * The descriptor of a socket: not public, so it may not be there. A TLSSocket has none: what went through that of the
 * connection beneath would not be encrypted.
 */
export function descriptorOf(socket: Socket): number | undefined {
  if ('encrypted' in socket) return undefined;
  const handle = (socket as unknown as { _handle?: unknown })._handle;
  if (typeof handle !== 'object' || handle === null || !('fd' in handle)) return undefined;
  const { fd } = handle;
  return typeof fd === 'number' && Number.isInteger(fd) && fd >= 0 ? fd : undefined;
}

async function bind(): Promise<Receive> {
  const { default: koffi } = await import('koffi');
  const recv = koffi
    .load(null)
    .func('int64_t recv(int fd, void *memory, size_t bytes, int flags)') as unknown as (
    fd: number,
    memory: Uint8Array,
    bytes: number,
    flags: number,
  ) => number;
  return (fd, memory) => recv(fd, memory, memory.length, DONT_WAIT);
}
