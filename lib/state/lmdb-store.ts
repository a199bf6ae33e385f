/** A store in LMDB. What LMDB has not committed yet waits in a WriteBehind. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { getSystemErrorName } from 'node:util';
import { open, type Database, type RootDatabase } from 'lmdb';
import { syncFolder } from '../disk/durable.js';
import { PeerError, asError } from '../errors.js';
import { listBytes, rootOf, type Lists, type Tree } from '../hash/tree.js';
import { TimeSlicer } from '../support/time-slicer.js';
import { levelCounts } from '../wire/body.js';
import { HASH_BYTES } from '../wire/limits.js';
import { damageOf } from './lmdb-file.js';
import { decodeRecord, encodeRecord, type StoredFile } from './record.js';
import { NO_LISTS, type Store } from './store.js';
import { RESERVE, WriteBehind, hasFree } from './write-behind.js';

/** Changes whenever what is stored, or how, changes: a store of another version is not read. */
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

/** The name of a list among the writes. */
function listName(key: Buffer): string {
  return `list ${key.toString('latin1')}`;
}

/** What becomes of writes. */
export interface StoreEvents {
  /** Nothing can be written, for this reason: ENOSPC, say. All is kept in memory meanwhile. */
  onTrouble(code: string): void;
  /** Everything has been written. */
  onWell(): void;
}

/** The files of a store, and the bytes that each has at least once LMDB has made it whole. */
const WHOLE_BYTES = { 'data.mdb': 32_768, 'lock.mdb': 1 };

const NO_EVENTS: StoreEvents = { onTrouble: () => undefined, onWell: () => undefined };

/** Milliseconds that the store may take to close after a write that failed. */
const CLOSE_GRACE = 1000;

/** The store is damaged, or of another version: that is certain, and it will not pass. */
export class StoreDamage extends Error {}

/**
 * Errors of LMDB that say so: MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_VERSION_MISMATCH, MDB_INVALID,
 * MDB_INCOMPATIBLE. All others, and the system's (EACCES, EMFILE, ENOMEM, ENOSPC, EIO, ...), may pass.
 */
const DAMAGE = new Set([-30797, -30796, -30794, -30793, -30784]);

export class LmdbStore implements Store {
  readonly #root: RootDatabase<string, string>;
  readonly #files: Database<StoredFile | undefined, number>;
  readonly #lists: Database<Buffer, Buffer>;
  readonly #notes: Database<Buffer, string>;
  readonly #writes: WriteBehind;
  #guarded = false;

  private constructor(folder: string, root: RootDatabase<string, string>, on: StoreEvents) {
    this.#writes = new WriteBehind({ folder, ...on });
    this.#root = root;
    this.#files = root.openDB<StoredFile | undefined, number>(FILES);
    this.#lists = root.openDB({ name: 'lists', keyEncoding: 'binary', encoding: 'binary' });
    this.#notes = root.openDB({ name: 'notes', encoding: 'binary' });
  }

  /**
   * Open the store in a folder, or make one. Damage that LMDB does not notice ends the process with a signal.
   *
   * @param on told when nothing can be written, and when it can again
   * @throws StoreDamage when what is there is damaged, or of another version; the system's error when
   *   it cannot be opened now
   */
  static async open(folder: string, on: StoreEvents = NO_EVENTS): Promise<LmdbStore> {
    const damage = damageOf(join(folder, 'data.mdb'));
    if (damage !== undefined) throw new StoreDamage(`it is damaged (${damage})`);
    // On a full disk LMDB ends the process with SIGBUS while it makes its files, which it maps.
    if (!isWhole(folder) && !hasFree(folder, RESERVE)) {
      throw Object.assign(new Error('no room for an index'), { code: 'ENOSPC' });
    }
    let root: RootDatabase<string, string> | undefined;
    try {
      root = open<string, string>({
        path: folder,
        maxDbs: 4,
        encoding: 'string',
        commitDelay: COMMIT_DELAY,
      });
      const store = new LmdbStore(folder, root, on);
      const version = root.get('version');
      if (version === undefined && store.#files.getCount() === 0) {
        root.putSync('version', String(VERSION));
        await syncFolder(folder);
      } else if (version !== String(VERSION)) {
        throw new StoreDamage(`it is of another version (${version ?? 'unknown'})`);
      }
      await store.#readAll();
      return store;
    } catch (error) {
      void root?.close();
      throw storeError(error);
    }
  }

  /** Read all records: a page that is damaged shows before anything relies on it. */
  async #readAll(): Promise<void> {
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
    const write = this.#writes.find(listName(key));
    const isThere = write ? write.value !== undefined : this.#lists.doesExist(key);
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
    await this.#writes.settled();
    await this.#root.flushed;
  }

  async close(): Promise<void> {
    await this.#writes.close();
    if (this.#writes.failure === undefined) {
      await this.#root.flushed;
      await this.#root.close();
      return;
    }
    // After a commit that failed LMDB may wait for it for ever.
    await Promise.race([this.#root.close(), pause(CLOSE_GRACE)]);
  }

  /** A list, committed or not. */
  #list(key: Buffer): Uint8Array | undefined {
    const write = this.#writes.find(listName(key));
    return write === undefined ? this.#lists.get(key) : write.value;
  }

  #write(name: string, value: Uint8Array | undefined, commit: () => Promise<unknown>): void {
    this.#writes.add({ name, value, commit });
    if (this.#guarded) return;
    this.#guarded = true;
    // The package makes another promise for what is written in one turn of the loop, which is rejected,
    // too, when the commit fails. It hands it out under this name, until the next write.
    setImmediate(() => {
      this.#guarded = false;
      this.#root.committed.then(ignore, ignore);
    });
  }
}

function isWhole(folder: string): boolean {
  return Object.entries(WHOLE_BYTES).every(([name, bytes]) => {
    const { size } = statSync(join(folder, name), { throwIfNoEntry: false }) ?? { size: 0 };
    return size >= bytes;
  });
}

function ignore(): void {
  // The writer has a promise of its own.
}

/** An error of the package, with a system's code or one of LMDB (lmdb.h), as one of ours. */
function storeError(error: unknown): Error {
  const { message, code } = asError(error) as Error & { code?: unknown };
  if (typeof code !== 'number') return asError(error);
  if (DAMAGE.has(code)) return new StoreDamage(`it is damaged (${message})`);
  if (code < 0) return asError(error);
  return Object.assign(new Error(message), { code: getSystemErrorName(-code) });
}
