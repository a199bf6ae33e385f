/**
 * A folder that files under foreign names are put into, and into nothing else: symbolic links below it
 * are never followed, on any level.
 *
 * On Linux every folder is opened from the one above it with O_NOFOLLOW, and what is done in it goes
 * through its descriptor, so that a folder swapped for a link or renamed meanwhile changes nothing.
 * Elsewhere each step is looked at before the path is used, which leaves a moment in between.
 *
 * The calls are synchronous: each is shorter than the way to the thread pool and back as long as the
 * system keeps what is written in memory. Only what waits for the disk (fsync) is not.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { PeerError, asError, systemCode } from '../errors.js';
import { makeFolders, syncFolder } from './durable.js';
import type { Place } from './target.js';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

// Elsewhere there is no way to a file from the descriptor of its folder.
const BY_DESCRIPTOR = process.platform === 'linux';

/** Folders that are kept open. */
const OPEN_FOLDERS = 64;

/** A folder below the root. */
interface Entry {
  /** Undefined where folders are not kept open. */
  fd: number | undefined;
  /** The folder as the system finds it. */
  base: string;
  /** Places in it that are held; and whether to close it when there are none. */
  users: number;
  unwanted: boolean;
  /** Names in it have changed since it was opened. */
  changed: boolean;
}

/** A place whose folder stays open until it is released. */
export interface HeldPlace extends Place {
  /** @param changed whether a name in the folder has changed */
  release(changed?: boolean): void;
}

export interface OutputFolderOptions {
  /** Wait until names that were given are on the disk. @default true */
  fsync?: boolean | undefined;
}

export class OutputFolder {
  /** As it was named; links in that are the caller's own. */
  readonly path: string;
  readonly #fsync: boolean;
  readonly #root: Entry;
  /** Itself and those above it, as far as they were missing. */
  readonly #made: readonly string[];
  /** By path below the root; the least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #syncs = new Set<Promise<void>>();
  #syncError: Error | undefined;

  /**
   * The folder is made if it is not there.
   *
   * @throws PeerError ERR_USAGE when a file stands there; the system's error
   */
  constructor(path: string, { fsync = true }: OutputFolderOptions = {}) {
    this.path = path;
    this.#fsync = fsync;
    checkFolder(path);
    this.#made = makeFolders(path);
    const real = realpathSync(path);
    this.#root = entryOf(BY_DESCRIPTOR ? openSync(real, O_RDONLY | O_DIRECTORY) : undefined, real);
  }

  /**
   * The place of a file; undefined when its folder is not there.
   *
   * @param path safe (safe-name.ts), separated by `/`
   * @throws PeerError ERR_FORBIDDEN when a link or file stands where a folder should be; the system's
   *   error
   */
  find(path: string): HeldPlace | undefined {
    return this.#place(path, false);
  }

  /** The place of a file that is about to be made: so are folders that are missing. As `find`. */
  make(path: string): HeldPlace {
    const place = this.#place(path, true);
    if (place === undefined) throw new TypeError('the folder was made');
    return place;
  }

  /** Whether the path still leads to this folder. */
  get isInPlace(): boolean {
    const there = statSync(this.path, { bigint: true, throwIfNoEntry: false });
    if (there === undefined) return false;
    const { fd, base } = this.#root;
    const own =
      fd === undefined ? statSync(base, { bigint: true }) : fstatSync(fd, { bigint: true });
    return there.ino === own.ino && there.dev === own.dev;
  }

