/**
 * Files that wait to be hashed: what changed just now before what a scan found, small before large.
 * Keeps the pool busy with a bounded number of jobs, so that a new file never waits behind many.
 */
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { identityOf, sameContent, type FileIdentity } from '../disk/open.js';
import { asError } from '../errors.js';
import type { HashResult } from '../hash/file.js';
import { BATCH_BYTES, BATCH_FILES, WHOLE_FILE_BYTES, type HashPool } from '../hash/pool.js';
import { buildTree, type Tree } from '../hash/tree.js';

export interface HashQueueOwner {
  /** @param began when its bytes began to be read, by Date.now() */
  onHashed(path: string, identity: FileIdentity, tree: Tree, began: number): void;
  /** A file that cannot be hashed, what it was when it was seen, and why. */
  onFailed(path: string, identity: FileIdentity, code: string): void;
  /** A file changed while it was hashed: look at it again after a while. */
  onChanged(path: string, attempts: number): void;
  /** Bytes were hashed, but for those of files that were verified. */
  onBytes(bytes: number): void;
  /** Nothing waits any more and nothing is under way. */
  onStep(): void;
  /** Nothing can be hashed any more. */
  onError(error: Error): void;
}

interface Job {
  path: string;
  identity: FileIdentity;
  attempts: number;
  /** Its bytes are no progress: it was hashed before. */
  isVerified: boolean;
  /** The file was seen changed while it was being hashed. */
  stale: boolean;
  /** When it was handed over, by Date.now(). */
  began: number;
  /** Bytes told to the owner. */
  counted: number;
}

export class HashQueue {
  readonly #root: string;
  readonly #pool: HashPool;
  readonly #owner: HashQueueOwner;
  readonly #jobs = new Map<string, Job>();
  readonly #urgent: Job[] = [];
  /** By the size's number of bits; each a stack. */
  readonly #bulk: Job[][] = Array.from({ length: 54 }, () => []);
  #running = 0;
  #closed = false;

  constructor(root: string, pool: HashPool, owner: HashQueueOwner) {
    this.#root = root;
    this.#pool = pool;
    this.#owner = owner;
  }

  /** Files that wait or are being hashed. */
  get size(): number {
    return this.#jobs.size;
  }

  add(path: string, identity: FileIdentity, urgent: boolean, attempts = 0): void {
    const there = this.#jobs.get(path);
    if (there !== undefined) {
      there.identity = identity;
      there.stale = true;
      return;
    }
    this.#push(
      { path, identity, attempts, isVerified: false, stale: false, began: 0, counted: 0 },
      urgent,
    );
  }

  /** Hash a file once more, when there is nothing more urgent. */
  verify(path: string, identity: FileIdentity): void {
    if (this.#jobs.has(path)) return;
    const job = {
      path,
      identity,
      attempts: 0,
      isVerified: true,
      stale: false,
      began: 0,
      counted: 0,
    };
    this.#push(job, false);
  }

  /** The file is gone. */
  delete(path: string): void {
    const job = this.#jobs.get(path);
    if (job !== undefined) job.stale = true;
  }

  close(): void {
    this.#closed = true;
  }

  #push(job: Job, urgent: boolean): void {
    this.#jobs.set(job.path, job);
    if (urgent) this.#urgent.push(job);
    else this.#bulk[bits(job.identity.size)]?.push(job);
    this.#pump();
  }

  #pump(): void {
    while (this.#running < this.#pool.threads * 2 && !this.#closed) {
      const batch = this.#nextBatch();
      if (batch.length === 0) break;
      this.#running++;
      void this.#run(batch).then(() => {
        this.#running--;
        this.#pump();
        if (this.#jobs.size === 0 && this.#running === 0 && !this.#closed) this.#owner.onStep();
      });
    }
  }

  /** The next files: many small ones, or one large one. */
  #nextBatch(): Job[] {
    const batch: Job[] = [];
    let bytes = 0;
    for (const stack of [this.#urgent, ...this.#bulk]) {
      for (let job = stack.at(-1); job !== undefined; job = stack.at(-1)) {
        const large = job.identity.size > WHOLE_FILE_BYTES;
        if (large && batch.length > 0) return batch;
        stack.pop();
        job.stale = false;
        job.began = Date.now();
        batch.push(job);
        bytes += job.identity.size;
        if (large || batch.length === BATCH_FILES || bytes >= BATCH_BYTES) return batch;
      }
      // What is urgent does not wait for a batch to fill.
      if (batch.length > 0 && stack === this.#urgent) return batch;
    }
    return batch;
  }

  async #run(batch: readonly Job[]): Promise<void> {
    const [first] = batch;
    try {
      if (first !== undefined && first.identity.size > WHOLE_FILE_BYTES) {
        const onBytes = (bytes: number): void => {
          this.#count(first, bytes);
        };
        const { path, identity } = first;
        await this.#settle(first, await this.#pool.hashLarge(this.#root, path, identity, onBytes));
        return;
      }
      const results = await this.#pool.hashBatch(
        this.#root,
        batch.map(({ path }) => path),
      );
      let bytes = 0;
      for (const [i, job] of batch.entries()) {
        if (!job.isVerified) job.counted = job.identity.size;
        bytes += job.counted;
        const result = results[i];
        if (result !== undefined) await this.#settle(job, result);
      }
      this.#owner.onBytes(bytes);
    } catch (error) {
      for (const job of batch) this.#jobs.delete(job.path);
      // The pool was closed, or has no workers and gets none.
      if (this.#closed) return;
      this.close();
      this.#owner.onError(asError(error));
    }
  }

  async #settle(job: Job, result: HashResult): Promise<void> {
    const { path } = job;
    // Another file has taken its place since it was looked at.
    if (result.status === 'hashed' && result.identity.ino !== job.identity.ino) {
      this.#changed(job);
      return;
    }
    // Seen changed, or removed, since it was handed over: what is there now counts.
    if (job.stale && result.status === 'hashed') {
      const now = await this.#stat(path);
      const { identity } = result;
      if (now === undefined || !sameContent(now, identity)) {
        this.#changed(job);
        return;
      }
    }
    this.#jobs.delete(path);
    if (this.#closed) return;
    switch (result.status) {
      case 'hashed':
        this.#owner.onHashed(path, result.identity, buildTree(result.blockHashes), job.began);
        break;
      case 'changed':
        this.#changed(job);
        break;
      case 'failed':
        this.#owner.onFailed(path, job.identity, result.code);
    }
  }

  #count(job: Job, bytes: number): void {
    if (job.isVerified) return;
    job.counted += bytes;
    this.#owner.onBytes(bytes);
  }

  #changed(job: Job): void {
    this.#jobs.delete(job.path);
    this.#owner.onBytes(-job.counted);
    this.#owner.onChanged(job.path, job.attempts + 1);
  }

  async #stat(path: string): Promise<FileIdentity | undefined> {
    try {
      return identityOf(await lstat(join(this.#root, path), { bigint: true }));
    } catch {
      return undefined;
    }
  }
}

function bits(size: number): number {
  return size === 0 ? 0 : Math.min(53, Math.floor(Math.log2(size)) + 1);
}
