/**
 * How many searches are passed on, for all who ask: as many as a neighbour takes from one connection, shared
 * out among those who ask. Or one of them could use up for all the others what the neighbours take.
 */
import type { RelayLimits } from './limits.js';

interface Bucket {
  tokens: number;
  /** When they were counted, in milliseconds. */
  at: number;
}

/** Milliseconds without a search after which a client does not count any more. */
const ACTIVE = 10_000;

export class ForwardLimit {
  readonly #rate: number;
  readonly #burst: number;
  readonly #max: number;
  readonly #all: Bucket;
  /** Those that asked last are last. */
  readonly #clients = new Map<string, Bucket>();

  constructor({ rate, burst, passShare, askers }: Readonly<RelayLimits>) {
    this.#rate = rate * passShare;
    this.#burst = burst * passShare;
    this.#max = askers;
    this.#all = { tokens: this.#burst, at: 0 };
  }

  /** Whether a search of this client may be passed on now; it is then. @param now milliseconds */
  admits(client: string, now: number): boolean {
    const mine = this.#clientAt(client, now);
    this.#fill(this.#all, now, 1);
    if (this.#all.tokens < 1) return false;
    // While there is plenty nobody need count.
    if (mine.tokens < 1 && this.#all.tokens < this.#burst / 2) return false;
    this.#all.tokens--;
    mine.tokens = Math.max(0, mine.tokens - 1);
    return true;
  }

  /** A client gets nothing now, and the others its part. */
  forget(client: string): void {
    this.#clients.delete(client);
  }

  #clientAt(client: string, now: number): Bucket {
    const known = this.#clients.get(client);
    this.#clients.delete(client);
    for (const [key, { at }] of this.#clients) {
      if (now - at < ACTIVE && this.#clients.size < this.#max) break;
      this.#clients.delete(key);
    }
    const bucket = known ?? { tokens: 1, at: now };
    this.#clients.set(client, bucket);
    this.#fill(bucket, now, this.#clients.size);
    return bucket;
  }

  /** @param among how many share it */
  #fill(bucket: Bucket, now: number, among: number): void {
    const earned = ((now - bucket.at) * this.#rate) / 1000 / among;
    bucket.tokens = Math.min(Math.max(1, this.#burst / among), bucket.tokens + earned);
    bucket.at = now;
  }
}
