/**
 * Where a file grows: `FILE.part` beside it, which becomes FILE only when all of it is there. What
 * stands at FILE until then is not touched.
 *
 * Nothing is believed of what a part holds: whoever goes on with one compares it with the block tree
 * (part-check.ts). So it has no second file beside it that could tell lies, and may be cut, damaged or
 * left behind by a process that was killed at any moment.
 */
import { constants } from 'node:fs';
import { lstat, open, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileWriter } from '../../disk/file-writer.js';
import { lock, type Lock } from '../../disk/lock.js';
import { PeerError, systemCode } from '../../errors.js';
import type { ByteSink } from '../receive/body-receiver.js';

// A link is not followed, and a fifo not waited for: both are refused.
const FLAGS = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** For one that is not there yet. */
const CREATE = FLAGS | constants.O_CREAT | constants.O_EXCL;

export class PartFile implements ByteSink {
  /** `FILE.part`; beside what FILE points to, if that is a link. */
  readonly path: string;
  /** Bytes that the part had when it was opened. */
  readonly found: number;
  readonly #file: string;
  readonly #base: number;
  readonly #lock: Lock;
  #handle: Promise<FileHandle> | undefined;
  /** Under way in the writer's thread, which uses the descriptor. */
  readonly #writes = new Set<Promise<unknown>>();
  /** It was not there before, and nothing has been written to it. */
  #fresh = false;

  private constructor(
    file: string,
    base: number,
    held: Lock,
    there: { handle: FileHandle; bytes: number } | undefined,
  ) {
    this.#file = file;
    this.path = partOf(file);
    this.#base = base;
    this.#lock = held;
    this.found = there?.bytes ?? 0;
    this.#handle = there && Promise.resolve(there.handle);
  }

  /**
   * Nothing is made, emptied or written to before there is something to write.
   *
   * @param file a regular file, a link to one, or nothing yet
   * @param base position, in the file that is fetched, of the part's first byte
   * @throws PeerError ERR_USAGE when the part is no regular file, or somebody else is writing to it; the
   *   system's error
   */
  static async at(file: string, base = 0): Promise<PartFile> {
    const real = await resolved(file);
    const part = partOf(real);
    const name = join(await realpath(dirname(part)), basename(part));
    const held = await lock(
      name,
      `${name}.lock`,
      () => new PeerError('ERR_USAGE', `${part}: somebody else is fetching into this file`),
    );
    try {
      return new PartFile(real, base, held, await openPart(part));
    } catch (error) {
      held.release();
      throw error;
    }
  }

  /**
   * Fill `into` with what the part holds.
   *
   * @param position of its first byte in the file that is fetched
   * @returns bytes read; fewer only at the end of the part
   */
  async read(into: Uint8Array, position: number): Promise<number> {
    if (this.#handle === undefined) return 0;
    const handle = await this.#handle;
    let done = 0;
    while (done < into.length) {
      const at = position - this.#base + done;
      const { bytesRead } = await handle.read(into, done, into.length - done, at);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  /**
   * @param position in the file that is fetched; anywhere at or behind `base`
   * @param onWritten told how many of the bytes are there, also when it then throws
   */
  async write(
    bytes: Uint8Array,
    position: number,
    onWritten: (bytes: number) => void = () => undefined,
  ): Promise<void> {
    const handle = await this.#open();
    const at = position - this.#base;
    if (fileWriter.takes(bytes)) {
      const writing = fileWriter.write(handle.fd, bytes, at);
      this.#writes.add(writing);
      const { written, error } = await writing;
      this.#writes.delete(writing);
      if (written > 0) this.#fresh = false;
      onWritten(written);
      if (error !== undefined) throw error;
      return;
    }
    let done = 0;
    try {
      while (done < bytes.length) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
        this.#fresh = false;
        done += bytesWritten;
      }
    } finally {
      onWritten(done);
    }
  }

  /**
   * All is there: give it its name.
   *
   * Nothing is flushed to the disk first: it would cut the rate to the disk's own (230 instead of 980 MB/s
   * where it was measured), and no kill of the process needs it.
   *
   * @param length bytes that belong to it; what the part has behind them is cut off
   */
  async finish(length: number): Promise<void> {
    const handle = await this.#open();
    if ((await handle.stat()).size !== length) await handle.truncate(length);
    await this.#close();
    await rename(this.path, this.#file);
    this.#lock.release();
  }

  /** It did not work out. The part stays as it is, unless nothing was ever written to it. */
  async abandon(): Promise<void> {
    await this.#close();
    if (this.#fresh) await rm(this.path, { force: true });
    this.#lock.release();
  }

  /** Opened, and made if it is not there, by the first that writes. */
  #open(): Promise<FileHandle> {
    if (this.#handle === undefined) {
      const made = open(this.path, CREATE);
      this.#handle = made;
      made.then(
        () => {
          this.#fresh = true;
        },
        () => {
          this.#handle = undefined;
        },
      );
    }
    return this.#handle;
  }

  async #close(): Promise<void> {
    const handle = await this.#handle;
    this.#handle = undefined;
    await Promise.allSettled(this.#writes);
    await handle?.close();
  }
}

function partOf(file: string): string {
  return `${file}.part`;
}

/** A link stays a link: what it points to is replaced. */
async function resolved(file: string): Promise<string> {
  const there = await stat(file).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  return there === undefined ? file : realpath(file);
}

/** What is there already, and how long it is; undefined when nothing is. */
async function openPart(part: string): Promise<{ handle: FileHandle; bytes: number } | undefined> {
  // Looked at first: to open a device may do something.
  const there = await lstat(part).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (there === undefined) return undefined;
  if (!there.isFile()) throw refused(part, there.isSymbolicLink());
  const handle = await open(part, FLAGS).catch((error: unknown) => {
    throw systemCode(error) === 'ELOOP' ? refused(part, true) : error;
  });
  const opened = await handle.stat();
  if (opened.isFile()) return { handle, bytes: opened.size };
  await handle.close();
  throw refused(part, false);
}

function refused(part: string, link: boolean): PeerError {
  const what = link ? 'is a symbolic link' : 'is not a regular file';
  return new PeerError('ERR_USAGE', `${part} ${what}: it is not written to`);
}
