/**
 * What must survive a restart: of every file its hash and what it was when it was hashed, and the
 * lists of every tree; and notes of others. Kept in LMDB, or, without a state folder, the lists alone in memory.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open, type Database, type RootDatabase } from 'lmdb';
import type { FileIdentity } from '../disk/open.js';
import { PeerError, asError } from '../errors.js';
import { listBytes, rootOf, type Lists, type Tree } from '../hash/tree.js';
import { damageOf } from './lmdb-file.js';
import { Slices } from './slices.js';
import { blockCount, levelCounts } from '../wire/body.js';
import { HASH_BYTES } from '../wire/limits.js';

export interface StoredFile {
  path: string;
  /** The root, 32 bytes. */
  hash: Uint8Array;
  identity: FileIdentity;
}

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
const VERSION = 1;
/** Milliseconds in which writes are gathered for one transaction. */
const COMMIT_DELAY = 100;
/** Bytes before the path in a file's record: hash, size, mtime, dev, ino. */
const RECORD_HEAD = HASH_BYTES + 4 * 8;

/** Numbers of one record, in the machine's byte order, which is little-endian wherever Node runs. */
const scratch = new BigUint64Array(4);
const scratchBytes = new Uint8Array(scratch.buffer);

function encodeRecord({ path, hash, identity }: StoredFile): Buffer {
  const record = Buffer.allocUnsafe(RECORD_HEAD + Buffer.byteLength(path));
  record.set(hash, 0);
  scratch[0] = BigInt(identity.size);
  scratch[1] = BigInt.asUintN(64, identity.mtimeNs);
  scratch[2] = BigInt.asUintN(64, identity.dev);
  scratch[3] = BigInt.asUintN(64, identity.ino);
  record.set(scratchBytes, HASH_BYTES);
  record.write(path, RECORD_HEAD);
  return record;
}

/**
 * @param record memory that the store uses again for the next
 * @param length bytes of it
 * @returns undefined when it is too short to be one
 */
function decodeRecord(record: Buffer, length: number): StoredFile | undefined {
  if (length <= RECORD_HEAD) return undefined;
  // One by one: a view of the record costs several times as much, and there may be a million.
  const hash = new Uint8Array(HASH_BYTES);
  for (let i = 0; i < HASH_BYTES; i++) hash[i] = record[i] ?? 0;
  return {
    hash,
    identity: {
      size: Number(record.readBigUInt64LE(HASH_BYTES)),
      mtimeNs: record.readBigInt64LE(HASH_BYTES + 8),
      dev: record.readBigUInt64LE(HASH_BYTES + 16),
      ino: record.readBigUInt64LE(HASH_BYTES + 24),
    },
    path: record.toString('utf8', RECORD_HEAD, length),
  };
}

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

/** Whether a process survives reading the store: tried in one of its own. */
async function survives(folder: string): Promise<boolean> {
  const script = fileURLToPath(new URL('./store-check.js', import.meta.url));
  const child = spawn(process.execPath, [script, folder], { stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0;
}

export class LmdbStore implements Store {
  readonly #root: RootDatabase<string, string>;
  readonly #files: Database<StoredFile | undefined, number>;
  readonly #lists: Database<Buffer, Buffer>;
  readonly #notes: Database<Buffer, string>;

  private constructor(folder: string) {
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
   * @throws PeerError ERR_USAGE when the folder cannot be written to
   */
  static async open(
    state: string,
    onSetAside: (why: string, where: string) => void,
  ): Promise<LmdbStore> {
    const folder = join(state, 'index');
    // Left behind when the last start died while it looked at the store: killed, or by deep damage.
    const looking = join(state, 'index.opening');
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const fatal = existsSync(looking) && !(await survives(folder));
      const why = fatal ? 'it ended the last start' : undefined;
      writeFileSync(looking, '');
      const store = why ?? (await LmdbStore.#try(folder));
      if (store instanceof LmdbStore) return store;
      const aside = `${folder}.damaged`;
      rmSync(aside, { recursive: true, force: true });
      renameSync(folder, aside);
      onSetAside(store, aside);
      const fresh = await LmdbStore.#try(folder);
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
    return (await LmdbStore.#try(folder)) instanceof LmdbStore;
  }

  /** The store, or why it cannot be used. */
  static async #try(folder: string): Promise<LmdbStore | string> {
    let store: LmdbStore | undefined;
    try {
      const damage = damageOf(join(folder, 'data.mdb'));
      if (damage !== undefined) return `it is damaged (${damage})`;
      store = new LmdbStore(folder);
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
    const slices = new Slices();
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
    void this.#files.put(slot, file);
  }

  deleteFile(slot: number): void {
    void this.#files.remove(slot);
  }

  putTree(tree: Tree): void {
    const hash = rootOf(tree);
    for (const [level, hashes] of tree.levels.entries()) {
      const lists = level === tree.levels.length - 1 ? 0 : Math.ceil(hashes.length / 32768);
      for (let index = 0; index < lists; index++) {
        const list = listBytes(tree, level + 1, index);
        void this.#lists.put(listKey(hash, level + 1, index), Buffer.from(list));
      }
    }
  }

  lists(hash: Uint8Array, size: number): Lists | undefined {
    const top = levelCounts(size).length - 1;
    if (top === 0) return NO_LISTS;
    // All of a tree is written at once: if its top is there, so is the rest.
    if (!this.#lists.doesExist(listKey(hash, top, 0))) return undefined;
    return {
      list: (level, index) => {
        const list = this.#lists.get(listKey(hash, level, index));
        if (list === undefined) throw new PeerError('ERR_INTERNAL', 'a list is missing');
        return list;
      },
    };
  }

  deleteTree(hash: Uint8Array, size: number): void {
    const counts = levelCounts(size);
    for (let level = 1; level < counts.length; level++) {
      for (let index = 0; index < (counts[level] ?? 0); index++) {
        void this.#lists.remove(listKey(hash, level, index));
      }
    }
  }

  note(name: string): Uint8Array | undefined {
    return this.#notes.get(name);
  }

  putNote(name: string, bytes: Uint8Array): void {
    void this.#notes.put(name, Buffer.from(bytes));
  }

  async flushed(): Promise<void> {
    await this.#root.flushed;
  }

  async close(): Promise<void> {
    await this.#root.flushed;
    await this.#root.close();
  }
}
