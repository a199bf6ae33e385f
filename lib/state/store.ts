/**
 * What must survive a restart: of every file its hash and what it was when it was hashed, the lists of
 * every tree, and notes of others. state/lmdb-store.ts keeps it in LMDB; here is the store of a node
 * without a state folder, which keeps the lists in memory and nothing else.
 */
import { listBytes, rootOf, type Lists, type Tree } from '../hash/tree.js';
import { blockCount } from '../wire/body.js';
import type { StoredFile } from './record.js';

export type { StoredFile };

export interface Store {
  /** All files of the last run, by slot. May be iterated once, before anything is written. */
  load(): Iterable<{ slot: number; file: StoredFile }>;
  putFile(slot: number, file: StoredFile): void;
  deleteFile(slot: number): void;
  /** Keep a tree's lists. A file of one block has none. */
  putTree(tree: Tree): void;
  /** The lists of a tree; undefined when they are not kept. */
  lists(hash: Uint8Array, size: number): Lists | undefined;
  deleteTree(hash: Uint8Array, size: number): void;
  /** Something else that must survive a restart, under a name of its own. */
  note(name: string): Uint8Array | undefined;
  putNote(name: string, bytes: Uint8Array): void;
  /** Resolves when everything written so far is on the disk. */
  flushed(): Promise<void>;
  close(): Promise<void>;
}

/** Of a file of one block. */
export const NO_LISTS: Lists = {
  list: () => {
    throw new TypeError('a file of one block has no lists');
  },
};

/** For nodes without a state folder. */
export class MemoryStore implements Store {
  readonly #trees = new Map<string, Tree>();

  load(): Iterable<{ slot: number; file: StoredFile }> {
    return [];
  }
  putFile(): void {
    // Nothing survives.
  }
  deleteFile(): void {
    // Nothing survives.
  }
  putTree(tree: Tree): void {
    if (tree.levels.length > 1) this.#trees.set(Buffer.from(rootOf(tree)).toString('hex'), tree);
  }
  lists(hash: Uint8Array, size: number): Lists | undefined {
    if (blockCount(size) === 1) return NO_LISTS;
    const tree = this.#trees.get(Buffer.from(hash).toString('hex'));
    if (tree === undefined) return undefined;
    return { list: (level, index) => listBytes(tree, level, index) };
  }
  deleteTree(hash: Uint8Array): void {
    this.#trees.delete(Buffer.from(hash).toString('hex'));
  }
  note(): undefined {
    return undefined;
  }
  putNote(): void {
    // Nothing survives.
  }
  flushed(): Promise<void> {
    return Promise.resolve();
  }
  close(): Promise<void> {
    this.#trees.clear();
    return Promise.resolve();
  }
}
