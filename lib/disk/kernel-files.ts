/**
 * Calls on files that Node has not. By way of `koffi`, an optional dependency; without it, and on other systems
 * than Linux, files go another way.
 */
import { constants, openSync } from 'node:fs';
import { constants as os } from 'node:os';
import { getSystemErrorName } from 'node:util';
import type koffi from 'koffi';
import type { LibraryHandle } from 'koffi';
import { systemCode } from '../errors.js';

export interface KernelFiles {
  /**
   * A file that has no name, open for reading and writing: O_TMPFILE of open(2). Without a name it is gone when it is
   * closed, however this process ends.
   *
   * @returns undefined where the folder's file system has no such files
   * @throws the system's error
   */
  openUnnamed(folder: string, mode: number): number | undefined;
  /**
   * Give an open file a name: linkat(2) with AT_SYMLINK_FOLLOW, which never replaces a file.
   *
   * @throws the system's error
   */
  link(fd: number, path: string): void;
  /** Let the disk begin to write what has been written to a file: sync_file_range(2). Waits for nothing. */
  startWriteback(fd: number): void;
  /**
   * Open for reading what can be found without waiting for a disk, and with no symbolic link on any level of its
   * path: openat2(2), of Linux 5.12.
   *
   * @returns undefined where it cannot be opened so, for whatever reason
   */
  openCached(path: string): number | undefined;
  /**
   * The first `bytes` bytes of a file if all are in memory, 32 KiB at most: preadv2(2) with RWF_NOWAIT.
   *
   * @returns undefined where they are not, or cannot be read so
   */
  readCached(fd: number, bytes: number): Buffer | undefined;
}

/** Calls on files that are in memory already. */
type CachedFiles = Pick<KernelFiles, 'openCached' | 'readCached'>;

/** Of <fcntl.h>, on Linux. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;
const SYNC_FILE_RANGE_WRITE = 2;
/** File systems and kernels without O_TMPFILE say one of these (open(2)). */
const NO_TMPFILE = new Set(['EOPNOTSUPP', 'EISDIR', 'EINVAL', 'ENOENT', 'ENOSYS']);

/** Of <fcntl.h>, <linux/openat2.h> and <sys/uio.h>. */
const O_CLOEXEC = 0o2000000;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_CACHED = 0x20;
const RWF_NOWAIT = 0x08;
/** The number of openat2(2) is the same on every architecture. */
const OPENAT2 = 437;
const CACHED_BYTES = 32 * 1024;

let loaded: KernelFiles | undefined;
let isLoading = false;

/** The calls if they are loaded; if not, they are loaded for the next time. */
export function kernelFiles(): KernelFiles | undefined {
  if (!isLoading && process.platform === 'linux') {
    isLoading = true;
    bind().then(
      (bound) => (loaded = bound),
      () => undefined,
    );
  }
  return loaded;
}

async function bind(): Promise<KernelFiles> {
  const { default: koffi } = await import('koffi');
  const libc = koffi.load(null);
  const linkat = libc.func(
    'int linkat(int from, const char *path, int to, const char *name, int flags)',
  ) as unknown as (from: number, path: string, to: number, name: string, flags: number) => number;
  const syncRange = libc.func(
    'int sync_file_range(int fd, int64_t offset, int64_t bytes, unsigned int flags)',
  ) as unknown as (fd: number, offset: number, bytes: number, flags: number) => number;
  return {
    openUnnamed: (folder, mode) => {
      try {
        return openSync(folder, O_TMPFILE | constants.O_RDWR, mode);
      } catch (error) {
        if (NO_TMPFILE.has(systemCode(error) ?? '')) return undefined;
        throw error;
      }
    },
    link: (fd, path) => {
      if (linkat(AT_FDCWD, `/proc/self/fd/${fd}`, AT_FDCWD, path, AT_SYMLINK_FOLLOW) === 0) return;
      const code = getSystemErrorName(-koffi.errno());
      throw Object.assign(new Error(`${code}: linkat ${path}`), { code, syscall: 'linkat', path });
    },
    startWriteback: (fd) => {
      syncRange(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    },
    ...cachedFiles(koffi, libc),
  };
}

function cachedFiles(...kernel: Parameters<typeof bindCached>): CachedFiles {
  try {
    return bindCached(...kernel);
  } catch {
    // A C library without these calls.
    return { openCached: () => undefined, readCached: () => undefined };
  }
}

function bindCached({ sizeof, address, errno }: typeof koffi, libc: LibraryHandle): CachedFiles {
  // The structures below are those of 64 bits.
  if (sizeof('void *') !== 8) throw new Error('not a system of 64 bits');
  const syscall = libc.func(
    'int64_t syscall(int64_t number, int64_t folder, const char *path, void *how, int64_t bytes)',
  ) as unknown as (
    number: number,
    folder: number,
    path: string,
    how: BigUint64Array,
    bytes: number,
  ) => number;
  const preadv2 = libc.func(
    'int64_t preadv64v2(int fd, void *vector, int count, int64_t offset, int flags)',
  ) as unknown as (
    fd: number,
    vector: BigUint64Array,
    count: number,
    offset: number,
    flags: number,
  ) => number;
  // What is not a regular file is not waited for, and refused when it is looked at.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | O_CLOEXEC;
  const how = BigUint64Array.of(BigInt(flags), 0n, BigInt(RESOLVE_NO_SYMLINKS | RESOLVE_CACHED));
  const memory = Buffer.allocUnsafeSlow(CACHED_BYTES);
  const vector = BigUint64Array.of(address(memory), BigInt(CACHED_BYTES));
  // Where one file system cannot read so (tmpfs, overlayfs), to open its files in vain would only cost time.
  let works = true;
  return {
    openCached: (path) => {
      const fd = works ? syscall(OPENAT2, AT_FDCWD, path, how, how.byteLength) : -1;
      return fd < 0 ? undefined : fd;
    },
    readCached: (fd, bytes) => {
      if (!works || bytes > CACHED_BYTES) return undefined;
      const read = preadv2(fd, vector, 1, 0, RWF_NOWAIT);
      if (read < 0 && errno() === os.errno.EOPNOTSUPP) works = false;
      if (read < bytes) return undefined;
      // Memory of its own: it may wait for long.
      const own = Buffer.allocUnsafeSlow(bytes);
      memory.copy(own, 0, 0, bytes);
      return own;
    },
  };
}
