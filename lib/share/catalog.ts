/**
 * What this node has, in memory: files by path, by hash and by name. Only files that were hashed are
 * in it, so that everything found can be fetched.
 */
import type { FileIdentity } from '../disk/open.js';
import { rootOf, type Tree } from '../hash/tree.js';
import { MAX_FILES, MAX_FILES_PATH_BYTES } from '../wire/limits.js';
import type { FileMatch, Hash } from '../wire/messages.js';
import { fold, matches, termsOf } from './names.js';

export interface SharedFile {
  /** Inside the share, separated by `/`. */
  readonly path: string;
  readonly hash: Hash;
  readonly identity: FileIdentity;
  readonly tree: Tree;
}

export interface Page {
  total: number;
  files: FileMatch[];
  /** Present when there are more. */
  after: Uint8Array | undefined;
}

interface Entry extends SharedFile {
  readonly folded: string;
}

export class Catalog {
  readonly #byPath = new Map<string, Entry>();
  readonly #byHash = new Map<Hash, Set<Entry>>();
  /** Entries in the order of their paths, made when a search needs it. */
  #sorted: Entry[] | undefined;
  #bytes = 0;

  get files(): number {
    return this.#byPath.size;
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.#bytes;
  }

  get(path: string): SharedFile | undefined {
    return this.#byPath.get(path);
  }

  /** Files with this content. */
  withHash(hash: Hash): readonly SharedFile[] {
    return [...(this.#byHash.get(hash) ?? [])];
  }

  /** Add a file, or replace what is known of it. */
  set(path: string, identity: FileIdentity, tree: Tree): SharedFile {
    this.delete(path);
    const hash = Buffer.from(rootOf(tree)).toString('hex');
    const entry: Entry = { path, hash, identity, tree, folded: fold(path) };
    this.#byPath.set(path, entry);
    const same = this.#byHash.get(hash);
    if (same === undefined) this.#byHash.set(hash, new Set([entry]));
    else same.add(entry);
    this.#bytes += identity.size;
    this.#sorted = undefined;
    return entry;
  }

  delete(path: string): boolean {
    const entry = this.#byPath.get(path);
    if (entry === undefined) return false;
    this.#byPath.delete(path);
    const same = this.#byHash.get(entry.hash);
    same?.delete(entry);
    if (same?.size === 0) this.#byHash.delete(entry.hash);
    this.#bytes -= entry.identity.size;
    this.#sorted = undefined;
    return true;
  }

  /**
   * One page of the files that match, in the order of their paths.
   *
   * @param max entries wanted; a page also ends at the limits of RPFL
   * @param after cursor of the page before; whatever was added or removed since, no file that stayed
   *   is left out or comes twice
   */
  search(query: string, max = MAX_FILES, after?: Uint8Array): Page {
    const terms = termsOf(query);
    const behind = after === undefined ? undefined : Buffer.from(after).toString();
    this.#sorted ??= [...this.#byPath.values()].sort(byPath);
    const files: FileMatch[] = [];
    const limit = Math.min(Math.max(max, 1), MAX_FILES);
    let total = 0;
    let pathBytes = 0;
    let more = false;
    for (const entry of this.#sorted) {
      if (!matches(entry.folded, terms)) continue;
      total++;
      if (more || (behind !== undefined && !(entry.path > behind))) continue;
      pathBytes += Buffer.byteLength(entry.path);
      if (files.length === limit || pathBytes > MAX_FILES_PATH_BYTES) {
        more = true;
        continue;
      }
      files.push({ path: entry.path, hash: entry.hash, size: entry.identity.size });
    }
    const last = files.at(-1);
    return { total, files, after: more && last !== undefined ? Buffer.from(last.path) : undefined };
  }
}

function byPath(a: Entry, b: Entry): number {
  return a.path < b.path ? -1 : a.path > b.path ? 1 : 0;
}
