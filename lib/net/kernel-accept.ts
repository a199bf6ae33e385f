/**
 * accept4(2): takes the connections that wait to be accepted. libuv takes one in each turn of the event loop, and a turn lasts as
 * long as all that is to be done in it: where many connect at once, a client would wait for seconds behind the
 * others. By way of `koffi`, an optional dependency; without it, and on other systems than Linux, they do wait.
 */
import { closeSync } from 'node:fs';
import { Socket, type Server } from 'node:net';

/** Take a connection from a listening descriptor that does not block. @returns its descriptor; -1 for none, or an error */
export type Accept = (listening: number) => number;

/** SOCK_NONBLOCK and SOCK_CLOEXEC of <sys/socket.h>, on Linux. */
const FLAGS = 0o4000 | 0o2000000;

let accept: Accept | undefined;
let loading: Promise<Accept | undefined> | undefined;

/** accept4(2); undefined where there is none (not Linux, or koffi cannot be loaded). */
export function loadAccept(): Promise<Accept | undefined> {
  loading ??= (process.platform === 'linux' ? bind() : Promise.resolve(undefined)).then(
    (bound) => (accept = bound),
    () => undefined,
  );
  return loading;
}

/** The next connection that waits, half open like those of the server; undefined when none does. */
export function acceptNext(server: Server): Socket | undefined {
  // Not public, so it may not be there.
  const { _handle } = server as unknown as { _handle?: { fd?: unknown } | null };
  const listening = _handle?.fd;
  if (accept === undefined || typeof listening !== 'number' || listening < 0) return undefined;
  const fd = accept(listening);
  if (fd < 0) return undefined;
  try {
    return new Socket({ fd, allowHalfOpen: true, readable: true, writable: true });
  } catch {
    closeSync(fd);
    return undefined;
  }
}

async function bind(): Promise<Accept> {
  const { default: koffi } = await import('koffi');
  const accept4 = koffi
    .load(null)
    .func('int accept4(int fd, void *address, void *length, int flags)') as unknown as (
    fd: number,
    address: null,
    length: null,
    flags: number,
  ) => number;
  return (listening) => accept4(listening, null, null, FLAGS);
}
