/**
 * Opens and reads shared files for uploads. A file is served only while its size and times are those of the
 * file that was hashed; one that has changed or cannot be read is withdrawn from the share.
 */
import { fstatSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { identityOf, openInside, readInside, sameContent } from '../disk/open.js';
import { PeerError, isReadFault, isShortage, systemCode } from '../errors.js';
import { hashBlock } from '../hash/blake3.js';
import type { Lists } from '../hash/tree.js';
import { BLOCK_BYTES } from '../wire/body.js';
import type { Hash } from '../wire/messages.js';
import type { SharedFile } from '../share/catalog.js';
import { RehashOnRead } from '../share/rehash-on-read.js';
import type { Share } from '../share/share.js';

/** A file that is open for reading. */
export interface OpenFile {
  readonly file: SharedFile;
  readonly handle: FileHandle;
  readonly lists: Lists;
}

/** The share, as far as it matters here. */
export type ServedShare = Pick<Share, 'content' | 'state'>;

/** Said of a file whose bytes the disk does not give. */
const UNREADABLE = 'the file cannot be read any more';
const CHANGED = 'the file has changed since it was hashed';

export class Serving {
  readonly #share: ServedShare;
  readonly #rehash = new RehashOnRead(Date.now());

  constructor(share: ServedShare) {
    this.#share = share;
  }

  /**
   * A file with this content, open for reading and unchanged since it was hashed. The caller gives it back with `release`.
   *
   * @throws PeerError ERR_NOT_FOUND; ERR_HASHING while not everything is hashed; ERR_CHANGED when
   *   the file is no longer what it was
   */
  async open(hash: Hash): Promise<OpenFile> {
    const { root, catalog, indexer } = this.#share.content;
    return this.#firstOf(catalog.withHash(hash), async (file) => {
      const lists = catalog.lists(hash, file.identity.size);
      const opened = await openInside(root, file.path);
      if (sameContent(opened.identity, file.identity) && lists !== undefined) {
        if (this.#rehash.needsRehash(file.path, opened)) indexer.verify(file);
        return { file, handle: opened.handle, lists };
      }
      await opened.handle.close();
      return undefined;
    });
  }

  /** A file is not needed any more. */
  async release({ file, handle }: OpenFile): Promise<void> {
    try {
      // It may have been written to meanwhile. What looks at an open file does not wait for a disk.
      const stat = fstatSync(handle.fd, { bigint: true });
      const now = { identity: identityOf(stat), changedNs: stat.ctimeNs };
      if (this.#rehash.needsRehash(file.path, now)) this.#share.content.indexer.verify(file);
    } finally {
      await handle.close();
    }
  }

  /**
   * All bytes of a small file with this content, unchanged since it was hashed; undefined when it has
   * more than `max` bytes, or is not there.
   *
   * @param max one block at most
   * @param signal aborted when nobody wants it any more
   * @throws PeerError as `open`, but for ERR_NOT_FOUND
   */
  read(hash: Hash, max: number, signal: AbortSignal): Promise<Buffer> | undefined {
    if (max > BLOCK_BYTES) throw new RangeError('more than one block');
    const { root, catalog } = this.#share.content;
    const candidates = catalog.withHash(hash);
    const size = candidates[0]?.identity.size ?? Infinity;
    if (size > max) return undefined;
    return this.#firstOf(
      candidates,
      async (file) => {
        const read = await readInside(root, file.path, file.identity);
        return read !== undefined && this.#isRight(file, read) ? read : undefined;
      },
      signal,
    );
  }

  /**
   * The receiver ended the connection after all of a file's bytes: it was done, or they were wrong.
   *
   * @see RehashOnRead: it is hashed again once
   */
  afterEnd(file: SharedFile): void {
    const { indexer } = this.#share.content;
    if (this.#rehash.needsRehashAfterAbort(file.path, file.identity)) indexer.verify(file);
  }

  /**
   * An error from sending a file: if the disk did not give its bytes, it is offered no longer; if the
   * receiver ended the transfer, its content may have been wrong.
   *
   * @returns the error that the peer is told
   */
  afterError({ file }: OpenFile, error: unknown): unknown {
    const code = systemCode(error) ?? '';
    const { indexer } = this.#share.content;
    if (!isReadFault(code)) {
      this.afterEnd(file);
      return error;
    }
    indexer.withdraw(file, code);
    return new PeerError('ERR_CHANGED', UNREADABLE, { cause: error });
  }

  /** All of it is in memory, and soon hashed: nobody gets what is not right. */
  #isRight(file: SharedFile, bytes: Uint8Array): boolean {
    if (Buffer.compare(hashBlock(bytes), Buffer.from(file.hash, 'hex')) === 0) return true;
    this.#share.content.indexer.distrust(file);
    return false;
  }

  /** The first of several files of which `get` gives something; others are not what they were. */
  async #firstOf<T>(
    candidates: readonly SharedFile[],
    get: (file: SharedFile) => Promise<T | undefined>,
    signal?: AbortSignal,
  ): Promise<T> {
    const { indexer } = this.#share.content;
    let why = CHANGED;
    for (const file of candidates) {
      try {
        const got = await get(file);
        if (got !== undefined) return got;
      } catch (error) {
        signal?.throwIfAborted();
        const code = systemCode(error) ?? '';
        // Nothing is wrong with the file when this machine is short of something.
        if (isShortage(code)) throw new PeerError('ERR_BUSY', 'too many open files here');
        // Gone, or not readable any more: what another copy may make up for.
        if (isReadFault(code)) {
          why = UNREADABLE;
          indexer.withdraw(file, code);
          continue;
        }
      }
      indexer.withdraw(file);
    }
    if (candidates.length > 0) throw new PeerError('ERR_CHANGED', why);
    throw this.missing();
  }

  /** Why there is no file with some hash. */
  missing(): PeerError {
    return this.#share.state === 'hashing'
      ? new PeerError('ERR_HASHING', 'no file with this hash yet: still hashing')
      : new PeerError('ERR_NOT_FOUND', 'no file with this hash');
  }
}
