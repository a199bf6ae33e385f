/**
 * Files that may not be what was hashed though size and time say so: something about them was changed since
 * (their ctime, inode(7)), but not the time of their content. A program that writes into a file and puts its
 * time back leaves nothing else behind. Nor does chmod, and it is much more common: so such a file stays what
 * it is, and is hashed once more when somebody fetches it, and only then.
 */
import type { Opened } from '../disk/open.js';

/** Files that are remembered; then the first one is hashed again if it is fetched again. */
const MAX_FILES = 10_000;

export class RehashOnRead {
  /** Changes before are those of a time in which nobody looked: there size and time have to do. */
  readonly #since: bigint;
  /** The change that was looked into, by path. */
  readonly #known = new Map<string, bigint>();

  /** @param since milliseconds since 1970 */
  constructor(since: number) {
    this.#since = BigInt(since) * 1_000_000n;
  }

  /** Whether a file is to be hashed again. Answers it once for each change. */
  raises(path: string, { identity, changedNs }: Pick<Opened, 'identity' | 'changedNs'>): boolean {
    if (changedNs <= this.#since || changedNs === identity.mtimeNs) return false;
    if (this.#known.get(path) === changedNs) return false;
    this.#known.delete(path);
    this.#known.set(path, changedNs);
    if (this.#known.size > MAX_FILES) {
      for (const first of this.#known.keys()) {
        this.#known.delete(first);
        break;
      }
    }
    return true;
  }
}
