/** How often something may happen for each of many keys (a client, a host): a token bucket for each. */
import { ExpiringMap } from './expiring-map.js';
import { TokenBucket } from './token-bucket.js';

export interface KeyedRate {
  /** Times a second. */
  readonly rate: number;
  /** Times at once, after a pause. */
  readonly burst: number;
  /** Keys that are remembered. */
  readonly maxKeys: number;
}

/** Dials of one host at ports that others have named: so nobody can send this machine knocking at the ports of another. */
export const HOST_DIALS = { burst: 3, maxKeys: 4096 };
/** TLS handshakes of a client, each of which costs as much as hundreds of requests; many people may be behind one address. */
export const HANDSHAKES: KeyedRate = { rate: 50, burst: 500, maxKeys: 10_000 };

export class KeyedRateLimit {
  readonly #rate: KeyedRate;
  readonly #now: () => number;
  readonly #buckets: ExpiringMap<TokenBucket>;

  constructor(rate: KeyedRate, now: () => number = () => performance.now()) {
    this.#rate = rate;
    this.#now = now;
    // After that time a bucket is full again.
    this.#buckets = new ExpiringMap(rate.maxKeys, (rate.burst / rate.rate) * 1000, now);
  }

  /** When it may happen next for a key, in milliseconds of the clock; 0: now. */
  dueAt(key: string): number {
    const bucket = this.#buckets.get(key);
    return bucket === undefined ? 0 : bucket.filledAt + bucket.wait(1);
  }

  /** It happens. */
  count(key: string): void {
    const now = this.#now();
    const { rate, burst } = this.#rate;
    const bucket = this.#buckets.get(key) ?? new TokenBucket(rate, burst, now);
    bucket.fill(now);
    bucket.spend();
    this.#buckets.set(key, bucket);
  }

  /** Whether it may happen now; counts it. */
  admits(key: string): boolean {
    if (this.dueAt(key) > this.#now()) return false;
    this.count(key);
    return true;
  }
}
