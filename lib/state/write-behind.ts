/**
 * Writes that a store has not committed yet. While the disk is full, or refuses them for another reason,
 * they wait here, each until a later one supersedes it, and are retried now and then: the node continues
 * meanwhile, and what it learned is kept when there is room.
 */
import { statfsSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';

/** Bytes that must be free before anything is written, and before writing begins again. */
export const RESERVE = 2 * 1024 * 1024;
const RESUME_RESERVE = 2 * RESERVE;
/** Milliseconds, and bytes written, between looks at what is free. */
const CHECK_INTERVAL = 100;
const CHECK_BYTES = RESERVE / 8;
/** Milliseconds between attempts while nothing can be written. */
const RETRY_INTERVAL = 2000;

export interface Write {
  /** What it changes: a later write with the same name supersedes this one. */
  readonly name: string;
  /** What is written; undefined: it is removed. */
  readonly value: Uint8Array | undefined;
  /** Resolves when it is committed. Those of one transaction may return the same promise. */
  readonly commit: () => Promise<unknown>;
}

export interface WriteBehindOwner {
  /** A folder on the disk. */
  readonly folder: string;
  /** Nothing can be written, for this reason: ENOSPC, say. Called once, until `onWell`. */
  onTrouble(code: string): void;
  /** Everything has been written. */
  onWell(): void;
}

export class WriteBehind {
  readonly #owner: WriteBehindOwner;
  /** By name, in the order of the writes. */
  readonly #writes = new Map<string, Write>();
  /** Those that LMDB got together. */
  #batch: { promise: Promise<unknown>; writes: Write[] } | undefined;
  #batches = new Set<Promise<void>>();
  #failure: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #nextCheck = 0;
  #bytes = 0;

  constructor(owner: WriteBehindOwner) {
    this.#owner = owner;
  }

  /** Why nothing can be written now, if so. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** A write that is not committed yet: the last one with this name. */
  find(name: string): Write | undefined {
    return this.#writes.get(name);
  }

  add(write: Write): void {
    // At the end: a tree's lists are written before what refers to them.
    this.#writes.delete(write.name);
    this.#writes.set(write.name, write);
    if (this.#failure !== undefined) return;
    if (this.#hasRoom(write, RESERVE)) this.#commit(write);
    else this.#fail('ENOSPC');
  }

  /** Resolves when all writes so far are committed, or are known to have failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#batches);
  }

  /** Retry once what failed. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#failure !== undefined) this.#retry();
    await this.settled();
    clearTimeout(this.#timer);
  }

  #commit(write: Write): void {
    const promise = write.commit();
    if (this.#batch?.promise === promise) {
      this.#batch.writes.push(write);
      return;
    }
    const batch = { promise, writes: [write] };
    this.#batch = batch;
    const end = promise.then(
      () => {
        this.#done(batch.writes);
      },
      async (error: unknown) => {
        this.#fail(await codeOf(error));
      },
    );
    this.#batches.add(end);
    void end.then(() => this.#batches.delete(end));
  }

  #done(writes: readonly Write[]): void {
    for (const write of writes) {
      if (this.#writes.get(write.name) === write) this.#writes.delete(write.name);
    }
  }

  #fail(code: string): void {
    if (this.#failure === undefined) this.#owner.onTrouble(code);
    this.#failure = code;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#retry();
    }, RETRY_INTERVAL).unref();
  }

  #retry(): void {
    const code = this.#failure ?? '';
    this.#nextCheck = 0;
    const writes = [...this.#writes.values()];
    const [first] = writes;
    if (first !== undefined && !this.#hasRoom(first, RESUME_RESERVE)) {
      this.#fail(code);
      return;
    }
    for (const write of writes) this.#commit(write);
    // Until that is over new writes wait.
    void this.settled().then(() => {
      if (this.#writes.size === 0) {
        this.#failure = undefined;
        this.#owner.onWell();
      } else if (!writes.some(({ name }) => this.#writes.has(name))) {
        this.#retry();
      }
    });
  }

  /** Whether so many bytes will be free after a write. Looked at now and then. */
  #hasRoom({ value }: Write, reserve: number): boolean {
    this.#bytes += value?.length ?? 0;
    const now = performance.now();
    if (now < this.#nextCheck && this.#bytes < CHECK_BYTES) return true;
    if (!hasFree(this.#owner.folder, reserve + this.#bytes)) return false;
    this.#nextCheck = now + CHECK_INTERVAL;
    this.#bytes = 0;
    return true;
  }
}

/** Whether so many bytes are free on the disk of a folder; true where that is not known: a write will tell. */
export function hasFree(folder: string, bytes: number): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize >= bytes;
  } catch {
    return true;
  }
}

/** The system's code for why LMDB could not commit. */
async function codeOf(error: unknown): Promise<string> {
  const { commitError } = error as { commitError?: Promise<never> };
  // Rejected with the reason right after the commit itself, if at all.
  const reason = await Promise.race([
    Promise.resolve(commitError).catch((why: unknown) => why),
    new Promise((resolve) => setImmediate(resolve)),
  ]);
  const number = (reason as { code?: unknown } | undefined)?.code;
  return typeof number === 'number' && number > 0 ? getSystemErrorName(-number) : 'EIO';
}
