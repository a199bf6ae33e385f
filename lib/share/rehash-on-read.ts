/**
 * Which files are hashed again when they are read, because their content may have changed though size and
 * time have not. A program that writes into a file and puts its time back leaves only a new ctime (inode(7))
 * behind. So does chmod, which is much more common: therefore such a file is still served, and is hashed
 * again only when somebody fetches it.
 */
import type { FileIdentity, Opened } from '../disk/open.js';

/** Files that are remembered; then the first one is hashed again if it is fetched again. */
const MAX_FILES = 10_000;

export class RehashOnRead {
  /** Changes before are those of a time in which nobody looked: there size and time have to do. */
  readonly #since: bigint;
  /** The change that was looked into, by path; with a slash behind it where a transfer was ended. */
  readonly #known = new Map<string, bigint>();

  /** @param since milliseconds since 1970 */
  constructor(since: number) {
    this.#since = BigInt(since) * 1_000_000n;
  }

  /** Whether a file is to be hashed again. Answers it once for each change. */
  needsRehash(
    path: string,
    { identity, changedNs }: Pick<Opened, 'identity' | 'changedNs'>,
  ): boolean {
    if (changedNs <= this.#since || changedNs === identity.mtimeNs) return false;
    return this.#isNew(path, changedNs);
  }

  /**
   * Whether a file is to be hashed again whose transfer was ended by the receiver, which may have found that
   * the bytes are not those of the hash. Answers it once for each time of its content.
   */
  needsRehashAfterAbort(path: string, { mtimeNs }: FileIdentity): boolean {
    return this.#isNew(`${path}/`, mtimeNs);
  }

  #isNew(key: string, time: bigint): boolean {
    if (this.#known.get(key) === time) return false;
    this.#known.delete(key);
    this.#known.set(key, time);
    if (this.#known.size > MAX_FILES) this.#known.delete(this.#known.keys().next().value ?? '');
    return true;
  }
}
