/**
 * What must survive a restart: of every file its hash and what it was when it was hashed, and the
 * lists of every tree; and notes of others. Kept in LMDB, or, without a state folder, the lists alone in memory.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { open, type Database, type RootDatabase } from 'lmdb';
import { PeerError, asError } from '../errors.js';
import { listBytes, rootOf, type Lists, type Tree } from '../hash/tree.js';
import { damageOf } from './lmdb-file.js';
import { decodeRecord, encodeRecord, type StoredFile } from './record.js';
import { TimeSlicer } from '../support/time-slicer.js';
import { WriteBehind } from './write-behind.js';
import { blockCount, levelCounts } from '../wire/body.js';
import { HASH_BYTES } from '../wire/limits.js';

export type { StoredFile };

export interface Store {
  /** All files of the last run, by slot. May be iterated once, before anything is written. */
  load(): Iterable<{ slot: number; file: StoredFile }>;
  putFile(slot: number, file: StoredFile): void;
  deleteFile(slot: number): void;
  /** Keep a tree's lists; nothing to keep for a file of one block. */
  putTree(tree: Tree): void;
  /** The lists of a tree that is kept; undefined when it is not. */
  lists(hash: Uint8Array, size: number): Lists | undefined;
  deleteTree(hash: Uint8Array, size: number): void;
  /** Something else that shall survive a restart, under a name of its own. */
  note(name: string): Uint8Array | undefined;
  putNote(name: string, bytes: Uint8Array): void;
  /** Resolves when everything written so far is on the disk. */
  flushed(): Promise<void>;
  close(): Promise<void>;
}

