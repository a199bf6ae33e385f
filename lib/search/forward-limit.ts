/**
 * Limits how many searches are forwarded: as many as a neighbour takes from one connection, shared among the
 * clients that ask, so that no client uses up what the neighbours take.
 */
import { TokenBucket } from '../limits/token-bucket.js';
import type { RelayLimits } from './limits.js';

/** Milliseconds without a search after which a client does not count any more. */
const ACTIVE = 10_000;

export class ForwardLimit {
  readonly #rate: number;
  readonly #burst: number;
  readonly #max: number;
  readonly #all: TokenBucket;
  /** Those that asked last are last. */
  readonly #clients = new Map<string, TokenBucket>();

  constructor({ rate, burst, passShare, askers }: Readonly<RelayLimits>) {
    this.#rate = rate * passShare;
    this.#burst = burst * passShare;
    this.#max = askers;
    this.#all = new TokenBucket(this.#rate, this.#burst, 0);
  }

  /** Whether to forward a search of this client; counts it. @param now milliseconds */
  admits(client: string, now: number): boolean {
    const mine = this.#clientAt(client, now);
    this.#all.fill(now);
    if (this.#all.tokens < 1) return false;
    // No shares are enforced while the bucket is at least half full.
    if (mine.tokens < 1 && this.#all.tokens < this.#burst / 2) return false;
    this.#all.spend();
    mine.spend(Math.min(1, mine.tokens));
    return true;
  }

  /** Give the share of a client to the others. */
  forget(client: string): void {
    this.#clients.delete(client);
  }

  #clientAt(client: string, now: number): TokenBucket {
    const known = this.#clients.get(client);
    this.#clients.delete(client);
    for (const [key, { filledAt }] of this.#clients) {
      if (now - filledAt < ACTIVE && this.#clients.size < this.#max) break;
      this.#clients.delete(key);
    }
    const bucket = known ?? new TokenBucket(this.#rate, this.#burst, now, 1);
    this.#clients.set(client, bucket);
    bucket.fill(now, this.#clients.size);
    return bucket;
  }
}
