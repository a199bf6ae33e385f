/**
 * What this node has: files by path, by hash, by inode and by name, in memory and in the store. Only
 * files that were hashed are published, so that everything found can be fetched.
 */
import type { FileIdentity } from '../disk/open.js';
import { rootOf, type Lists, type Tree } from '../hash/tree.js';
import type { FileMatch, Hash } from '../wire/messages.js';
import { Columns } from './columns.js';
import { folderPage, type FolderPage } from './folder-page.js';
import { Folders } from './folders.js';
import { searchPage, type Page } from './search-page.js';
import { NameIndex } from '../name-index/name-index.js';
import type { Store } from '../state/store.js';

export interface SharedFile {
  readonly slot: number;
  /** Inside the share, separated by `/`. */
  readonly path: string;
  readonly hash: Hash;
  readonly identity: FileIdentity;
}

/** What a slot is: free; in the store, but not seen since the start; or published. */
const FREE = 0;
const KNOWN = 1;
const PUBLISHED = 2;

/** A time that no file has, for the records of those that are to be hashed again after a restart. */
const NEVER = -(2n ** 63n);

export class Catalog {
  readonly #store: Store;
  readonly #columns = new Columns();
  readonly #names = new NameIndex();
  readonly #folders = new Folders();
  #states = new Uint8Array(1024);
  /** The scan that saw a slot last. */
  #scans = new Uint32Array(1024);
  #scan = 0;
  /** Slots of published files that are not settled. */
  readonly #racy = new Set<number>();
  #files = 0;
  #bytes = 0;
  #restored = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  get files(): number {
    return this.#files;
  }

  /** Files that the store knew. */
  get restored(): number {
    return this.#restored;
  }

  /** Bytes of all files. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Take what the store knows, in steps. Nothing of it is published until it is confirmed. */
  *restore(): Generator<void> {
    this.#restored = 0;
    for (const { slot, file } of this.#store.load()) {
      this.#columns.add(file.path, file.hash, file.identity, slot);
      this.#mark(slot, KNOWN);
      this.#restored++;
      yield;
    }
  }

  /** The published file at a path. */
  get(path: string): SharedFile | undefined {
    const slot = this.#columns.find(path);
    return slot >= 0 && this.#states[slot] === PUBLISHED ? this.#fileAt(slot) : undefined;
  }

  /** Whether anything is known of a path, published or not. */
  knows(path: string): boolean {
    return this.#columns.find(path) >= 0;
  }

  /** Published files with this content. */
  withHash(hash: Hash): SharedFile[] {
    const found: SharedFile[] = [];
    for (const slot of this.#columns.withHash(hash)) {
      if (this.#states[slot] === PUBLISHED) found.push(this.#fileAt(slot));
      // Copies are tried one after the other, and a hundred are enough.
      if (found.length === 100) break;
    }
    return found;
  }

  /** The lists of a file's tree. */
  lists(hash: Hash, size: number): Lists | undefined {
    return this.#store.lists(Buffer.from(hash, 'hex'), size);
  }

  /** The hash of a file that is known under another name: the same inode, unchanged. */
  hashOfSameFile(identity: FileIdentity): Uint8Array | undefined {
    const slot = this.#columns.sameFile(identity);
    if (slot < 0 || this.#racy.has(slot)) return undefined;
    const hash = this.#columns.hashBytes(slot);
    return this.#store.lists(hash, identity.size) === undefined ? undefined : hash;
  }

  /**
   * This stands at a path: if it is as it was when it was hashed, publish it. If it is not, it is
   * shown no longer; what is known is kept for a while, in case it was only renamed.
   */
  confirm(
    path: string,
    identity: FileIdentity,
  ): 'unknown' | 'unpublished' | 'published' | 'unchanged' {
    const slot = this.#columns.find(path);
    if (slot < 0) return 'unknown';
    if (!this.#columns.hasContentOf(slot, identity)) {
      if (this.#states[slot] !== PUBLISHED) return 'unknown';
      this.#hide(slot);
      return 'unpublished';
    }
    this.#scans[slot] = this.#scan;
    if (!this.#columns.hasInodeOf(slot, identity)) {
      this.#columns.setIdentity(slot, identity);
      this.#put(slot, path);
    }
    if (this.#states[slot] === PUBLISHED) return 'unchanged';
    this.#show(slot, path);
    return 'published';
  }

  /** Publish a file that was hashed; its tree's lists are kept. */
  publishTree(path: string, identity: FileIdentity, tree: Tree, isRacy = false): void {
    this.#store.putTree(tree);
    this.publish(path, identity, rootOf(tree), isRacy);
  }

  /**
   * Publish a file with content whose lists are kept already.
   *
   * @param isRacy its size and time may be those of other content, too: until it is settled, its hash is not
   *   taken over a restart, nor by another name
   */
  publish(path: string, identity: FileIdentity, hash: Uint8Array, isRacy = false): void {
    const old = this.#columns.find(path);
    if (old >= 0) this.#remove(old, hash);
    const slot = this.#columns.add(path, hash, identity);
    this.#mark(slot, KNOWN);
    this.#scans[slot] = this.#scan;
    if (isRacy) this.#racy.add(slot);
    this.#put(slot, path);
    this.#show(slot, path);
  }

  /** The content of a published file has been verified. */
  settle(path: string): void {
    const slot = this.#columns.find(path);
    if (slot >= 0 && this.#racy.delete(slot)) this.#put(slot, path);
  }

  /**
   * A file is gone, or is not what it was: show it no longer, but keep what is known for a while, in
   * case it was only renamed.
   *
   * @returns whether it was shown
   */
  unpublish(path: string): boolean {
    const slot = this.#columns.find(path);
    if (slot < 0 || this.#states[slot] !== PUBLISHED) return false;
    this.#hide(slot);
    return true;
  }

  /** Forget a file in its grace period, unless it has come back. */
  forget(path: string): void {
    const slot = this.#columns.find(path);
    if (slot >= 0 && this.#states[slot] === KNOWN) this.#remove(slot);
  }

  /** Published files below a folder. */
  below(folder: string): string[] {
    return Array.from(this.#folders.below(folder), (slot) => this.#pathOf(slot));
  }

  /** Published files in a folder itself. */
  directlyIn(folder: string): string[] {
    return Array.from(this.#folders.directlyIn(folder), (slot) => this.#pathOf(slot));
  }

  /** One page of what is in a folder: as `folderPage`. */
  *list(folder: string, max: number, after?: string): Generator<void, FolderPage | undefined> {
    const folders = this.#folders.foldersIn(folder);
    if (folders === undefined) return undefined;
    const slots = Int32Array.from(this.#folders.directlyIn(folder));
    // Files come and go between the steps.
    const pathOf = (slot: number): string | undefined =>
      this.#states[slot] === PUBLISHED ? this.#names.path(slot) : undefined;
    const matchAt = (slot: number): FileMatch => this.match(slot);
    return yield* folderPage(folder, { folders, slots, pathOf, matchAt }, max, after);
  }

  /** Files in a folder and below it, in steps; undefined: there are more than `max`. */
  *allBelow(folder: string, max: number): Generator<void, FileMatch[] | undefined> {
    const slots: number[] = [];
    for (const slot of this.#folders.below(folder)) {
      if (slots.length === max) return undefined;
      slots.push(slot);
    }
    const prefix = folder === '' ? '' : `${folder}/`;
    const files: FileMatch[] = [];
    for (const [i, slot] of slots.entries()) {
      if (i % 64 === 63) yield;
      // Files come and go between the steps.
      if (this.#states[slot] !== PUBLISHED) continue;
      const file = this.match(slot);
      if (file.path.startsWith(prefix)) files.push(file);
    }
    return files;
  }

  /** Begin a scan: what it does not see is gone. */
  beginScan(): void {
    this.#scan++;
  }

  /** Published files that the scan did not see. */
  *unseen(): Generator<string> {
    for (let slot = 0; slot < this.#states.length; slot++) {
      if (this.#states[slot] === PUBLISHED && this.#scans[slot] !== this.#scan) {
        yield this.#pathOf(slot);
      }
    }
  }

  /** Forget what the store knew and no scan has confirmed, in steps. */
  *forgetUnconfirmed(): Generator<void> {
    for (let slot = 0; slot < this.#states.length; slot++) {
      if (this.#states[slot] !== KNOWN) continue;
      this.#remove(slot);
      yield;
    }
  }

  /** Show nothing of the share, but keep what is known: it may come back as it was. */
  hideAll(): void {
    for (let slot = 0; slot < this.#states.length; slot++) {
      if (this.#states[slot] === PUBLISHED) this.#hide(slot);
    }
  }

  /** What is listed of a file. */
  match(slot: number): FileMatch {
    const columns = this.#columns;
    const [hash, size] = [columns.hash(slot), columns.size(slot)];
    return { path: this.#pathOf(slot), hash, size, modified: columns.modified(slot) };
  }

  /** One page of the files that match: as `searchPage`. */
  search(query: string, max?: number, after?: Uint8Array): Generator<number, Page> {
    return searchPage(this.#names, (slot) => this.match(slot), { query, max, after });
  }

  #fileAt(slot: number): SharedFile {
    return {
      slot,
      path: this.#pathOf(slot),
      hash: this.#columns.hash(slot),
      identity: this.#columns.identity(slot),
    };
  }

  /** The path of a slot that is published. */
  #pathOf(slot: number): string {
    const path = this.#names.path(slot);
    if (path === undefined) throw new TypeError('a published file has a path');
    return path;
  }

  #put(slot: number, path: string): void {
    const identity = this.#columns.identity(slot);
    if (this.#racy.has(slot)) identity.mtimeNs = NEVER;
    this.#store.putFile(slot, { path, hash: this.#columns.hashBytes(slot), identity });
  }

  #show(slot: number, path: string): void {
    this.#names.add(slot, path);
    this.#folders.add(slot, path);
    this.#mark(slot, PUBLISHED);
    this.#files++;
    this.#bytes += this.#columns.size(slot);
  }

  #hide(slot: number): void {
    this.#folders.remove(slot, this.#pathOf(slot));
    this.#names.remove(slot);
    this.#mark(slot, KNOWN);
    this.#files--;
    this.#bytes -= this.#columns.size(slot);
  }

  /** @param keeps a hash whose lists are wanted in any case */
  #remove(slot: number, keeps?: Uint8Array): void {
    if (this.#states[slot] === PUBLISHED) this.#hide(slot);
    const hash = this.#columns.hashBytes(slot);
    if (this.#columns.isOnly(slot) && !(keeps !== undefined && hash.equals(keeps))) {
      this.#store.deleteTree(hash, this.#columns.size(slot));
    }
    this.#columns.remove(slot);
    this.#racy.delete(slot);
    this.#store.deleteFile(slot);
    this.#mark(slot, FREE);
  }

  #mark(slot: number, state: number): void {
    if (slot >= this.#states.length) {
      const states = new Uint8Array(Math.max(slot + 1, this.#states.length * 2));
      const scans = new Uint32Array(states.length);
      states.set(this.#states);
      scans.set(this.#scans);
      this.#states = states;
      this.#scans = scans;
    }
    this.#states[slot] = state;
  }
}
