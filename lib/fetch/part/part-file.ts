/**
 * Where a file grows: a part beside it, which gets the file's name when all of it is there and verified
 * (disk/target.ts). What stands at the name until then is not touched.
 *
 * The contents of a part are never trusted: whoever resumes one compares it with the block tree
 * (part-check.ts). So it needs no second file beside it that could tell lies, and it may be cut, damaged
 * or left behind by a process that was killed at any moment.
 */
import { close, fdatasync, ftruncate, fstatSync, read, write } from 'node:fs';
import { promisify } from 'node:util';
import { PeerError } from '../../errors.js';
import { setModified } from '../../disk/modified.js';
import type { OpenPart, Target } from '../../disk/target.js';
import type { ByteSink } from '../receive/body-receiver.js';

const [closeAsync, readAt, writeAt] = [promisify(close), promisify(read), promisify(write)];
const [datasync, truncate] = [promisify(fdatasync), promisify(ftruncate)];

export interface PartFileOptions {
  /** The target as it is; undefined when not even its folder is there. */
  readonly target: Target | undefined;
  /** The target, in a folder that is made if need be. */
  readonly make: () => Target;
  /** Position, in the file that is fetched, of the part's first byte. @default 0 */
  readonly base?: number | undefined;
  /** Wait for the disk before the file gets its name. @default true */
  readonly fsync?: boolean | undefined;
  /** Told when the file has got its name; its descriptor is still open. */
  readonly onNamed?: ((fd: number) => Promise<void>) | undefined;
  /** Told whether the file got its name, when nothing more is done with the part. */
  readonly onClose?: ((named: boolean) => void) | undefined;
}

export class PartFile implements ByteSink {
  /** Bytes that the part had when it was opened. */
  readonly found: number;
  readonly #options: PartFileOptions;
  readonly #base: number;
  #target: Target | undefined;
  #part: OpenPart | undefined;
  /** Under way in the writer's thread, which uses the descriptor. */
  readonly #writes = new Set<Promise<unknown>>();
  /** It was made here, and nothing has been written to it. */
  #fresh = false;
  #named = false;
  #closed = false;

  /**
   * Nothing is made, emptied or written to before there is something to write.
   *
   * @throws as Target
   */
  constructor(options: PartFileOptions) {
    this.#options = options;
    this.#base = options.base ?? 0;
    this.#target = options.target;
    this.#part = this.#target?.open();
    this.found = this.#part?.size ?? 0;
  }

  /** The part as people find it; undefined before it is there, and when it is not there any more. */
  get path(): string | undefined {
    if (this.#part === undefined || this.#target?.holds(this.#part.fd) !== true) return undefined;
    return this.#target.part;
  }

  /** Bytes of the file that stands at the name; undefined when none does. */
  get existing(): number | undefined {
    return this.#target?.existing;
  }

  /** What stands at the name, open for reading. The caller closes it. */
  openExisting(): number | undefined {
    return this.#target?.openExisting();
  }

  /**
   * Fill `into` with what the part holds.
   *
   * @param position of its first byte in the file that is fetched
   * @returns bytes read; fewer only at the end of the part
   */
  async read(into: Uint8Array, position: number): Promise<number> {
    if (this.#part === undefined) return 0;
    const { fd } = this.#part;
    let done = 0;
    while (done < into.length) {
      const at = position - this.#base + done;
      const { bytesRead } = await readAt(fd, into, done, into.length - done, at);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  /**
   * @param position in the file that is fetched; anywhere at or behind `base`
   * @param onWritten told how many of the bytes are there, also when it then throws
   * @throws PeerError ERR_FORBIDDEN when the part is not ours alone, or was moved; the system's error
   */
  async write(
    bytes: Uint8Array,
    position: number,
    onWritten: (bytes: number) => void = () => undefined,
  ): Promise<void> {
    const { fd } = this.#open();
    // Another run of the same command has named it: from then on it is not ours to write to.
    if (this.#target?.holds(fd) !== true) throw this.#moved();
    const at = position - this.#base;
    let done = 0;
    try {
      while (done < bytes.length) {
        const writing = writeAt(fd, bytes, done, bytes.length - done, at + done);
        this.#writes.add(writing);
        const { bytesWritten } = await writing.finally(() => this.#writes.delete(writing));
        this.#fresh = false;
        done += bytesWritten;
      }
    } finally {
      onWritten(done);
    }
  }

  /** Whether another run of the same command has given this very part its name: it was whole. */
  get isNamed(): boolean {
    return this.#part !== undefined && this.#target?.isNamed(this.#part.fd) === true;
  }

  /**
   * All is there: give it its name.
   *
   * @param length bytes that belong to it; what the part has behind them is cut off
   * @param modified when it was last changed, in seconds since 1970
   * @throws PeerError ERR_FORBIDDEN when another file has got the name meanwhile; the system's error
   */
  async finish(length: number, modified?: number): Promise<void> {
    const { fd } = this.#open();
    await Promise.allSettled(this.#writes);
    if (!this.isNamed) {
      if (fstatSync(fd).size !== length) await truncate(fd, length);
      if (modified !== undefined) setModified(fd, modified);
      if (this.#options.fsync !== false) await datasync(fd);
      this.#target?.commit(fd);
    }
    this.#named = true;
    await this.#options.onNamed?.(fd);
    await this.close();
  }

  /** Leave the part as it is, unless nothing was ever written to it. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const part = this.#part;
    await Promise.allSettled(this.#writes);
    try {
      if (part !== undefined && this.#fresh && !this.#named) this.#target?.remove(part.fd);
    } finally {
      this.#part = undefined;
      if (part !== undefined) await closeAsync(part.fd);
      this.#options.onClose?.(this.#named);
    }
  }

  /** Made, if it is not there, by the first that writes. */
  #open(): OpenPart {
    if (this.#closed) throw this.#moved();
    if (this.#part === undefined) {
      this.#target = this.#options.make();
      this.#target.checkWritable();
      this.#part = this.#target.create();
      this.#fresh = this.#part.made;
    }
    return this.#part;
  }

  #moved(): PeerError {
    const path = this.#target?.part ?? 'the part';
    return new PeerError('ERR_FORBIDDEN', `${path} was moved or removed meanwhile`);
  }
}
