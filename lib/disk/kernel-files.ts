/**
 * Calls on files that Node has not. By way of `koffi`, an optional dependency; without it, and on other systems
 * than Linux, files go another way.
 */
import { constants, openSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
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
}

/** Of <fcntl.h>, on Linux. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;
const SYNC_FILE_RANGE_WRITE = 2;
/** File systems and kernels without O_TMPFILE say one of these (open(2)). */
const NO_TMPFILE = new Set(['EOPNOTSUPP', 'EISDIR', 'EINVAL', 'ENOENT', 'ENOSYS']);

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
  };
}
