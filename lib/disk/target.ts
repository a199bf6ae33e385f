/**
 * A file that has its name only when it is whole, whatever else writes there.
 *
 * Until then it grows in a part: `FILE.MARK.part` beside it, where the mark is a hash of what the part is
 * to hold (the file's hash and the range). Whoever opens that part writes the same bytes to the same
 * places, and only verified ones. So two runs that share a part do no harm to one another, which no lock
 * could promise: not between two containers or machines that share a volume, nor against a process that
 * was stopped, lost its lock, and resumes. Nothing tells a run that a part is in use, nothing can be
 * left locked, and the same command after a SIGKILL finds its part. Runs that want other bytes under the
 * same name have parts of their own; the first that is done gives the name, the other is refused.
 *
 * A part is created exclusively (O_EXCL), or it is a regular file of ours with one link that other users
 * may not write to. To name it takes a name of the run's own in between, with a random token:
 * rename(2) acts on paths, and between a look at the part and the rename another run may have named the
 * part and a third have made a new one. Under the token's name nobody else moves it, so what is compared
 * with the open descriptor there is what gets the name. (linkat(2) with AT_SYMLINK_FOLLOW would take
 * it from the descriptor; Node's link(2) does not follow /proc/self/fd.) A name that was free is given by
 * link(2), which never replaces anything; one that was taken only if the same file still stands there.
 */
import {
  accessSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  linkSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  unlinkSync,
  type BigIntStats,
} from 'node:fs';
import { basename, join } from 'node:path';
import { PeerError, systemCode } from '../errors.js';
import { kernelFiles, type KernelFiles } from './kernel-files.js';
import {
  giveBack,
  isOurs,
  isSame,
  isUnchanged,
  look,
  openIfThere,
  ourUid,
  type Looked,
} from './look.js';
import { claimedName, isClaimOf, partName } from './part-name.js';

// A link is not followed, and a fifo not waited for: both are refused.
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const OPEN = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const CREATE = OPEN | constants.O_CREAT | constants.O_EXCL;

/** Of a new file, before the umask. Other users never write to it. */
const MODE = 0o664;

/** Times that a part is named anew because another run renamed it at the same moment. */
const MAX_ATTEMPTS = 5;
/** File systems without hard links say one of these. */
const NO_LINKS = new Set(['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EACCES']);

/** Where a file is to stand. */
export interface Place {
  /** The folder: a path that leads to it whatever becomes of its name. */
  readonly folder: string;
  readonly name: string;
  /** The whole path as people know it, for messages. */
  readonly shown: string;
}

/** A part, open for reading and writing. */
export interface OpenPart {
  readonly fd: number;
  /** Bytes that it had when it was opened. */
  readonly size: number;
  /** Whether it was made just now. */
  readonly made: boolean;
}

export class Target {
  readonly #place: Place;
  readonly #content: string;
  readonly #file: string;
  /** What stood at the name when this was made; undefined: nothing. */
  readonly #there: BigIntStats | undefined;
  #partPath: string | undefined;
  /** Gives the part its first name; undefined when it has one. */
  #kernel: KernelFiles | undefined;

