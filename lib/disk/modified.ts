/** The time of a file's last change. */
import { fstatSync, futimesSync } from 'node:fs';
import { systemCode } from '../errors.js';

/** Seconds between two times that a file system can tell apart, at most: FAT's. */
const CLOCK_STEP = 2;
/** Times that every file system can hold, in seconds since 1970: FAT from 1980, old ones below 2^31. */
const FIRST = 315_619_200;
const END = 2 ** 31;

/**
 * Set it, as far as the file system can hold that: else it is left as it is.
 *
 * @param seconds since 1970
 */
export function setModified(fd: number, seconds: number): void {
  const now = Date.now() / 1000;
  try {
    futimesSync(fd, now, seconds);
    if (seconds >= FIRST && seconds < END) return;
    // What is beyond its range Linux sets to the end of it.
    if (Math.abs(fstatSync(fd).mtimeMs / 1000 - seconds) > CLOCK_STEP) futimesSync(fd, now, now);
  } catch (error) {
    // Some file systems keep no times. The file is whole without.
    if (systemCode(error) === undefined) throw error;
  }
}
