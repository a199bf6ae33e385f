/**
 * What a search may relay, divided among those who were asked. Half of it is kept in equal parts, one for
 * each neighbour, until that neighbour has ended; the other half is for whoever comes first. So one that
 * floods a search leaves to each of the others what is theirs.
 */

/** How much of something there is. */
class Pot {
  readonly #limit: number;
  #used = 0;
  /** Kept for neighbours that have not used it. */
  #kept = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Half of it in so many equal parts, for those who come from now on. */
  partOf(neighbours: number): number {
    return Math.floor((this.#limit - this.#used - this.#kept) / 2 / Math.max(1, neighbours));
  }

  keep(part: number): void {
    this.#kept += part;
  }

  /** @param mine what is kept for who asks */
  room(mine: number): number {
    return Math.max(0, this.#limit - this.#used - this.#kept + mine);
  }

  /** @returns what is kept for who takes it, afterwards */
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
  readonly #files: Pot;
  readonly #bytes: Pot;

  /** @param bytes of all entries of the files, as `entryBytes` counts them */
  constructor(files: number, bytes: number) {
    this.#files = new Pot(files);
    this.#bytes = new Pot(bytes);
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
