/** A shared folder that changes all the time, and what must be in it. */
import { randomFillSync } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { hashStream, type Hash } from '../../../lib/index.js';

export interface KnownFile {
  readonly path: string;
  readonly hash: Hash;
  readonly bytes: Buffer;
  /** When it came to be as it is; ms of `performance.now`. */
  readonly since: number;
}

/** Contents are pieces of this: they cost nothing to make, and are compared without a copy. */
const POOL = randomFillSync(Buffer.allocUnsafe(24 * 1024 * 1024));
const KIB = 1024;

export class ChangingShare {
  readonly folder: string;
  readonly #random: () => number;
  readonly #most: number;
  /** Never changed. */
  readonly steady: KnownFile[] = [];
  readonly #changing = new Map<string, KnownFile>();
  /** When a path last changed, deleted ones too; ms. */
  readonly #touched = new Map<string, number>();
  #made = 0;

  /** @param most files that change, at once */
  constructor(folder: string, random: () => number, most: number) {
    this.folder = folder;
    this.#random = random;
    this.#most = most;
  }

  /** Files that stay as they are. @param name part of every path */
  async fill(name: string, sizes: readonly number[]): Promise<void> {
    for (const [i, size] of sizes.entries()) {
      this.steady.push(await this.#write(`${name}/${i % 10}/${name}-${i}-of-all.bin`, size));
    }
  }

  get changing(): KnownFile[] {
    return [...this.#changing.values()];
  }

  /** Whether a file has been as it is now for so many milliseconds. */
  isSettled({ path, since }: KnownFile, milliseconds: number): boolean {
    const touched = this.#touched.get(path) ?? since;
    return performance.now() - Math.max(touched, since) >= milliseconds;
  }

  /** Do something to it: create, change, rename, delete. */
  async change(): Promise<'create' | 'change' | 'rename' | 'delete'> {
    const files = this.changing;
    const file = files[Math.floor(this.#random() * files.length)];
    const chance = this.#random();
    if (file === undefined || (files.length < this.#most && chance < 0.3)) {
      const number = this.#made++;
      await this.#add(`moving/${number % 7}/moving-${number}.dat`);
      return 'create';
    }
    this.#touch(file.path);
    this.#changing.delete(file.path);
    if (chance < 0.6) {
      await this.#add(file.path);
      return 'change';
    }
    if (chance < 0.8) {
      const number = this.#made++;
      const path = `moving/${number % 7}/renamed-${number}.dat`;
      this.#rename(file.path, path);
      this.#touch(path);
      this.#changing.set(path, { ...file, path, since: performance.now() });
      return 'rename';
    }
    rmSync(join(this.folder, file.path));
    return 'delete';
  }

  async #add(path: string): Promise<void> {
    const size = Math.floor(this.#random() * (this.#random() < 0.1 ? 2048 : 64) * KIB);
    this.#touch(path);
    this.#changing.set(path, await this.#write(path, size));
    this.#touch(path);
  }

  #touch(path: string): void {
    // Last touched is last; what is long gone need not be known.
    this.#touched.delete(path);
    this.#touched.set(path, performance.now());
    if (this.#touched.size <= 4 * this.#most) return;
    for (const oldest of this.#touched.keys()) {
      this.#touched.delete(oldest);
      return;
    }
  }

  async #write(path: string, size: number): Promise<KnownFile> {
    const from = Math.floor(this.#random() * (POOL.length - size));
    const bytes = POOL.subarray(from, from + size);
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    const hash = await hashStream(Readable.from([bytes]));
    return { path, hash, bytes, since: performance.now() };
  }

  #rename(from: string, to: string): void {
    mkdirSync(dirname(join(this.folder, to)), { recursive: true });
    renameSync(join(this.folder, from), join(this.folder, to));
  }
}