const NO_LISTS: Lists = {
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

/** Changes whenever what is stored, or how, changes: a store of another version is set aside. */
const VERSION = 2;
/** Milliseconds in which writes are gathered for one transaction. */
const COMMIT_DELAY = 100;
// A record is decoded where it lies, not in a buffer made for it. (The package's types leave the
// encoder out.)
const FILES = {
  name: 'files',
  keyEncoding: 'uint32' as const,
  encoder: { encode: encodeRecord, decode: decodeRecord },
};

/** `root | level | index`: the lists of a tree stand together. */
function listKey(hash: Uint8Array, level: number, index: number): Buffer {
  const key = Buffer.allocUnsafe(HASH_BYTES + 5);
  key.set(hash, 0);
  key.writeUInt8(level, HASH_BYTES);
  key.writeUInt32BE(index, HASH_BYTES + 1);
  return key;
}

/** What a list is called among the writes. */
function listName(key: Buffer): string {
  return `list ${key.toString('latin1')}`;
}

/** Whether a process survives reading the store: tried in one of its own. */
async function survives(folder: string): Promise<boolean> {
  const script = fileURLToPath(new URL('./store-check.js', import.meta.url));
  const child = spawn(process.execPath, [script, folder], { stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0;
}

/** What becomes of writes. */
export interface StoreEvents {
  /** Nothing can be written, and why: the disk is full (ENOSPC), say. All is kept in memory meanwhile. */
  onTrouble(code: string): void;
  /** Everything has been written. */
  onWell(): void;
}

const SILENT: StoreEvents = { onTrouble: () => undefined, onWell: () => undefined };

/** Milliseconds that the store may take to close after a write that failed. */
const CLOSE_GRACE = 1000;

export class LmdbStore implements Store {
  readonly #root: RootDatabase<string, string>;
  readonly #files: Database<StoredFile | undefined, number>;
  readonly #lists: Database<Buffer, Buffer>;
  readonly #notes: Database<Buffer, string>;
  readonly #unwritten: WriteBehind;
  #guarded = false;

  private constructor(folder: string, on: StoreEvents) {
    this.#unwritten = new WriteBehind({ folder, ...on });
    this.#root = open<string, string>({
      path: folder,
      maxDbs: 4,
      encoding: 'string',
      commitDelay: COMMIT_DELAY,
    });
    this.#files = this.#root.openDB<StoredFile | undefined, number>(FILES);
    this.#lists = this.#root.openDB({ name: 'lists', keyEncoding: 'binary', encoding: 'binary' });
    this.#notes = this.#root.openDB({ name: 'notes', encoding: 'binary' });
  }

  /**
   * The store in a state folder. One that cannot be used is set aside, and an empty one made.
   *
   * @param onSetAside told why, and where the old one is now
   * @param on told when nothing can be written, and when it can again
   * @throws PeerError ERR_USAGE when the folder cannot be written to
   */
  static async open(
    state: string,
    onSetAside: (why: string, where: string) => void,
    on: StoreEvents = SILENT,
  ): Promise<LmdbStore> {
    const folder = join(state, 'index');
    // Left behind when the last start died while it looked at the store: killed, or by deep damage.
    const looking = join(state, 'index.opening');
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const fatal = existsSync(looking) && !(await survives(folder));
      const why = fatal ? 'it ended the last start' : undefined;
      writeFileSync(looking, '');
      const store = why ?? (await LmdbStore.#try(folder, on));
      if (store instanceof LmdbStore) return store;
      const aside = `${folder}.damaged`;
      rmSync(aside, { recursive: true, force: true });
      renameSync(folder, aside);
      onSetAside(store, aside);
      const fresh = await LmdbStore.#try(folder, on);
      if (fresh instanceof LmdbStore) return fresh;
      throw new Error(fresh);
    } catch (error) {
      const { message } = asError(error);
      throw new PeerError('ERR_USAGE', `cannot keep an index in ${state}: ${message}`, {
        cause: error,
      });
    } finally {
      rmSync(looking, { force: true });
    }
  }

  /** Whether the store in a folder can be opened and read. May end the process. */
  static async isSound(folder: string): Promise<boolean> {
    return (await LmdbStore.#try(folder, SILENT)) instanceof LmdbStore;
  }

  /** The store, or why it cannot be used. */
  static async #try(folder: string, on: StoreEvents): Promise<LmdbStore | string> {
    let store: LmdbStore | undefined;
    try {
      const damage = damageOf(join(folder, 'data.mdb'));
      if (damage !== undefined) return `it is damaged (${damage})`;
      store = new LmdbStore(folder, on);
      const version = store.#root.get('version');
      if (version === undefined && store.#files.getCount() === 0) {
        store.#root.putSync('version', String(VERSION));
        return store;
      }
      if (version === String(VERSION)) {
        await store.#goThrough();
        return store;
      }
      void store.#root.close();
      return `it is of another version (${version ?? 'unknown'})`;
    } catch (error) {
      if (store !== undefined) void store.#root.close();
      return `it is damaged (${asError(error).message})`;
    }
  }

  /**
   * Go through all records: a page that is damaged shows before anything relies on it.
   *
   * @throws the store's error
   */
  async #goThrough(): Promise<void> {
    const slices = new TimeSlicer();
    // The keys lie on the same pages as the records, and are read in a third of the time.
    for (const slot of this.#files.getKeys()) {
      if (slot < 0) return;
      if (slices.over) await slices.next();
    }
  }

  *load(): Generator<{ slot: number; file: StoredFile }> {
    for (const { key, value } of this.#files.getRange()) {
      // What cannot be a file is one that is not known: hashed again, and overwritten.
      if (value !== undefined) yield { slot: key, file: value };
    }
  }

  putFile(slot: number, file: StoredFile): void {
    this.#write(`file ${slot}`, undefined, () => this.#files.put(slot, file));
  }

  deleteFile(slot: number): void {
    this.#write(`file ${slot}`, undefined, () => this.#files.remove(slot));
  }

  putTree(tree: Tree): void {
    const hash = rootOf(tree);
    for (const [level, hashes] of tree.levels.entries()) {
      const lists = level === tree.levels.length - 1 ? 0 : Math.ceil(hashes.length / 32768);
      for (let index = 0; index < lists; index++) {
        const key = listKey(hash, level + 1, index);
        const list = Buffer.from(listBytes(tree, level + 1, index));
        this.#write(listName(key), list, () => this.#lists.put(key, list));
      }
    }
  }

  lists(hash: Uint8Array, size: number): Lists | undefined {
    const top = levelCounts(size).length - 1;
    if (top === 0) return NO_LISTS;
    // All of a tree is written at once: if its top is there, so is the rest.
    const key = listKey(hash, top, 0);
    const unwritten = this.#unwritten.find(listName(key));
    const isThere = unwritten ? unwritten.value !== undefined : this.#lists.doesExist(key);
    if (!isThere) return undefined;
    return {
      list: (level, index) => {
        const list = this.#list(listKey(hash, level, index));
        if (list === undefined) throw new PeerError('ERR_INTERNAL', 'a list is missing');
        return list;
      },
    };
  }

  deleteTree(hash: Uint8Array, size: number): void {
    const counts = levelCounts(size);
    for (let level = 1; level < counts.length; level++) {
      for (let index = 0; index < (counts[level] ?? 0); index++) {
        const key = listKey(hash, level, index);
        this.#write(listName(key), undefined, () => this.#lists.remove(key));
      }
    }
  }

  note(name: string): Uint8Array | undefined {
    return this.#notes.get(name);
  }

  putNote(name: string, bytes: Uint8Array): void {
    const note = Buffer.from(bytes);
    this.#write(`note ${name}`, note, () => this.#notes.put(name, note));
  }

  async flushed(): Promise<void> {
    await this.#unwritten.settled();
    await this.#root.flushed;
  }

  async close(): Promise<void> {
    await this.#unwritten.close();
    if (this.#unwritten.trouble === undefined) {
      await this.#root.flushed;
      await this.#root.close();
      return;
    }
    // After a commit that failed LMDB may wait for it for ever.
    await Promise.race([this.#root.close(), pause(CLOSE_GRACE)]);
  }

  /** A list, committed or not. */
  #list(key: Buffer): Uint8Array | undefined {
    const unwritten = this.#unwritten.find(listName(key));
    return unwritten === undefined ? this.#lists.get(key) : unwritten.value;
  }

  #write(name: string, value: Uint8Array | undefined, commit: () => Promise<unknown>): void {
    this.#unwritten.add({ name, value, commit });
    if (this.#guarded) return;
    this.#guarded = true;
    // The package makes another promise for what is written in one turn of the loop, which is rejected,
    // too, when the commit fails. It hands it out under this name, until the next write.
    setImmediate(() => {
      this.#guarded = false;
      this.#root.committed.then(nothing, nothing);
    });
  }
}

function nothing(): void {
  // Who wrote is told by a promise of its own.
}
