/** Fetch a file into a file: what an earlier fetch left is used, what is missing comes from a peer. */
import { closeSync, constants, fstatSync, openSync, readlinkSync, statSync } from 'node:fs';
import { lstat, open, realpath, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { syncFolder } from '../../disk/durable.js';
import { Target, nameTaken, type Place } from '../../disk/target.js';
import { PeerError, systemCode } from '../../errors.js';
import type { Hash } from '../../wire/messages.js';
import {
  FileFetch,
  contentOf,
  type AttemptOptions,
  type Fetch,
  type FetchResult,
  type WantedRange,
} from './file-fetch.js';
import { PartFile } from './part-file.js';
import type { ByteSink, FileSource } from '../receive/body-receiver.js';
import { retrying, type RetryOptions } from '../retry.js';
import { signalOf } from '../../support/signal.js';
import { StreamFetch } from '../stream-fetch.js';

/** Descriptors of this process by their paths, as far as systems have them. */
const DESCRIPTOR = /^\/(?:dev\/(?:stdin|stdout|stderr|fd\/\d+)|proc\/(?:self|\d+)\/fd\/\d+)$/;

export interface FileOptions extends WantedRange {
  /** Wait until the file, and then its name, are on the disk. @default true */
  fsync?: boolean | undefined;
}

/**
 * Prepare to fetch into a file, by way of a part beside it (disk/target.ts); straight into what is not a
 * regular file, and behind what is there already into a descriptor (`/dev/fd/3`). Nothing is made or
 * written to before there is something to write.
 *
 * @throws PeerError ERR_USAGE: a folder, no name; ERR_FORBIDDEN: a link to nothing, a file that is
 *   read-only, a part that others may write to; the system's error
 */
export async function openFetch(hash: Hash, file: string, wanted: FileOptions): Promise<Fetch> {
  if (file === '') throw new PeerError('ERR_USAGE', 'the name of the file is empty');
  const there = await stat(file).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (there?.isDirectory() === true || (there === undefined && file.endsWith('/'))) {
    throw new PeerError('ERR_USAGE', `${file} is a folder`);
  }
  if (DESCRIPTOR.test(file) || (there !== undefined && !there.isFile())) {
    return new DeviceFetch(hash, new Device(file), wanted);
  }
  if (
    there === undefined &&
    (await lstat(file).catch(() => undefined))?.isSymbolicLink() === true
  ) {
    throw new PeerError('ERR_FORBIDDEN', `${file} is a symbolic link to nothing`);
  }
  // A link stays a link: what it points to is replaced.
  return openPlain(hash, file, there === undefined ? file : await realpath(file), wanted);
}

function openPlain(hash: Hash, file: string, real: string, wanted: FileOptions): Fetch {
  const folder = new OpenFolder(dirname(real));
  try {
    const target = new Target(folder.place(basename(real)), contentOf(hash, wanted));
    target.checkWritable();
    target.recover();
    const part = new PartFile({
      target,
      make: () => target,
      base: wanted.offset,
      fsync: wanted.fsync,
      onNamed: async (fd) => {
        if (wanted.fsync !== false) await folder.sync();
        checkNamed(file, fd, join(folder.real, basename(real)));
      },
      onClose: () => {
        folder.close();
      },
    });
    return new FileFetch(hash, part, wanted);
  } catch (error) {
    folder.close();
    throw error;
  }
}

/** @throws PeerError ERR_FORBIDDEN when the file is not where it was to be: it was replaced, or its folder moved */
function checkNamed(file: string, fd: number, real: string): void {
  const own = fstatSync(fd, { bigint: true });
  const isAt = (path: string): boolean => {
    const there = statSync(path, { bigint: true, throwIfNoEntry: false });
    return there?.ino === own.ino && there.dev === own.dev;
  };
  if (isAt(file)) return;
  if (!isAt(real)) throw nameTaken(file);
  throw new PeerError('ERR_FORBIDDEN', `${file}: its folder was moved, and the file is ${real}`);
}

export interface FetchToFileOptions
  extends FileOptions, Omit<AttemptOptions, 'signal'>, RetryOptions {}

/**
 * Fetch a file into `file`. A file that is there already and has the hash is left alone. A part that an
 * earlier fetch left is resumed: whatever it holds, only the blocks that are not right come from the
 * peer. It becomes `file` when all is there; until then it stays, also when this fails.
 *
 * @returns whether the file was fetched, or was there
 * @throws PeerError; ERR_FORBIDDEN when the file or its part must not be written to, or another file
 *   has got the name meanwhile; the system's error (ENOSPC, ...)
 */
export async function fetchToFile(
  source: FileSource,
  hash: Hash,
  file: string,
  options: FetchToFileOptions = {},
): Promise<FetchResult> {
  const { offset, length, limit, fsync, onProgress } = options;
  const signal = signalOf(options);
  const fetch = await openFetch(hash, file, { offset, length, limit, fsync });
  try {
    await retrying(
      () => fetch.from(source, { signal, onProgress }),
      () => fetch.bytes,
      options,
    );
    return await fetch.finish();
  } catch (error) {
    await fetch.abandon();
    throw error;
  }
}

/** The folder of a file, kept open: what is done in it does not depend on what it is called. */
class OpenFolder {
  readonly #path: string;
  #fd: number | undefined;

  constructor(path: string) {
    this.#path = path;
    if (process.platform !== 'linux') return;
    try {
      this.#fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
    } catch (error) {
      // One that may be written to but not listed is used by its path.
      if (systemCode(error) !== 'EACCES') throw error;
    }
  }

  place(name: string): Place {
    const folder = this.#fd === undefined ? this.#path : `/proc/self/fd/${this.#fd}`;
    return { folder, name, shown: join(this.#path, name) };
  }

  /** Where the folder is now. */
  get real(): string {
    return this.#fd === undefined ? this.#path : readlinkSync(`/proc/self/fd/${this.#fd}`);
  }

  async sync(): Promise<void> {
    if (this.#fd !== undefined) await syncFolder(this.#fd);
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

/** A device, fifo or descriptor: opened when there is something to write, and never replaced or cut. */
class Device implements ByteSink {
  readonly #file: string;
  #handle: FileHandle | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  async open(): Promise<FileHandle> {
    return (this.#handle ??= await open(this.#file, constants.O_WRONLY | constants.O_APPEND));
  }

  async write(bytes: Uint8Array): Promise<void> {
    const handle = await this.open();
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, null);
      done += bytesWritten;
    }
  }

  async close(): Promise<void> {
    await this.#handle?.close();
    this.#handle = undefined;
  }
}

class DeviceFetch extends StreamFetch {
  readonly #device: Device;

  constructor(hash: Hash, device: Device, wanted: WantedRange) {
    super(hash, device, wanted);
    this.#device = device;
  }

  override async finish(): Promise<FetchResult> {
    // Whoever reads from a fifo sees the end of an empty file, too.
    await this.#device.open();
    await this.#device.close();
    return 'fetched';
  }

  override async abandon(): Promise<undefined> {
    await this.#device.close();
    return undefined;
  }
}
