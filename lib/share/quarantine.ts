/**
 * Files that are skipped although they are there, because hashing them fails: the disk does not give their
 * bytes, or the hashing thread dies. Each is reported once, and retried after growing pauses.
 */
import { sameContent, type FileIdentity } from '../disk/open.js';

/** Milliseconds until a file that could not be read is tried again: the first time, and at most. */
const FIRST_PAUSE = 60_000;
const MAX_PAUSE = 24 * 60 * 60_000;
/** How many times longer each pause is than the one before. */
const FACTOR = 4;

interface Entry {
  identity: FileIdentity;
  code: string;
  pause: number;
  /** When it may be tried again, by Date.now(). */
  due: number;
}

export class Quarantine {
  readonly #files = new Map<string, Entry>();

  /**
   * @param code why
   * @param forGood until it changes, or the node is restarted
   * @returns whether this was not known yet
   */
  add(path: string, identity: FileIdentity, code: string, forGood: boolean): boolean {
    const before = this.#files.get(path);
    const isNews = before?.code !== code || !sameContent(before.identity, identity);
    const again = Math.min(MAX_PAUSE, isNews ? FIRST_PAUSE : before.pause * FACTOR);
    const pause = forGood ? Infinity : again;
    this.#files.set(path, { identity, code, pause, due: Date.now() + pause });
    return isNews;
  }

  /** Whether a file must not be hashed now. */
  holds(path: string, identity: FileIdentity): boolean {
    const file = this.#files.get(path);
    if (file === undefined) return false;
    if (sameContent(file.identity, identity)) return Date.now() < file.due;
    this.#files.delete(path);
    return false;
  }

  /** The file was hashed, or is gone. */
  delete(path: string): void {
    this.#files.delete(path);
  }
}