  /**
   * Close all folders, when their names are on the disk. Places that are held can still be used.
   *
   * @throws the system's error when a folder could not be synced
   */
  async close(): Promise<void> {
    for (const entry of this.#entries.values()) this.#release(entry);
    this.#entries.clear();
    this.#release(this.#root);
    if (this.#fsync) for (const folder of this.#made) await syncFolder(dirname(folder));
    await Promise.all(this.#syncs);
    if (this.#syncError !== undefined) throw this.#syncError;
  }

  /** An error of the system's, with a path that means something to people. */
  errorAt(path: string, error: unknown): unknown {
    const code = systemCode(error);
    if (code === undefined || error instanceof PeerError) return error;
    const full = join(this.path, path);
    return Object.assign(new Error(`${code}: ${full}`, { cause: error }), { code, path: full });
  }

  #place(path: string, make: boolean): HeldPlace | undefined {
    const slash = path.lastIndexOf('/');
    const entry = slash < 0 ? this.#root : this.#enter(path.slice(0, slash), make);
    if (entry === undefined) return undefined;
    entry.users++;
    return {
      folder: entry.base,
      name: path.slice(slash + 1),
      shown: path,
      release: (changed = false) => {
        entry.users--;
        entry.changed ||= changed;
        if (entry.unwanted) this.#release(entry);
      },
    };
  }

  #enter(folder: string, make: boolean): Entry | undefined {
    const known = this.#entries.get(folder);
    if (known !== undefined) {
      // The last in order is the one used last.
      this.#entries.delete(folder);
      this.#entries.set(folder, known);
      return known;
    }
    const slash = folder.lastIndexOf('/');
    const above = slash < 0 ? this.#root : this.#enter(folder.slice(0, slash), make);
    if (above === undefined) return undefined;
    const full = join(above.base, folder.slice(slash + 1));
    const opened = openFolder(full, folder, make);
    if (opened === undefined) return undefined;
    above.changed ||= opened.made;
    const entry = entryOf(opened.fd, full);
    if (opened.fd === undefined) return entry;
    this.#entries.set(folder, entry);
    if (this.#entries.size > OPEN_FOLDERS) {
      const [oldest] = this.#entries;
      if (oldest !== undefined) {
        this.#entries.delete(oldest[0]);
        this.#release(oldest[1]);
      }
    }
    return entry;
  }

  /** Sync and close a folder, now or when the places in it are released. */
  #release(entry: Entry): void {
    entry.unwanted = true;
    const { fd } = entry;
    if (entry.users > 0 || fd === undefined) return;
    entry.fd = undefined;
    if (!entry.changed || !this.#fsync) {
      closeSync(fd);
      return;
    }
    const synced = syncFolder(fd)
      .catch((error: unknown) => {
        this.#syncError ??= asError(this.errorAt('', error));
      })
      .finally(() => {
        closeSync(fd);
        this.#syncs.delete(synced);
      });
    this.#syncs.add(synced);
  }
}

/** @throws PeerError ERR_USAGE when a file stands there; the system's error */
export function checkFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === false) {
    throw new PeerError('ERR_USAGE', `${path} is not a folder`);
  }
}

function entryOf(fd: number | undefined, path: string): Entry {
  const base = fd === undefined ? path : `/proc/self/fd/${fd}`;
  return { fd, base, users: 0, unwanted: false, changed: false };
}

function openFolder(
  full: string,
  name: string,
  make: boolean,
): { fd: number | undefined; made: boolean } | undefined {
  // An error for each file of a folder that is not there yet would cost more than all else.
  if (!make && lstatSync(full, { throwIfNoEntry: false }) === undefined) return undefined;
  for (let made = false; ; made = true) {
    try {
      // A link is not followed. Where folders are not kept open they are looked at each time.
      const fd = openSync(full, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      if (BY_DESCRIPTOR) return { fd, made };
      closeSync(fd);
      return { fd: undefined, made };
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOTDIR' || code === 'ELOOP') throw notAFolder(name);
      if (code !== 'ENOENT' || made) throw error;
      if (!make) return undefined;
    }
    try {
      mkdirSync(full);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    }
  }
}

function notAFolder(path: string): PeerError {
  return new PeerError('ERR_FORBIDDEN', `${path}: a link or file stands where a folder should be`);
}
