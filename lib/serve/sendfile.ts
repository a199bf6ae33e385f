/**
 * sendfile(2), which Node has not: the kernel moves bytes of a file into a socket, and no copy of them
 * passes through this process. By way of `koffi`, an optional dependency.
 */
import { Semaphore } from '../limits/semaphore.js';

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
  /** The same in this thread: for what `isCached`, or the event loop waits for the disk. */
  sendfileNow(to: number, from: number, position: number, count: number): number;
  /**
   * Let a socket take no more once so many bytes have not been sent: TCP_NOTSENT_LOWAT of tcp(7). What
   * a slow client has not asked for yet then waits in the file, not in the kernel's memory (4 MiB each).
   * 0 is the system's own limit.
   */
  limitUnsent(socket: number, bytes: number): void;
  /** Whether this part of a file is in memory; false also when the system does not tell. */
  isCached(file: number, position: number, count: number): boolean;
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

/** cachestat(2), of Linux 6.5: its number is the same on every architecture. */
const CACHESTAT = 451;
/** Bytes of a page, as cachestat counts: 4096 almost everywhere; where they are larger it never agrees. */
const PAGE_BYTES = 4096;

/** Of <netinet/in.h> and <netinet/tcp.h>, on Linux. */
const IPPROTO_TCP = 6;
const TCP_NOTSENT_LOWAT = 25;

async function bind(): Promise<Kernel> {
  const { default: koffi } = await import('koffi');
  const libc = koffi.load(null);
  const dup = libc.func('int dup(int fd)') as unknown as (fd: number) => number;
  const sendfile = libc.func(
    'int64_t sendfile64(int out, int in, void *offset, size_t count)',
  ) as unknown as Sendfile & { async: (...args: [...Parameters<Sendfile>, Callback]) => void };
  const syscall = libc.func(
    'int64_t syscall(int64_t number, int64_t fd, void *range, void *result, int64_t flags)',
  ) as unknown as (number: number, fd: number, range: Buffer, out: Buffer, flags: number) => number;
  const setsockopt = libc.func(
    'int setsockopt(int fd, int level, int name, void *value, unsigned int length)',
  ) as unknown as (fd: number, level: number, name: number, value: Buffer, bytes: number) => number;
  const calls = new Semaphore(CALLS);
  const offsetNow = Buffer.alloc(8);
  const range = Buffer.alloc(16);
  const counts = Buffer.alloc(40);
  return {
    dup,
    sendfile: async (to, from, position, count) => {
      await calls.take(1);
      try {
        return await new Promise<number>((resolve, reject) => {
          const offset = Buffer.alloc(8);
          offset.writeBigInt64LE(BigInt(position));
          sendfile.async(to, from, offset, count, (error, moved) => {
            // Also keeps the memory that the call reads and writes.
            if (error != null || offset.length === 0) reject(error);
            else resolve(moved);
          });
        });
      } finally {
        calls.give(1);
      }
    },
    sendfileNow: (to, from, position, count) => {
      offsetNow.writeBigInt64LE(BigInt(position));
      return sendfile(to, from, offsetNow, count);
    },
    limitUnsent: (socket, bytes) => {
      const value = Buffer.alloc(4);
      value.writeUInt32LE(bytes);
      setsockopt(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value, value.length);
    },
    isCached: (file, position, count) => {
      range.writeBigUInt64LE(BigInt(position), 0);
      range.writeBigUInt64LE(BigInt(count), 8);
      if (syscall(CACHESTAT, file, range, counts, 0) !== 0) return false;
      const pages = Math.ceil((position + count) / PAGE_BYTES) - Math.floor(position / PAGE_BYTES);
      return Number(counts.readBigUInt64LE(0)) >= pages;
    },
  };
}
