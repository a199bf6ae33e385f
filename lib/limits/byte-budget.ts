/**
 * Bytes in memory that are going to be sent: contents of files, lists and other answers, from the moment
 * when they are read or computed until the kernel has taken them. A peer that requests and does not read
 * costs no more than its part, and cannot use up that of others. Requests that wait have another, of the same kind.
 *
 * What exceeds the budget is neither read nor computed until it is next on its connection; then it goes out
 * in pieces of MIN_PIECE_BYTES, which every connection may always have. So nothing waits for memory that
 * another connection holds.
 */

/** Of a node: the one limit, in bytes. */
export const BUDGET_BYTES = 16 * 1024 * 1024;
/** Of this, the part that one connection may have. */
const CONNECTION_PART = 1 / 8;
/** What the connection may have in memory whose turn it is, whatever the others have. */
export const MIN_PIECE_BYTES = 4 * 1024;

export class ByteBudget {
  readonly #bytes: number;
  readonly #clients = new Map<string, number>();
  #used = 0;

  constructor(bytes = BUDGET_BYTES) {
    this.#bytes = bytes;
  }

  /** Bytes in use. */
  get used(): number {
    return this.#used;
  }

  /** The account of a connection. @param client as `clientOf` tells */
  account(client: string): ByteAccount {
    return new ByteAccount({
      room: (used) => {
        // As much as is left free (Choudhury and Hahne, 1998): there is always some for one more client.
        const ofClient = this.#bytes - this.#used - (this.#clients.get(client) ?? 0);
        return Math.max(0, Math.min(ofClient, this.#bytes * CONNECTION_PART - used));
      },
      change: (bytes) => {
        this.#used += bytes;
        const used = (this.#clients.get(client) ?? 0) + bytes;
        if (used === 0) this.#clients.delete(client);
        else this.#clients.set(client, used);
      },
    });
  }
}

interface Shared {
  room(used: number): number;
  change(bytes: number): void;
}

/** What one connection has in memory to be sent. */
export class ByteAccount {
  readonly #shared: Shared;
  #used = 0;
  #closed = false;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** Bytes that may be prepared now. */
  get room(): number {
    return this.#closed ? 0 : this.#shared.room(this.#used);
  }

  /** Take so many bytes if there is room for them. To be given back. */
  take(bytes: number): boolean {
    if (bytes > this.room) return false;
    this.add(bytes);
    return true;
  }

  /** Take as many as there are, MIN_PIECE_BYTES at least and `most` at most. @returns how many */
  takeSome(most: number): number {
    const bytes = Math.min(most, Math.max(MIN_PIECE_BYTES, this.room));
    this.add(bytes);
    return bytes;
  }

  /** Count bytes that are there, room or not. */
  add(bytes: number): void {
    if (this.#closed) return;
    this.#used += bytes;
    this.#shared.change(bytes);
  }

  give(bytes: number): void {
    if (!this.#closed) this.add(-bytes);
  }

  /** The connection is closed: all of it is given back, and nothing counts any more. */
  close(): void {
    this.add(-this.#used);
    this.#closed = true;
  }
}
