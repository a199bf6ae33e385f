/** Fetch a file into a file: what an earlier fetch left is used, what is missing comes from a peer. */
import { open, stat, type FileHandle } from 'node:fs/promises';
import { PeerError, systemCode } from '../../errors.js';
import type { Hash } from '../../wire/messages.js';
import { FileFetch, type AttemptOptions, type Fetch, type WantedRange } from './file-fetch.js';
import type { ByteSink, FileSource } from '../receive/body-receiver.js';
import { retrying, type RetryOptions } from '../retry.js';
import { StreamFetch } from '../stream-fetch.js';

/**
 * Prepare to fetch into a file, by way of `FILE.part`; straight into what is not a regular file. Nothing
 * is made or written to before there is something to write.
 *
 * @throws PeerError ERR_USAGE: a folder, no name, a part that is a link or in use; the system's error
 */
export async function openFetch(hash: Hash, file: string, wanted: WantedRange): Promise<Fetch> {
  if (file === '') throw new PeerError('ERR_USAGE', 'the name of the file is empty');
  const there = await stat(file).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (there?.isDirectory() === true) throw new PeerError('ERR_USAGE', `${file} is a folder`);
  if (there === undefined || there.isFile()) return FileFetch.open(hash, file, wanted);
  return new DeviceFetch(hash, new Device(file), wanted);
}

export interface FetchToFileOptions extends WantedRange, AttemptOptions, RetryOptions {}

/**
 * Fetch a file into `file`. A `FILE.part` that is there is gone on with: whatever it holds, only the
 * blocks that are not right come from the peer. It becomes FILE when all is there; until then it stays,
 * also when this fails.
 *
 * @throws PeerError; ERR_USAGE when another fetch into that file is under way, or the part is no regular
 *   file; the system's error (ENOSPC, ...)
 */
export async function fetchToFile(
  source: FileSource,
  hash: Hash,
  file: string,
  options: FetchToFileOptions = {},
): Promise<void> {
  const { offset, length, limit, signal, onProgress } = options;
  const fetch = await openFetch(hash, file, { offset, length, limit });
  try {
    await retrying(
      () => fetch.from(source, { signal, onProgress }),
      () => fetch.bytes,
      options,
    );
    await fetch.finish();
  } catch (error) {
    await fetch.abandon();
    throw error;
  }
}

/** A device or fifo: opened when there is something to write, and never replaced. */
class Device implements ByteSink {
  readonly #file: string;
  #handle: FileHandle | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  async open(): Promise<FileHandle> {
    return (this.#handle ??= await open(this.#file, 'w'));
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

  override async finish(): Promise<void> {
    // Whoever reads from a fifo sees the end of an empty file, too.
    await this.#device.open();
    await this.#device.close();
  }

  override async abandon(): Promise<undefined> {
    await this.#device.close();
    return undefined;
  }
}
