/**
 * What was found is a claim: anybody may have made it, and name an address that is no peer's. An address is tried once
 * when it is claimed, and a host twice an hour in vain, whatever is claimed of it, so that nobody can send nodes
 * knocking at the door of another.
 */
import { ExpiringMap } from '../limits/expiring-map.js';
import { TokenBucket } from '../limits/token-bucket.js';
import { formatAddress, type PeerAddress } from '../net/address.js';
import type { PeerContact } from '../wire/messages.js';

export interface DialClaimsOptions {
  /** Where they come from: what one source may fill of the peer table is bounded. */
  source: string;
  /** Dial an address once, when its turn comes. @returns whether it was taken up */
  dial: (address: PeerAddress, source: string) => boolean;
  /** Whether the peer is known to be there. */
  isUp: (peer: PeerContact) => boolean;
  /** Milliseconds. @default performance.now */
  now?: (() => number) | undefined;
}

const HOUR = 3600_000;
/** Attempts at a host in an hour that reach no peer. */
const ATTEMPTS = 2;
/** Attempts a second, and at once. */
const RATE = 1;
const BURST = 64;
/** Hosts that are remembered: more than can be tried in an hour. */
const MAX_HOSTS = 4096;
/** Milliseconds between attempts to reach one id: most of its addresses are the same machine's. */
const SAME_ID = 3000;

interface Attempt {
  readonly address: string;
  readonly at: number;
}

export class DialClaims {
  readonly #options: DialClaimsOptions;
  readonly #now: () => number;
  /** Those at each host that have reached no peer. */
  readonly #attempts: ExpiringMap<readonly Attempt[]>;
  readonly #ids: ExpiringMap<true>;
  readonly #rate: TokenBucket;

  constructor(options: DialClaimsOptions) {
    this.#options = options;
    this.#now = options.now ?? ((): number => performance.now());
    this.#attempts = new ExpiringMap(MAX_HOSTS, HOUR, this.#now);
    this.#ids = new ExpiringMap(MAX_HOSTS, SAME_ID, this.#now);
    this.#rate = new TokenBucket(RATE, BURST, this.#now());
  }

  /** Somebody says that a peer is there. To be said again for as long as it is: what is not tried now may be later. */
  offer({ id, host, port }: PeerContact): void {
    const { source, dial, isUp } = this.#options;
    const now = this.#now();
    const before = this.#at(host);
    if (before.length >= ATTEMPTS || this.#ids.has(id) || isUp({ id, host, port })) return;
    this.#rate.fill(now);
    if (this.#rate.tokens < 1 || !dial({ host, port }, source)) return;
    this.#rate.spend();
    this.#ids.set(id, true);
    this.#attempts.set(host, [...before, { address: formatAddress({ host, port }), at: now }]);
  }

  /** A peer was reached there: that was no attempt in vain. */
  reached({ host, port }: PeerAddress): void {
    const address = formatAddress({ host, port });
    const left = this.#at(host).filter((attempt) => attempt.address !== address);
    if (left.length === 0) this.#attempts.delete(host);
    else this.#attempts.set(host, left);
  }

  #at(host: string): readonly Attempt[] {
    const since = this.#now() - HOUR;
    return (this.#attempts.get(host) ?? []).filter(({ at }) => at > since);
  }
}
