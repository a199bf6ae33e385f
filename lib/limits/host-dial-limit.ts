/**
 * How often a host is dialled at ports that others have named and where no peer was reached yet: so nobody
 * can send this machine knocking at the ports of another.
 */
import { ExpiringMap } from './expiring-map.js';

/** Dials of one host that may come at once, after a pause. */
const BURST = 3;
/** Hosts whose last dials are remembered. */
const MAX_HOSTS = 4096;

export class HostDialLimit {
  readonly #pause: number;
  readonly #now: () => number;
  /** By host, when its dials so far would be over if they had come one pause after another. */
  readonly #hosts: ExpiringMap<number>;

  /** @param pause milliseconds from one dial of a host to the next */
  constructor(pause: number, now: () => number = () => performance.now()) {
    this.#pause = pause;
    this.#now = now;
    this.#hosts = new ExpiringMap(MAX_HOSTS, pause * BURST, now);
  }

  /** When a host may be dialled, in milliseconds of the clock. */
  dueAt(host: string): number {
    return (this.#hosts.get(host) ?? 0) - (BURST - 1) * this.#pause;
  }

  /** A host is dialled. */
  count(host: string): void {
    this.#hosts.set(host, Math.max(this.#hosts.get(host) ?? 0, this.#now()) + this.#pause);
  }

  /** Whether a host may be dialled now; counts it. */
  admits(host: string): boolean {
    if (this.dueAt(host) > this.#now()) return false;
    this.count(host);
    return true;
  }
}
