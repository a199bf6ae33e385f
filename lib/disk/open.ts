/**
 * Open a file of the share for reading, and only that: whatever else stands at the path now (a
 * symbolic link on any level, a fifo, a device) is refused without being opened for real.
 *
 * The check is made on the open descriptor, so that a folder swapped for a link between the look and
 * the open changes nothing.
 */
import {
  accessSync,
  constants,
  closeSync,
  fstatSync,
  lstatSync,
  open as openCallback,
  openSync,
  read,
  readlinkSync,
  realpathSync,
} from 'node:fs';
import { access, lstat, open, readlink, realpath, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BigIntStats } from 'node:fs';
import { PeerError } from '../errors.js';
import { kernelFiles } from './kernel-files.js';

/** Tells whether a file is still the one that was hashed. */
export interface FileIdentity {
  /** Bytes. */
  size: number;
  /**
   * Time of last modification, nanoseconds since 1970, modulo 2^64: file systems hold times before 1677 and
   * after 2262, which wrap round here, and are still told apart.
   */
  mtimeNs: bigint;
  /** When the inode was made (statx(2)), likewise; 0 where the file system does not say. */
  birthNs: bigint;
  ino: bigint;
}

/** What was opened is. */
export interface Opened {
  identity: FileIdentity;
  /** When anything about it was changed last (ctime), nanoseconds since 1970. */
  changedNs: bigint;
}

export function identityOf(stat: BigIntStats): FileIdentity {
  return {
    size: Number(stat.size),
    mtimeNs: BigInt.asIntN(64, stat.mtimeNs),
    birthNs: BigInt.asIntN(64, stat.birthtimeNs),
    ino: stat.ino,
  };
}

/**
 * Whether the content can be taken as unchanged: size and mtime, and no other file in its place, which may
 * have both (SOURCE_DATE_EPOCH). Never ctime, inode or device, which change when nothing of the content did
 * (chmod, another mount).
 */
export function sameContent(a: FileIdentity, b: FileIdentity): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && sameBirth(a, b);
}

/** Whether two may be the same file: where the file system does not say, any two may. */
export function sameBirth(a: Pick<FileIdentity, 'birthNs'>, b: typeof a): boolean {
  return a.birthNs === b.birthNs || a.birthNs === 0n || b.birthNs === 0n;
}

/** All may read it: no need to ask the system. */
const READ_BY_ALL = 0o444n;

