/**
 * Addresses that are not dialled for a while. By address, never by id: an id is a claim, and whoever does
 * wrong under that of another would have the other banned.
 */
import { formatAddress, type PeerAddress } from '../net/address.js';
import { scopeOf } from '../net/scope.js';

interface Ban {
  /** Milliseconds since 1970. */
  until: number;
  /** How often so far; each one lasts twice as long as the last. */
  times: number;
}

/** Bans that are remembered. */
const MAX_BANS = 4096;
/** A ban is at most so many times as long as the first. */
const MAX_FACTOR = 16;
/** Addresses of one host under a ban from which on all of it is. */
const PER_HOST = 3;

export class Bans {
  /** By address; the oldest first. */
  readonly #bans = new Map<string, Ban>();
  /** Under a ban, by host. */
  readonly #hosts = new Map<string, Set<string>>();
  readonly #first: number;
  readonly #now: () => number;
  readonly #max: number;

  /**
   * @param first milliseconds of a first ban
   * @param max bans that are remembered; the oldest is forgotten
   */
  constructor(first: number, now: () => number, max = MAX_BANS) {
    this.#first = first;
    this.#now = now;
    this.#max = max;
  }

  /** Bans that are remembered, those included that are over. */
  get size(): number {
    return this.#bans.size;
  }

  add(address: PeerAddress): void {
    const key = formatAddress(address);
    const times = this.#bans.get(key)?.times ?? 0;
    this.#bans.delete(key);
    const until = this.#now() + this.#first * Math.min(MAX_FACTOR, 2 ** times);
    this.#bans.set(key, { until, times: times + 1 });
    const ofHost = this.#hosts.get(address.host) ?? new Set();
    this.#hosts.set(address.host, ofHost.add(key));
    if (this.#bans.size <= this.#max) return;
    for (const oldest of this.#bans.keys()) {
      this.#forget(oldest);
      return;
    }
  }

  has(address: PeerAddress): boolean {
    return this.until(address) > this.#now();
  }

  /** When an address may be dialled again, in ms since 1970; 0 when it was never banned. */
  until(address: PeerAddress): number {
    const own = this.#bans.get(formatAddress(address))?.until ?? 0;
    const ofHost = this.#hosts.get(address.host);
    // On loopback everybody has the same one.
    if (ofHost === undefined || ofHost.size < PER_HOST || scopeOf(address.host) === 'loopback') {
      return own;
    }
    const all = Array.from(ofHost, (key) => this.#bans.get(key)?.until ?? 0);
    // The last of those that make them so many.
    return Math.max(own, all.toSorted((a, b) => b - a)[PER_HOST - 1] ?? 0);
  }

  #forget(key: string): void {
    this.#bans.delete(key);
    for (const [host, keys] of this.#hosts) {
      if (keys.delete(key) && keys.size === 0) this.#hosts.delete(host);
    }
  }
}
