/** How often a client may begin a TLS handshake, of which each costs as much as hundreds of requests. */
import { ExpiringMap } from './expiring-map.js';
import { TokenBucket } from './token-bucket.js';

/** Handshakes a second, and at once after a pause: those of many people behind one address. */
export const RATE = 50;
export const BURST = 500;
const MAX_CLIENTS = 10_000;

export class HandshakeLimit {
  readonly #now: () => number;
  readonly #clients: ExpiringMap<TokenBucket>;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    // After that time a bucket is full again.
    this.#clients = new ExpiringMap(MAX_CLIENTS, (BURST / RATE) * 1000, now);
  }

  /** Whether this client may begin one more; it has begun it then. */
  admits(client: string): boolean {
    const now = this.#now();
    const bucket = this.#clients.get(client) ?? new TokenBucket(RATE, BURST, now);
    bucket.fill(now);
    const isAdmitted = bucket.tokens >= 1;
    if (isAdmitted) bucket.spend();
    this.#clients.set(client, bucket);
    return isAdmitted;
  }
}
