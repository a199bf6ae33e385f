/**
 * Divides what a search may relay among its neighbours. Half is reserved in equal parts until each neighbour
 * has ended; the other half is first come, first served. So a neighbour that floods a search cannot use up
 * the parts of the others.
 */

/** An amount, part of which is reserved. */
class Quota {
  readonly #limit: number;
  #used = 0;
  /** Kept for neighbours that have not used it. */
  #kept = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The part of each of so many neighbours: half of what is left, divided equally. */
  partOf(neighbours: number): number {
    return Math.floor((this.#limit - this.#used - this.#kept) / 2 / Math.max(1, neighbours));
  }

  keep(part: number): void {
    this.#kept += part;
  }

  /** @param mine what is reserved for the caller */
  room(mine: number): number {
    return Math.max(0, this.#limit - this.#used - this.#kept + mine);
  }

  /** @returns what remains reserved for the caller */
  take(amount: number, mine: number): number {
    const own = Math.min(amount, mine);
    this.#used += amount;
    this.#kept -= own;
    return mine - own;
  }
}

/** What is kept for one neighbour. */
export interface QuotaPart {
  files: number;
  bytes: number;
}

export class ResultQuota {
  readonly #files: Quota;
  readonly #bytes: Quota;

  /** @param bytes of all entries of the files, as `entryBytes` counts them */
  constructor(files: number, bytes: number) {
    this.#files = new Quota(files);
    this.#bytes = new Quota(bytes);
  }

  /** Shares for so many neighbours that are asked together. */
  divide(neighbours: number): QuotaPart[] {
    const [files, bytes] = [this.#files.partOf(neighbours), this.#bytes.partOf(neighbours)];
    return Array.from({ length: neighbours }, () => {
      this.#files.keep(files);
      this.#bytes.keep(bytes);
      return { files, bytes };
    });
  }

  /** How much a neighbour may still bring. */
  room({ files, bytes }: QuotaPart): { files: number; bytes: number } {
    return { files: this.#files.room(files), bytes: this.#bytes.room(bytes) };
  }

  /** Take what there is room for. */
  take(share: QuotaPart, files: number, bytes: number): void {
    share.files = this.#files.take(files, share.files);
    share.bytes = this.#bytes.take(bytes, share.bytes);
  }

  /** A neighbour brings nothing more: what was kept for it is for all. */
  release(share: QuotaPart): void {
    this.#files.keep(-share.files);
    this.#bytes.keep(-share.bytes);
    share.files = 0;
    share.bytes = 0;
  }
}

/** Bytes of an entry in `files`, about: its path, a hash and a size. */
export function entryBytes({ path }: { path: string }): number {
  return Buffer.byteLength(path) + ENTRY_BYTES;
}

const ENTRY_BYTES = 48;
