/**
 * Files that are left out though they can be seen: the disk does not give their bytes, or whoever hashes
 * them dies of it. Each is named once, and not tried again all the time.
 */
import { sameContent, type FileIdentity } from '../disk/open.js';

/** Milliseconds until a file that could not be read is tried again: the first time, and at most. */
const FIRST_PAUSE = 60_000;
const MAX_PAUSE = 24 * 60 * 60_000;
/** How many times longer each pause is than the one before. */
const LONGER = 4;

interface Aside {
  identity: FileIdentity;
  code: string;
  pause: number;
  /** When it may be tried again, by Date.now(). */
  due: number;
}

export class Quarantine {
  readonly #files = new Map<string, Aside>();

  /**
   * @param code why
   * @param forGood until it changes, or the node starts again
   * @returns whether that is news
   */
  add(path: string, identity: FileIdentity, code: string, forGood: boolean): boolean {
    const before = this.#files.get(path);
    const isNews = before?.code !== code || !sameContent(before.identity, identity);
    const again = Math.min(MAX_PAUSE, isNews ? FIRST_PAUSE : before.pause * LONGER);
    const pause = forGood ? Infinity : again;
    this.#files.set(path, { identity, code, pause, due: Date.now() + pause });
    return isNews;
  }

  /** Whether this file shall not be tried now. */
  holds(path: string, identity: FileIdentity): boolean {
    const file = this.#files.get(path);
    if (file === undefined) return false;
    if (sameContent(file.identity, identity)) return Date.now() < file.due;
    this.#files.delete(path);
    return false;
  }

  /** It is all right, or gone. */
  delete(path: string): void {
    this.#files.delete(path);
  }
}
