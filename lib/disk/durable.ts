/**
 * Names that outlast a power failure: a file's bytes are on the disk before it gets its name, and the
 * name is on the disk before anybody relies on it (fsync(2), "Calling fsync() does not necessarily
 * ensure that the entry in the directory containing the file has also reached disk").
 */
import { constants, fsync, mkdirSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { systemCode } from '../errors.js';

/** File systems that cannot sync folders (some network and FUSE ones) say one of these. */
const NO_SYNC = new Set(['EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EBADF']);

const fsyncAsync = promisify(fsync);

/**
 * Wait until the names in a folder are on the disk. Where folders cannot be synced it does nothing.
 *
 * @param folder its path, or a descriptor of it, which stays open
 */
export async function syncFolder(folder: string | number): Promise<void> {
  if (process.platform === 'win32') return;
  if (typeof folder === 'string') {
    const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await syncFolder(handle.fd);
    } finally {
      await handle.close();
    }
    return;
  }
  try {
    await fsyncAsync(folder);
  } catch (error) {
    if (!NO_SYNC.has(systemCode(error) ?? '')) throw error;
  }
}

/**
 * Make a folder, and those above it that are missing. (mkdir's own `recursive` never ends, in Node 20,
 * where a folder cannot be made: in /proc.)
 *
 * @returns the folders that were made
 * @throws the system's error
 */
export function makeFolders(folder: string, mode = 0o777): string[] {
  try {
    mkdirSync(folder, { mode });
    return [folder];
  } catch (error) {
    if (isFolder(folder)) return [];
    const above = dirname(folder);
    if (systemCode(error) !== 'ENOENT' || above === folder || isFolder(above)) throw error;
    return [...makeFolders(above, mode), ...makeFolders(folder, mode)];
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** The same, and their names are on the disk. */
export async function makeFolder(folder: string, mode: number): Promise<void> {
  for (const made of makeFolders(folder, mode)) await syncFolder(dirname(made));
}

/**
 * Write a whole file, in place of the one with that name if there is one. Whatever happens the name
 * stands for the old bytes or the new ones. It goes by way of `FILE.new`, so one writer at a time.
 *
 * @throws the system's error; the name then still stands for what it did
 */
export async function replaceFile(file: string, bytes: Uint8Array, mode: number): Promise<void> {
  const fresh = `${file}.new`;
  try {
    // Left behind by a process that was killed.
    await rm(fresh, { force: true });
    const handle = await open(fresh, 'wx', mode);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(fresh, file);
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncFolder(dirname(file));
}
