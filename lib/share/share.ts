/**
 * The shared folder: scans it, has its files hashed (small ones first), and offers each as soon as
 * its hash is known.
 */
import { EventEmitter } from 'node:events';
import { access, constants, lstat, realpath, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { identityOf, openInside, sameContent, type FileIdentity } from '../disk/open.js';
import { PeerError, systemCode } from '../errors.js';
import type { HashOutcome } from '../hash/file.js';
import { BATCH_BYTES, BATCH_FILES, HashPool, SMALL_BYTES } from '../hash/pool.js';
import { buildTree } from '../hash/tree.js';
import type { Hash, ShareState } from '../wire/messages.js';
import { Catalog, type Page, type SharedFile } from './catalog.js';
import { scan } from './scan.js';

export interface ShareOptions {
  /** The folder. */
  folder: string;
  dotfiles: boolean;
  ignore: readonly string[];
  /** Hashing threads. */
  threads?: number | undefined;
}

/** How far the first indexing is. */
export interface Progress {
  /** Files and bytes done, and found in all. */
  files: number;
  bytes: number;
  totalFiles: number;
  totalBytes: number;
  /** Whether the scan has found everything, so that the totals are final. */
  scanned: boolean;
}

export interface ShareEvents {
  progress: [Progress];
  /** Everything found is hashed: files and bytes shared, and how long it took in ms. */
  indexed: [{ files: number; bytes: number; milliseconds: number }];
  /** A file or folder is left out. */
  warning: [{ path: string; reason: string }];
  /** Indexing cannot go on. */
  error: [Error];
}

interface Pending {
  path: string;
  identity: FileIdentity;
  /** How often it was found changed while it was hashed. */
  tries: number;
}

/** A file that changes under the hasher this many times in a row is left out. */
const MAX_TRIES = 5;

export class Share extends EventEmitter<ShareEvents> {
  readonly #options: ShareOptions;
  readonly #catalog = new Catalog();
  readonly #abort = new AbortController();
  #pool: HashPool | undefined;
  #root = '';
  #state: ShareState = 'hashing';
  #indexing: Promise<void> | undefined;
  readonly #progress: Progress = {
    files: 0,
    bytes: 0,
    totalFiles: 0,
    totalBytes: 0,
    scanned: false,
  };

  constructor(options: ShareOptions) {
    super();
    this.#options = options;
  }

  get state(): ShareState {
    return this.#state;
  }
  get files(): number {
    return this.#catalog.files;
  }
  get bytes(): number {
    return this.#catalog.bytes;
  }
  get progress(): Readonly<Progress> {
    return this.#progress;
  }

  /**
   * Look whether the folder can be shared.
   *
   * @throws PeerError ERR_USAGE when it does not exist, is not a folder or cannot be read
   */
  async check(): Promise<void> {
    const { folder } = this.#options;
    try {
      this.#root = await realpath(folder);
      if ((await stat(this.#root)).isDirectory()) {
        await access(this.#root, constants.R_OK | constants.X_OK);
        return;
      }
    } catch (error) {
      const code = systemCode(error);
      const why = code === 'ENOENT' ? 'no such folder' : `cannot be read (${code ?? 'unknown'})`;
      throw new PeerError('ERR_USAGE', `${folder}: ${why}`, { cause: error });
    }
    throw new PeerError('ERR_USAGE', `${folder}: not a folder`);
  }

  /** Begin to scan and hash; what happens is told by events. */
  start(): void {
    this.#pool = new HashPool(this.#options.threads);
    this.#indexing = this.#index(this.#pool).catch((error: unknown) => {
      if (!this.#abort.signal.aborted) this.emit('error', error as Error);
    });
  }

  search(query: string, max?: number, after?: Uint8Array): Page {
    return this.#catalog.search(query, max, after);
  }

  /**
   * A file with this content, open for reading and unchanged since it was hashed. The caller closes
   * the handle.
   *
   * @throws PeerError ERR_NOT_FOUND; ERR_HASHING while not everything is hashed; ERR_CHANGED when
   *   the file is no longer what it was
   */
  async open(hash: Hash): Promise<{ file: SharedFile; handle: FileHandle }> {
    const candidates = this.#catalog.withHash(hash);
    for (const file of candidates) {
      try {
        const { handle, identity } = await openInside(this.#root, file.path);
        if (sameContent(identity, file.identity)) return { file, handle };
        await handle.close();
      } catch {
        // Gone, or not readable any more: what another copy may make up for.
      }
      this.#withdraw(file);
    }
    if (candidates.length > 0) {
      throw new PeerError('ERR_CHANGED', 'the file has changed since it was hashed');
    }
    throw this.#state === 'hashing'
      ? new PeerError('ERR_HASHING', 'no file with this hash yet: still hashing')
      : new PeerError('ERR_NOT_FOUND', 'no file with this hash');
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#pool?.close();
    await this.#indexing;
  }

  /** Offer a file no longer, as long as it has not been replaced meanwhile. */
  #withdraw(file: SharedFile): void {
    if (this.#catalog.get(file.path) !== file) return;
    this.#catalog.delete(file.path);
    this.emit('warning', { path: file.path, reason: 'changed since it was hashed; withdrawn' });
  }

  async #index(pool: HashPool): Promise<void> {
    const begin = performance.now();
    const found: Pending[] = [];
    const progress = this.#progress;
    await scan(
      { root: this.#root, dotfiles: this.#options.dotfiles, ignore: this.#options.ignore },
      (chunk) => {
        for (const { path, identity } of chunk.files) {
          found.push({ path, identity, tries: 0 });
          progress.totalBytes += identity.size;
        }
        for (const warning of chunk.warnings) this.emit('warning', warning);
        progress.totalFiles = found.length;
        this.emit('progress', progress);
      },
      this.#abort.signal,
    );
    progress.scanned = true;
    await this.#hashAll(pool, found);
    this.#state = 'ready';
    this.emit('indexed', {
      files: this.files,
      bytes: this.bytes,
      milliseconds: performance.now() - begin,
    });
  }

  /** Hash all of `files`, the smallest first; those that change meanwhile again. */
  async #hashAll(pool: HashPool, files: Pending[]): Promise<void> {
    for (let round = files; round.length > 0;) {
      round.sort((a, b) => a.identity.size - b.identity.size);
      const again: Pending[] = [];
      const firstLarge = round.findIndex(({ identity }) => identity.size > SMALL_BYTES);
      const small = firstLarge === -1 ? round : round.slice(0, firstLarge);
      const large = firstLarge === -1 ? [] : round.slice(firstLarge);
      const batches = batchesOf(small);
      const takeBatches = async (): Promise<void> => {
        for (let batch = batches.next(); batch.done !== true; batch = batches.next()) {
          await this.#hashBatch(pool, batch.value, again);
        }
      };
      await Promise.all(Array.from({ length: pool.threads * 2 }, takeBatches));
      for (const pending of large) await this.#hashLarge(pool, pending, again);
      round = again;
    }
  }

  async #hashBatch(pool: HashPool, batch: readonly Pending[], again: Pending[]): Promise<void> {
    const outcomes = await pool.hashBatch(this.#root, batch);
    for (const [i, pending] of batch.entries()) {
      const outcome = outcomes[i];
      if (outcome === undefined) continue;
      this.#progress.bytes += pending.identity.size;
      await this.#settle(pending, outcome, again);
    }
    this.emit('progress', this.#progress);
  }

  async #hashLarge(pool: HashPool, pending: Pending, again: Pending[]): Promise<void> {
    let counted = 0;
    const count = (bytes: number): void => {
      counted += bytes;
      this.#progress.bytes += bytes;
      this.emit('progress', this.#progress);
    };
    const { path, identity } = pending;
    const outcome = await pool.hashLarge(this.#root, path, identity, count);
    this.#progress.bytes += identity.size - counted;
    await this.#settle(pending, outcome, again);
    this.emit('progress', this.#progress);
  }

  /** Publish a file, or see to it that it is hashed again, or say why it is left out. */
  async #settle(pending: Pending, outcome: HashOutcome, again: Pending[]): Promise<void> {
    const { path } = pending;
    if (outcome.status === 'changed' && pending.tries + 1 < MAX_TRIES) {
      const now = await this.#identityNow(path);
      if (now !== undefined) {
        again.push({ path, identity: now, tries: pending.tries + 1 });
        this.#progress.bytes -= pending.identity.size;
        this.#progress.totalBytes += now.size - pending.identity.size;
        return;
      }
    }
    this.#progress.files++;
    switch (outcome.status) {
      case 'hashed':
        this.#catalog.set(path, outcome.identity, buildTree(outcome.blockHashes));
        break;
      case 'changed':
        this.emit('warning', { path, reason: 'keeps changing while it is hashed; left out' });
        break;
      case 'failed':
        // Deleted since it was listed: nothing to say.
        if (outcome.code !== 'ENOENT') {
          this.emit('warning', { path, reason: `${outcome.code}; left out` });
        }
    }
  }

  async #identityNow(path: string): Promise<FileIdentity | undefined> {
    try {
      const now = await lstat(join(this.#root, path), { bigint: true });
      return now.isFile() ? identityOf(now) : undefined;
    } catch {
      return undefined;
    }
  }
}

function* batchesOf(files: readonly Pending[]): Generator<Pending[]> {
  let batch: Pending[] = [];
  let bytes = 0;
  for (const file of files) {
    batch.push(file);
    bytes += file.identity.size;
    if (batch.length === BATCH_FILES || bytes >= BATCH_BYTES) {
      yield batch;
      batch = [];
      bytes = 0;
    }
  }
  if (batch.length > 0) yield batch;
}
