/**
 * sendfile(2), which Node has not: the kernel moves bytes of a file into a socket, and no copy of them
 * passes through this process. By way of `koffi`, an optional dependency.
 */
import type { Socket } from 'node:net';

/** What is needed of the system. */
export interface Kernel {
  /** Another descriptor of the same open file: dup(2). @returns -1 when there is none */
  dup(fd: number): number;
  /**
   * Move up to `count` bytes of the file `from`, beginning at `position`, into the socket `to`. Waits
   * for the disk in another thread, and not at all for the socket.
   *
   * @returns how many were moved: 0 at the file's end, -1 when the socket takes none now or something
   *   is wrong
   */
  sendfile(to: number, from: number, position: number, count: number): Promise<number>;
}

/**
 * Calls at the same time. Each holds one of libuv's threads, of which there are four, while it waits
 * for the disk: one is left for everything else. koffi itself refuses more than 64.
 */
const CALLS = 3;

type Sendfile = (to: number, from: number, offset: Buffer, count: number) => number;
type Callback = (error: unknown, result: number) => void;

let loaded: Promise<Kernel | undefined> | undefined;

/** The system's calls; undefined where there are none (not Linux, or koffi cannot be loaded). */
export function loadKernel(): Promise<Kernel | undefined> {
  loaded ??=
    process.platform === 'linux' ? bind().catch(() => undefined) : Promise.resolve(undefined);
  return loaded;
}

/** The descriptor of a socket: not public, so it may not be there. */
export function descriptorOf(socket: Socket): number | undefined {
  const handle = (socket as unknown as { _handle?: unknown })._handle;
  if (typeof handle !== 'object' || handle === null || !('fd' in handle)) return undefined;
  const { fd } = handle;
  return typeof fd === 'number' && Number.isInteger(fd) && fd >= 0 ? fd : undefined;
}

async function bind(): Promise<Kernel> {
  const { default: koffi } = await import('koffi');
  const libc = koffi.load(null);
  const dup = libc.func('int dup(int fd)') as unknown as (fd: number) => number;
  const sendfile = libc.func(
    'int64_t sendfile64(int out, int in, void *offset, size_t count)',
  ) as unknown as { async: (...args: [...Parameters<Sendfile>, Callback]) => void };
  const turns = new Turns(CALLS);
  return {
    dup,
    sendfile: (to, from, position, count) =>
      turns.run(
        () =>
          new Promise((resolve, reject) => {
            const offset = Buffer.alloc(8);
            offset.writeBigInt64LE(BigInt(position));
            sendfile.async(to, from, offset, count, (error, moved) => {
              // Also keeps the memory that the call reads and writes.
              if (error != null || offset.length === 0) reject(error);
              else resolve(moved);
            });
          }),
      ),
  };
}

/** So many at the same time; the others in the order in which they came. */
class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
