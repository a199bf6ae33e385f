/**
 * Files that are hashed. What was hashed is published; what cannot be hashed is skipped, and named once;
 * what may have changed in a way that its time does not show is hashed once more.
 */
import { sameContent, type FileIdentity } from '../disk/open.js';
import { isReadFault, isShortage } from '../errors.js';
import { WRONG_SIZE } from '../hash/file.js';
import { WORKER_DIED, type HashPool } from '../hash/pool.js';
import { rootOf, type Tree } from '../hash/tree.js';
import type { Catalog, SharedFile } from './catalog.js';
import { DelayQueue } from './delay-queue.js';
import { HashQueue } from './hash-queue.js';
import { Quarantine } from './quarantine.js';

export interface HashingOwner {
  onDone(kind: 'added' | 'changed', path: string): void;
  /** A file is skipped, and why; told once. */
  onWarning(path: string, reason: string): void;
  /** A file that was published cannot be hashed now. */
  onLost(path: string): void;
  /** A file changed while it was hashed, so often in a row: look at it again. */
  onChanged(path: string, attempts: number): void;
  /** This machine was short of something: look at it later. */
  onShortage(path: string): void;
  /** Bytes were hashed of files that were not published before. */
  onBytes(bytes: number): void;
  /** Nothing waits to be hashed any more. */
  onStep(): void;
  /** Nothing can be hashed any more. */
  onError(error: Error): void;
  /** Whether a file is part of a node's state. */
  isSecret(path: string): boolean;
}

/** What is said of files that cannot be hashed for a reason of their own. */
const REASONS: Readonly<Record<string, string>> = {
  [WORKER_DIED]: 'each thread that hashes it dies',
  [WRONG_SIZE]: 'it does not have as many bytes as its size says',
};
/** Files of which it is remembered that they were named. */
const MAX_REPORTED = 100_000;

export class Hashing {
  readonly #catalog: Catalog;
  readonly #owner: HashingOwner;
  readonly #queue: HashQueue;
  readonly #quarantine = new Quarantine();
  readonly #racy = new DelayQueue<undefined>((due) => {
    for (const path of due.keys()) {
      const file = this.#catalog.get(path);
      if (file !== undefined) this.verify(file);
    }
    return Promise.resolve();
  });
  /** What was said of files that are skipped. */
  readonly #reported = new Map<string, string>();
  #hashed = 0;

  /** @param root the shared folder, resolved */
  constructor(root: string, catalog: Catalog, pool: HashPool, owner: HashingOwner) {
    this.#catalog = catalog;
    this.#owner = owner;
    this.#queue = new HashQueue(root, pool, {
      ...owner,
      onHashed: (path, identity, tree, began) => {
        this.#onHashed(path, identity, tree, began);
      },
      onFailed: (path, identity, code) => {
        this.#onFailed(path, identity, code);
      },
    });
  }

  /** Files hashed since the start. */
  get hashed(): number {
    return this.#hashed;
  }

  get isIdle(): boolean {
    return this.#queue.size === 0;
  }

  /** Hash a file. Parameters as for HashQueue. */
  add(path: string, identity: FileIdentity, urgent: boolean, attempts = 0): void {
    this.#queue.add(path, identity, urgent, attempts);
  }

  /** Whether a file is not to be tried now. */
  isQuarantined(path: string, identity: FileIdentity): boolean {
    return this.#quarantine.holds(path, identity);
  }

  /** Hash a file again whose content may have changed although size and time have not. It stays published. */
  verify({ path, identity }: SharedFile): void {
    this.#queue.verify(path, identity);
  }

  /** What waits or is under way for a file means nothing any more: it is as it was, or gone. */
  cancel(path: string): void {
    this.#queue.delete(path);
  }

  /** Nothing stands at a path. */
  gone(path: string): void {
    this.#quarantine.delete(path);
    this.#queue.delete(path);
  }

  /** Do not try a file again for a while: the disk does not give its bytes, or worse. */
  quarantine(path: string, identity: FileIdentity, code: string): void {
    const reason = REASONS[code];
    // Threads that died may have had another cause.
    if (this.#quarantine.add(path, identity, code, code === WRONG_SIZE)) {
      this.#reported.delete(path);
      this.reportSkipped(path, `${reason ?? code}; skipped`);
    }
  }

  /** Say of a file or folder that it is skipped, once. */
  reportSkipped(path: string, reason: string): void {
    if (this.#reported.get(path) === reason) return;
    this.#reported.set(path, reason);
    if (this.#reported.size > MAX_REPORTED)
      this.#reported.delete(this.#reported.keys().next().value ?? '');
    this.#owner.onWarning(path, reason);
  }

  /** A file is published: if it is skipped again, that is said again. */
  clearReported(path: string): void {
    this.#reported.delete(path);
  }

  close(): void {
    this.#racy.close();
    this.#queue.close();
  }

  #onHashed(path: string, identity: FileIdentity, tree: Tree, began: number): void {
    this.#quarantine.delete(path);
    // Seen before its folder became one of a node's state.
    if (this.#owner.isSecret(path)) return;
    const racyFor = racyTime(identity, began);
    if (racyFor > 0) this.#racy.add(path, racyFor, undefined);
    const before = this.#catalog.get(path);
    // It was hashed once more, and is what it was.
    if (before !== undefined && isOf(before, identity, tree)) {
      if (racyFor === 0) this.#catalog.settle(path);
      return;
    }
    this.#hashed++;
    const known = this.#catalog.knows(path);
    this.#catalog.publishTree(path, identity, tree, racyFor > 0);
    this.#owner.onDone(known ? 'changed' : 'added', path);
  }

  #onFailed(path: string, identity: FileIdentity, code: string): void {
    if (isShortage(code)) {
      this.#owner.onShortage(path);
      return;
    }
    this.#owner.onLost(path);
    if (isReadFault(code) || code in REASONS) this.quarantine(path, identity, code);
    // Deleted since it was seen: nothing to say.
    else if (code !== 'ENOENT') this.reportSkipped(path, `${code}; skipped`);
  }
}

/** Whether a file is what was hashed now. */
function isOf(file: SharedFile, identity: FileIdentity, tree: Tree): boolean {
  const root = Buffer.from(file.hash, 'hex');
  return sameContent(file.identity, identity) && Buffer.compare(root, rootOf(tree)) === 0;
}

/** Milliseconds between two times that the system tells apart, at most: a tick of its clock. */
const TICK = 10;
/** The same where whole seconds are kept, or every second one (FAT). */
const COARSE_TICK = 2000;

/**
 * A file that was written to less than two ticks before it was hashed may have been written to again
 * within the same tick: then its time does not show that ("racy" in Git's words).
 *
 * @param began when its bytes began to be read, by Date.now()
 * @returns milliseconds after which it is to be hashed once more; 0 when it need not be
 */
export function racyTime({ mtimeNs, birthNs }: FileIdentity, began: number): number {
  const times = [mtimeNs, birthNs].map((ns) => {
    const ticks = 2 * (ns % 1_000_000_000n === 0n ? COARSE_TICK : TICK);
    return Math.abs(began - Number(ns / 1_000_000n)) < ticks ? ticks : 0;
  });
  return Math.max(...times);
}
