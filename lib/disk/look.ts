/** What stands at a path: whether it is what it was, and a file that only we write to. */
import { fchmodSync, fstatSync, lstatSync, openSync, renameSync, type BigIntStats } from 'node:fs';
import { systemCode } from '../errors.js';

const OTHERS_WRITE = 0o002;

/** What stood at a name; undefined: nothing. */
export interface Looked {
  readonly there: BigIntStats | undefined;
}

/** What stands at a path itself; undefined when nothing does. */
export function look(path: string): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

/** @returns undefined when nothing stands there, or a link that is not to be followed */
export function openIfThere(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags);
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ELOOP') return undefined;
    throw error;
  }
}

export function isSame(a: BigIntStats, b: BigIntStats): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

export function isUnchanged(a: BigIntStats, b: BigIntStats): boolean {
  return isSame(a, b) && a.size === b.size && a.mtimeNs === b.mtimeNs;
}

export function ourUid(): bigint {
  return BigInt(process.geteuid?.() ?? 0);
}

/** Whether an open file is regular, and other users do not write to it. */
export function isOurs(fd: number, stat: BigIntStats): boolean {
  if (!stat.isFile() || stat.nlink !== 1n || stat.uid !== ourUid()) return false;
  const mode = Number(stat.mode);
  if ((mode & OTHERS_WRITE) === 0) return true;
  // Some file systems keep no modes: there every file looks like this.
  fchmodSync(fd, mode & 0o777 & ~OTHERS_WRITE);
  if ((fstatSync(fd).mode & OTHERS_WRITE) !== 0) return true;
  fchmodSync(fd, mode & 0o777);
  return false;
}

/** Put a file back under the part's name, unless another stands there. */
export function giveBack(own: string, part: string): void {
  try {
    if (look(part) === undefined) renameSync(own, part);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}
