/** One file of a folder: is it there, fetch it, give it its name. */
import { closeSync, ftruncateSync, writeSync } from 'node:fs';
import type { Peer } from '../peer.js';
import { PeerError } from '../../errors.js';
import { GroupSync } from '../../disk/group-sync.js';
import { setModified } from '../../disk/modified.js';
import type { HeldPlace, OutputFolder } from '../../disk/output-folder.js';
import type { Looked } from '../../disk/look.js';
import { Target } from '../../disk/target.js';
import type { RateLimiter } from '../../limits/rate-limiter.js';
import type { FileMatch } from '../../wire/messages.js';
import { isEqualFile } from '../part/equal-file.js';
import { FileFetch, contentOf } from '../part/file-fetch.js';
import { PartFile } from '../part/part-file.js';
import type { FileSource } from '../receive/body-receiver.js';
import { SMALL_BYTES } from '../receive/small-body.js';
import type { OnHead } from './attempts.js';

export interface TransferOptions {
  limit?: RateLimiter | undefined;
  fsync?: boolean | undefined;
  onBytes: (bytes: number) => void;
}

export interface AttemptOptions {
  /** What stood at the name. */
  looked: Looked;
  onHead: OnHead;
  /** Told that all bytes have come: what is left is to wait for the disk. */
  onReceived: () => void;
}

export class FileTransfer {
  readonly #peer: Peer;
  readonly #output: OutputFolder;
  readonly #options: TransferOptions;
  readonly #disk = new GroupSync();

  constructor(peer: Peer, output: OutputFolder, options: TransferOptions) {
    this.#peer = peer;
    this.#output = output;
    this.#options = options;
  }

  /**
   * What stands at the name of the file, if it is not the file itself, whole.
   *
   * @throws PeerError ERR_FORBIDDEN; the system's error
   */
  async look(file: string, match: FileMatch, signal: AbortSignal): Promise<Looked | 'there'> {
    return this.#named(file, async () => {
      const place = this.#output.find(file);
      if (place === undefined) return { there: undefined };
      try {
        const target = new Target(place, match.hash);
        if (target.existing === match.size) {
          const fd = target.openExisting();
          try {
            const there = fd !== undefined && { fd, size: match.size };
            if (there !== false && (await isEqualFile(there, match, { signal }))) return 'there';
          } finally {
            if (fd !== undefined) closeSync(fd);
          }
        }
        // Better now than when it has come.
        target.checkWritable();
        return target.looked;
      } finally {
        place.release();
      }
    });
  }

  /** Fetch it from the peer. @throws PeerError; the system's error */
  async fetch(
    file: string,
    match: FileMatch,
    signal: AbortSignal,
    options: AttemptOptions,
  ): Promise<void> {
    const { hash, size } = match;
    if (size > SMALL_BYTES) {
      await this.fetchFrom(this.#peer, file, match, signal, options);
      return;
    }
    const { limit, onBytes } = this.#options;
    const { looked, onHead } = options;
    const bytes = await this.#peer.fetchSmall(hash, size, { signal, limit, onHead });
    onBytes(size);
    try {
      await this.#named(file, () => this.#put(file, match, bytes, looked));
    } catch (error) {
      // Another run of the same command may have been first, with the same file.
      if (!(error instanceof PeerError) || error.code !== 'ERR_FORBIDDEN') throw error;
      if ((await this.look(file, match, signal)) !== 'there') throw error;
    }
  }

  /** Fetch it from any source, resuming what is there. */
  async fetchFrom(
    source: FileSource,
    file: string,
    match: FileMatch,
    signal: AbortSignal,
    { onHead, onReceived }: AttemptOptions,
  ): Promise<void> {
    await this.#named(file, async () => {
      const fetch = this.#openLarge(file, match);
      let before = 0;
      try {
        await fetch.from(source, {
          signal,
          onHead,
          onProgress: ({ phase, bytes }) => {
            if (phase !== 'fetching') return;
            this.#options.onBytes(bytes - before);
            before = bytes;
          },
        });
        onReceived();
        await fetch.finish();
      } catch (error) {
        await fetch.abandon();
        throw error;
      }
    });
  }

  #openLarge(file: string, { hash, size, modified }: FileMatch): FileFetch {
    const { limit, fsync } = this.#options;
    const held: HeldPlace[] = [];
    const hold = (place: HeldPlace): Target => {
      held.push(place);
      return new Target(place, contentOf(hash, {}));
    };
    const release = (named: boolean): void => {
      for (const place of held) place.release(named);
    };
    try {
      const there = this.#output.find(file);
      const target = there && hold(there);
      const make = (): Target => target ?? hold(this.#output.make(file));
      const part = new PartFile({ target, make, fsync, onClose: release });
      return new FileFetch(hash, part, { size, modified, limit });
    } catch (error) {
      release(false);
      throw error;
    }
  }

  /** A small file is there at once, and nothing of it is worth keeping if it cannot be written. */
  async #put(
    file: string,
    { hash, modified }: FileMatch,
    bytes: Uint8Array,
    looked: Looked,
  ): Promise<void> {
    const place = this.#output.make(file);
    let named = false;
    try {
      const target = new Target(place, hash, looked);
      target.checkWritable();
      const part = target.createWhole();
      try {
        for (let done = 0; done < bytes.length;) {
          done += writeSync(part.fd, bytes, done, bytes.length - done, done);
        }
        if (part.size > bytes.length) ftruncateSync(part.fd, bytes.length);
        if (modified !== undefined) setModified(part.fd, modified);
        if (this.#options.fsync !== false) await this.#disk.sync(part.fd);
        target.commit(part.fd);
        named = true;
      } finally {
        if (!named && part.made) target.remove(part.fd);
        closeSync(part.fd);
      }
    } finally {
      place.release(named);
    }
  }

  async #named<T>(file: string, step: () => Promise<T>): Promise<T> {
    try {
      return await step();
    } catch (error) {
      throw this.#output.errorAt(file, error);
    }
  }
}
