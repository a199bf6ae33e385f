/**
 * A folder that files under foreign names are put into, and into nothing else: symbolic links below it
 * are never followed, on any level.
 *
 * On Linux every folder is opened from the one above it with O_NOFOLLOW, and what is done in it goes
 * through its descriptor, so that a folder swapped for a link meanwhile changes nothing. Elsewhere each
 * step is looked at before the path is used, which leaves a moment in between.
 *
 * The calls are synchronous: to make a small file takes four of them, each shorter than the way to the
 * thread pool and back as long as the system keeps what is written in memory.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { PeerError, systemCode } from '../errors.js';
import { PART_SUFFIX } from './safe-name.js';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

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
  /** Unfinished files in it; and whether to close it when there are none. */
  users: number;
  unwanted: boolean;
}

/** A file that is being written, under another name until it is whole. */
export interface PartialFile {
  /** Open for writing, empty at first; closed by `commit` and `discard`. */
  readonly fd: number;
  /** It is whole: give it its name, in place of what stands there. */
  commit(): void;
  /** Remove it. */
  discard(): void;
}

export class OutputFolder {
  /** As it was named; links in that are the caller's own. */
  readonly path: string;
  readonly #root: Entry;
  /** By path below the root; the least recently used first. */
  readonly #entries = new Map<string, Entry>();

  /**
   * The folder is made if it is not there.
   *
   * @throws PeerError ERR_USAGE when a file stands there; the system's error
   */
  constructor(path: string) {
    this.path = path;
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === false) {
      throw new PeerError('ERR_USAGE', `${path} is not a folder`);
    }
    mkdirSync(path, { recursive: true });
    const real = realpathSync(path);
    const fd = BY_DESCRIPTOR ? openSync(real, O_RDONLY | O_DIRECTORY) : undefined;
    this.#root = { fd, base: fd === undefined ? real : baseOf(fd), users: 0, unwanted: false };
  }

  /**
   * A regular file that stands at `path`, open for reading; undefined when there is nothing. The caller
   * closes it.
   *
   * @param path safe (safe-name.ts), separated by `/`
   * @throws PeerError ERR_FORBIDDEN when something else stands there, or on the way; the system's error
   */
  existing(path: string): { fd: number; size: number } | undefined {
    return this.#named(path, () => {
      const { entry, name } = this.#find(path);
      const full = join(entry.base, name);
      // Nothing there is what is most often so: an error that is thrown and caught costs more than a look.
      const seen = lstatSync(full, { throwIfNoEntry: false });
      if (seen === undefined) return undefined;
      if (!seen.isFile()) throw notAFile(path);
      const fd = openSync(full, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      const stat = fstatSync(fd);
      if (stat.isFile()) return { fd, size: stat.size };
      closeSync(fd);
      throw notAFile(path);
    });
  }

  /** Begin a file. Parameters and errors as `existing`. */
  begin(path: string): PartialFile {
    return this.#named(path, () => {
      const { entry, name } = this.#find(path);
      const whole = join(entry.base, name);
      const part = whole + PART_SUFFIX;
      const fd = create(part);
      entry.users++;
      const end = (last: () => void): void => {
        try {
          closeSync(fd);
          this.#named(path, last);
        } finally {
          entry.users--;
          if (entry.unwanted) this.#release(entry);
        }
      };
      return {
        fd,
        commit: () => {
          end(() => {
            renameSync(part, whole);
          });
        },
        discard: () => {
          end(() => {
            unlinkSync(part);
          });
        },
      };
    });
  }

  /** Make a small file, whole. Parameters and errors as `existing`. */
  put(path: string, bytes: Uint8Array): void {
    const file = this.begin(path);
    try {
      for (let done = 0; done < bytes.length;) done += writeSync(file.fd, bytes, done);
    } catch (error) {
      file.discard();
      throw this.errorAt(path, error);
    }
    file.commit();
  }

  /** Files that were begun can still be ended. */
  close(): void {
    for (const entry of this.#entries.values()) this.#release(entry);
    this.#entries.clear();
    this.#release(this.#root);
  }

  /** An error of the system's, with a path that means something to people. */
  errorAt(path: string, error: unknown): unknown {
    const code = systemCode(error);
    if (code === undefined || error instanceof PeerError) return error;
    const full = join(this.path, path);
    return Object.assign(new Error(`${code}: ${full}`, { cause: error }), { code, path: full });
  }

  /** The folder that `path` lies in, made if need be, and the name in it. */
  #find(path: string): { entry: Entry; name: string } {
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    return { entry: slash < 0 ? this.#root : this.#enter(path.slice(0, slash)), name };
  }

  #enter(folder: string): Entry {
    const known = this.#entries.get(folder);
    if (known !== undefined) {
      // The last in order is the one used last.
      this.#entries.delete(folder);
      this.#entries.set(folder, known);
      return known;
    }
    const { entry: above, name } = this.#find(folder);
    const full = join(above.base, name);
    if (!BY_DESCRIPTOR) {
      makeFolder(full);
      // Looked at each time: nothing keeps it as it is.
      if (!lstatSync(full).isDirectory()) throw notAFolder(folder);
      return { fd: undefined, base: full, users: 0, unwanted: false };
    }
    const fd = openFolder(full, folder);
    const entry = { fd, base: baseOf(fd), users: 0, unwanted: false };
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

  /** Close a folder, now or when the files in it are ended. */
  #release(entry: Entry): void {
    entry.unwanted = true;
    if (entry.users > 0 || entry.fd === undefined) return;
    closeSync(entry.fd);
    entry.fd = undefined;
  }

  #named<T>(path: string, step: () => T): T {
    try {
      return step();
    } catch (error) {
      throw this.errorAt(path, error);
    }
  }
}

function baseOf(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function makeFolder(full: string): void {
  try {
    mkdirSync(full);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
}

function openFolder(full: string, name: string): number {
  for (let made = false; ; made = true) {
    try {
      return openSync(full, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOTDIR' || code === 'ELOOP') throw notAFolder(name);
      if (code !== 'ENOENT' || made) throw error;
      makeFolder(full);
    }
  }
}

/** An empty file of our own; what an earlier attempt left behind makes room. */
function create(full: string): number {
  const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
  try {
    return openSync(full, flags, 0o666);
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
  }
  // If it is a link, it goes itself.
  unlinkSync(full);
  return openSync(full, flags, 0o666);
}

function notAFile(path: string): PeerError {
  return new PeerError('ERR_FORBIDDEN', `${path}: a link, folder or device stands there`);
}

function notAFolder(path: string): PeerError {
  return new PeerError('ERR_FORBIDDEN', `${path}: a link or file stands where a folder should be`);
}