  /**
   * Makes nothing.
   *
   * @param content what the file is to hold: the same text for the same bytes, and for no others
   * @param looked of this place, if it has been looked at before: nothing but what stood there then is replaced
   * @throws PeerError ERR_FORBIDDEN when what stands there is no regular file, or read-only; the
   *   system's error
   */
  constructor(place: Place, content: string, looked?: Looked) {
    const { folder, name, shown } = place;
    this.#place = place;
    this.#file = join(folder, name);
    this.#content = content;
    this.#there = looked === undefined ? look(this.#file) : looked.there;
    if (this.#there === undefined) return;
    if (!this.#there.isFile()) {
      throw new PeerError('ERR_FORBIDDEN', `${shown}: a link, folder or device stands there`);
    }
  }

  /** The part as people find it. */
  get part(): string {
    const { shown, name } = this.#place;
    return shown.slice(0, shown.length - name.length) + basename(this.#part);
  }

  get looked(): Looked {
    return { there: this.#there };
  }

  get #part(): string {
    const { folder, name } = this.#place;
    return (this.#partPath ??= join(folder, partName(name, this.#content)));
  }

  /** Bytes of the file that stands at the name; undefined when none does. */
  get existing(): number | undefined {
    return this.#there && Number(this.#there.size);
  }

  /** @throws PeerError ERR_FORBIDDEN when what stands at the name may not be replaced */
  checkWritable(): void {
    if (this.#there === undefined) return;
    // Root may write to everything: the mode says what its owner wants.
    let refused = (this.#there.mode & 0o222n) === 0n;
    try {
      accessSync(this.#file, constants.W_OK);
    } catch (error) {
      refused ||= systemCode(error) !== 'ENOENT';
    }
    if (!refused) return;
    throw new PeerError('ERR_FORBIDDEN', `${this.#place.shown} is read-only: it is not replaced`);
  }

  /** What stands at the name, open for reading; undefined when it is not there any more. */
  openExisting(): number | undefined {
    if (this.#there === undefined) return undefined;
    const fd = openIfThere(this.#file, READ);
    if (fd === undefined || isSame(fstatSync(fd, { bigint: true }), this.#there)) return fd;
    closeSync(fd);
    return undefined;
  }

  /**
   * The part that an earlier run left or another is writing; undefined when there is none.
   *
   * @throws PeerError ERR_FORBIDDEN when it is not one that only we write to; the system's error
   */
  open(): OpenPart | undefined {
    const seen = look(this.#part);
    if (seen === undefined) return undefined;
    // Looked at first: to open a device may do something.
    if (!seen.isFile()) throw this.#refused(seen);
    const fd = openIfThere(this.#part, OPEN);
    if (fd === undefined) return undefined;
    try {
      const stat = fstatSync(fd, { bigint: true });
      if (!isSame(stat, seen) || !isOurs(fd, stat)) throw this.#refused(stat);
      return { fd, size: Number(stat.size), made: false };
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** The part, made if there is none. Errors as `open`. */
  create(): OpenPart {
    for (let attempts = 0; ; attempts++) {
      try {
        return { fd: openSync(this.#part, CREATE, MODE), size: 0, made: true };
      } catch (error) {
        if (systemCode(error) !== 'EEXIST' || attempts === MAX_ATTEMPTS) throw error;
      }
      const there = this.open();
      if (there !== undefined) return there;
    }
  }

  /**
   * A part for a file of which all bytes are there already. It has no name where that can be: then it is never
   * another run's, and nothing is left of it when this process ends. Errors as `open`.
   */
  createWhole(): OpenPart {
    const kernel = kernelFiles();
    const fd = kernel?.openUnnamed(this.#place.folder, MODE);
    if (fd === undefined) return this.create();
    this.#kernel = kernel;
    return { fd, size: 0, made: true };
  }

  /** Whether the part is still this open file: it is not when another run has named it. */
  holds(fd: number): boolean {
    const there = look(this.#part);
    return there !== undefined && isSame(there, fstatSync(fd, { bigint: true }));
  }

  /** Whether this open file stands at the name. */
  isNamed(fd: number): boolean {
    const there = look(this.#file);
    return there !== undefined && isSame(there, fstatSync(fd, { bigint: true }));
  }

  /**
   * Give the part its name. It is whole: what it holds has been verified.
   *
   * @throws PeerError ERR_FORBIDDEN when another file has got the name meanwhile, or the part is gone
   */
  commit(fd: number): void {
    if (this.#kernel !== undefined) {
      this.#nameFirst(fd, this.#kernel);
      return;
    }
    for (let attempts = 0; ; attempts++) {
      const own = this.#claim(fd);
      if (own !== undefined) {
        try {
          this.#name(own, fd);
        } catch (error) {
          // Back where the next run looks for it.
          giveBack(own, this.#part);
          throw error;
        }
      }
      // Another run of the same command may have been first, with the same file.
      if (this.isNamed(fd)) return;
      if (attempts === MAX_ATTEMPTS || (own === undefined && !this.holds(fd))) {
        this.#checkFree();
        throw new PeerError('ERR_FORBIDDEN', `${this.part} was moved or removed meanwhile`);
      }
    }
  }

  /** Remove the part if it is this open file. */
  remove(fd: number): void {
    if (this.#kernel !== undefined) return;
    const own = this.#claim(fd);
    if (own !== undefined) unlinkSync(own);
  }

  /** Take up what a run was about to name when it was killed. Looks through the whole folder. */
  recover(): void {
    const part = basename(this.#part);
    for (const name of readdirSync(this.#place.folder)) {
      if (!isClaimOf(part, name)) continue;
      const left = join(this.#place.folder, name);
      const stat = look(left);
      if (stat?.isFile() !== true) continue;
      if (this.#there !== undefined && isSame(stat, this.#there)) rmSync(left, { force: true });
      else giveBack(left, this.#part);
    }
  }

  /** Move the part to a name that only this run knows. @returns undefined when it is not this file */
  #claim(fd: number): string | undefined {
    const own = claimedName(this.#part);
    if (!this.holds(fd)) return undefined;
    try {
      renameSync(this.#part, own);
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    const moved = look(own);
    if (moved !== undefined && isSame(moved, fstatSync(fd, { bigint: true }))) return own;
    giveBack(own, this.#part);
    return undefined;
  }

  #nameFirst(fd: number, kernel: KernelFiles): void {
    if (this.#there === undefined) {
      try {
        kernel.link(fd, this.#file);
      } catch (error) {
        throw systemCode(error) === 'EEXIST' ? nameTaken(this.#place.shown) : error;
      }
      return;
    }
    const own = claimedName(this.#part);
    kernel.link(fd, own);
    try {
      this.#name(own, fd);
    } catch (error) {
      rmSync(own, { force: true });
      throw error;
    }
  }

  #name(own: string, fd: number): void {
    const before = this.#there;
    if (before !== undefined) fchmodSync(fd, Number(before.mode & 0o777n));
    else {
      try {
        linkSync(own, this.#file);
        rmSync(own, { force: true });
        return;
      } catch (error) {
        const code = systemCode(error) ?? '';
        if (code === 'ENOENT') return;
        if (code !== 'EEXIST' && !NO_LINKS.has(code)) throw error;
      }
    }
    this.#checkFree();
    renameSync(own, this.#file);
  }

  /** @throws PeerError ERR_FORBIDDEN when a file stands at the name that did not when this was made */
  #checkFree(): void {
    const [before, now] = [this.#there, look(this.#file)];
    if (now === undefined || (before !== undefined && isUnchanged(now, before))) return;
    throw nameTaken(this.#place.shown);
  }

  #refused(stat: BigIntStats): PeerError {
    const what = stat.isSymbolicLink()
      ? 'is a symbolic link'
      : !stat.isFile()
        ? 'is not a regular file'
        : stat.uid !== ourUid()
          ? 'belongs to another user'
          : stat.nlink !== 1n
            ? 'has other names (hard links)'
            : 'can be written to by other users';
    return new PeerError('ERR_FORBIDDEN', `${this.part} ${what}: it is not written to`);
  }
}

/** The error of a run that was not the first. @param shown the path of its file */
export function nameTaken(shown: string): PeerError {
  return new PeerError('ERR_FORBIDDEN', `${shown}: another file has got this name meanwhile`);
}
