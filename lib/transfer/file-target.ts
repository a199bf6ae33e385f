/**
 * Write what is fetched into a file: into `FILE.part` beside it, which becomes FILE only when all of
 * it is there. What stands at FILE until then is not touched.
 */
import { open, realpath, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { PeerError, systemCode } from '../errors.js';
import type { ByteSink } from './receive.js';

export class FileTarget implements ByteSink {
  readonly #file: string;
  /** Where the bytes go until they are complete; undefined when they go to FILE itself. */
  readonly #part: string | undefined;
  readonly #base: number;
  #handle: FileHandle | undefined;
  #bytes = 0;

  private constructor(file: string, part: string | undefined, base: number) {
    this.#file = file;
    this.#part = part;
    this.#base = base;
  }

  /**
   * Nothing is made or emptied before there is something to write.
   *
   * @param file a regular file or nothing yet; a device or fifo is written to directly
   * @param base position, in the file that is fetched, of the first byte that is written
   * @throws PeerError ERR_USAGE for a folder or no name; the system's error
   */
  static async at(file: string, base = 0): Promise<FileTarget> {
    if (file === '') throw new PeerError('ERR_USAGE', 'the name of the file is empty');
    const there = await stat(file).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (there?.isDirectory() === true) throw new PeerError('ERR_USAGE', `${file} is a folder`);
    if (there !== undefined && !there.isFile()) return new FileTarget(file, undefined, base);
    // A link stays a link: what it points to is replaced.
    const real = there === undefined ? file : await realpath(file);
    return new FileTarget(real, `${real}.part`, base);
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    const handle = await this.#open();
    const at = this.#part === undefined ? null : position - this.#base;
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await handle.write(
        bytes,
        done,
        bytes.length - done,
        at === null ? null : at + done,
      );
      done += bytesWritten;
    }
    this.#bytes += bytes.length;
  }

  /** All is there: give it its name. */
  async finish(): Promise<void> {
    const handle = await this.#open();
    await handle.close();
    if (this.#part !== undefined) await rename(this.#part, this.#file);
  }

  /**
   * It did not work out. Verified bytes are kept.
   *
   * @returns the file they are in, if there are any
   */
  async abandon(): Promise<string | undefined> {
    if (this.#handle === undefined) return undefined;
    await this.#handle.close();
    if (this.#part === undefined) return undefined;
    if (this.#bytes > 0) return this.#part;
    await rm(this.#part, { force: true });
    return undefined;
  }

  async #open(): Promise<FileHandle> {
    this.#handle ??= await open(this.#part ?? this.#file, 'w');
    return this.#handle;
  }
}