/** Whether this process may read a file. Permissions are no part of a file's identity: they change. */
export async function readable(path: string, { mode }: BigIntStats): Promise<boolean> {
  if ((mode & READ_BY_ALL) === READ_BY_ALL) return true;
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

/** The same, synchronous: for workers. */
export function readableSync(path: string, { mode }: BigIntStats): boolean {
  if ((mode & READ_BY_ALL) === READ_BY_ALL) return true;
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

// O_NONBLOCK: opening a fifo without a writer would wait for ever. It means nothing to files.
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

// Linux says where a descriptor really is; elsewhere the path is resolved again after the open.
const FD_LINKS = process.platform === 'linux';

const openFd = promisify<string, number, number>(openCallback);
const readFd = promisify(read);

function refuse(path: string, why: string): PeerError {
  return new PeerError('ERR_FORBIDDEN', `${path}: ${why}`);
}

function notRegular(stat: BigIntStats): boolean {
  return !stat.isFile();
}

/**
 * @param root the share's folder, resolved (no symbolic link in it)
 * @param path inside the share, separated by `/`
 * @throws PeerError ERR_FORBIDDEN when it is not a regular file that lies there; the system's error
 *   when it cannot be opened.
 */
export async function openInside(
  root: string,
  path: string,
): Promise<Opened & { handle: FileHandle }> {
  const full = join(root, path);
  const handle = await open(full, FLAGS);
  try {
    const stat = await handle.stat({ bigint: true });
    if (notRegular(stat)) throw refuse(path, 'not a regular file');
    if (FD_LINKS) {
      const real = await readlink(`/proc/self/fd/${handle.fd}`);
      if (real !== full) throw refuse(path, 'not where it seems to be');
    } else {
      const there = await lstat(full, { bigint: true });
      if ((await realpath(full)) !== full || there.ino !== stat.ino || there.dev !== stat.dev) {
        throw refuse(path, 'not where it seems to be');
      }
    }
    return { handle, identity: identityOf(stat), changedNs: stat.ctimeNs };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * All bytes of a small file that lies inside, if it is what it was: at once where they are in memory (5 us), else two
 * ways to the thread pool instead of five (60 us). What looks at the open descriptor alone does not wait for a disk.
 *
 * @param expect what the file was
 * @returns undefined when it is not that any more
 * @throws as `openInside`
 */
export async function readInside(
  root: string,
  path: string,
  expect: FileIdentity,
): Promise<Buffer | undefined> {
  // Elsewhere the path has to be looked at again.
  if (!FD_LINKS) return readOpened(await openInside(root, path), expect);
  const full = join(root, path);
  const kernel = kernelFiles();
  const cached = kernel?.openCached(full);
  const fd = cached ?? (await openFd(full, FLAGS));
  try {
    const stat = fstatSync(fd, { bigint: true });
    if (notRegular(stat)) throw refuse(path, 'not a regular file');
    // The other way follows no link.
    if (cached === undefined && readlinkSync(`/proc/self/fd/${fd}`) !== full) {
      throw refuse(path, 'not where it seems to be');
    }
    if (!sameContent(identityOf(stat), expect)) return undefined;
    const now = kernel?.readCached(fd, expect.size);
    if (now !== undefined) return now;
    const bytes = Buffer.allocUnsafe(expect.size);
    const { bytesRead } = await readFd(fd, bytes, 0, bytes.length, 0);
    return bytesRead === bytes.length ? bytes : undefined;
  } finally {
    closeSync(fd);
  }
}

async function readOpened(
  { handle, identity }: Opened & { handle: FileHandle },
  expect: FileIdentity,
): Promise<Buffer | undefined> {
  try {
    if (!sameContent(identity, expect)) return undefined;
    const bytes = Buffer.allocUnsafe(expect.size);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    return bytesRead === bytes.length ? bytes : undefined;
  } finally {
    await handle.close();
  }
}

/** The same, synchronous: for workers. The caller closes the descriptor. */
export function openInsideSync(root: string, path: string): Opened & { fd: number } {
  const full = join(root, path);
  const fd = openSync(full, FLAGS);
  try {
    const stat = fstatSync(fd, { bigint: true });
    if (notRegular(stat)) throw refuse(path, 'not a regular file');
    if (FD_LINKS) {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== full) {
        throw refuse(path, 'not where it seems to be');
      }
    } else {
      const there = lstatSync(full, { bigint: true });
      if (realpathSync(full) !== full || there.ino !== stat.ino || there.dev !== stat.dev) {
        throw refuse(path, 'not where it seems to be');
      }
    }
    return { fd, identity: identityOf(stat), changedNs: stat.ctimeNs };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * The same for many files, one after the other: a folder is checked once for those in it, and files are
 * opened below its descriptor, so that whatever the path means meanwhile, they lie in that folder.
 */
export class FolderOpener {
  readonly #root: string;
  #folder: string | undefined;
  #fd = -1;

  constructor(root: string) {
    this.#root = root;
  }

  /** As `openInsideSync`. */
  open(path: string): { fd: number; identity: FileIdentity } {
    if (!FD_LINKS) return openInsideSync(this.#root, path);
    const slash = path.lastIndexOf('/');
    const folder = slash < 0 ? '' : path.slice(0, slash);
    if (folder !== this.#folder) this.#enter(folder);
    const fd = openSync(`/proc/self/fd/${this.#fd}/${path.slice(slash + 1)}`, FLAGS);
    try {
      const stat = fstatSync(fd, { bigint: true });
      if (notRegular(stat)) throw refuse(path, 'not a regular file');
      return { fd, identity: identityOf(stat) };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#folder = undefined;
  }

  #enter(folder: string): void {
    this.close();
    const full = folder === '' ? this.#root : join(this.#root, folder);
    const fd = openSync(full, constants.O_RDONLY | constants.O_DIRECTORY);
    if (readlinkSync(`/proc/self/fd/${fd}`) !== full) {
      closeSync(fd);
      throw refuse(folder, 'not where it seems to be');
    }
    this.#fd = fd;
    this.#folder = folder;
  }
}
