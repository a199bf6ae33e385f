/** When which peer is tried: so many at a time, those for a link first, each when it is due. */
import { formatAddress, type PeerAddress } from '../net/address.js';
import type { Random } from '../support/random.js';
import type { KnownPeer } from './known.js';
import type { Links } from './links.js';
import type { PeerTable } from './table.js';
import type { PeerTimes } from './times.js';

export interface DialQueueOptions {
  table: PeerTable;
  links: Links;
  dice: Random;
  times: PeerTimes;
  /** Milliseconds since 1970; the table's clock. */
  now: () => number;
  /** Try to reach a peer, and make of it what can be made. Rejects when that fails. */
  attempt: (address: PeerAddress) => Promise<void>;
}

/** Peers tried at the same time, and how many of these may be ones that were only heard of. */
const TRIES = 8;
const HEARSAY_TRIES = 6;

export class DialQueue {
  readonly #options: DialQueueOptions;
  /** Peers being tried, by address. */
  readonly #trying = new Set<string>();
  #wake: NodeJS.Timeout | undefined;
  #pumping = false;
  #closed = false;

  constructor(options: DialQueueOptions) {
    this.#options = options;
  }

  /** Try whoever is due, and come again when the next one is. To be called when anything changes. */
  pump(): void {
    // What is started in here comes back here when it fails at once.
    if (this.#closed || this.#pumping) return;
    this.#pumping = true;
    const { table, now } = this.#options;
    while (this.#trying.size < TRIES) {
      const heard = this.#trying.size < HEARSAY_TRIES;
      const peer = this.#forLink() ?? table.next(heard, this.#skip);
      if (peer === undefined) break;
      void this.#try(peer.address);
    }
    this.#pumping = false;
    // With that many under way, the first to end comes here.
    if (this.#trying.size >= HEARSAY_TRIES) return;
    const pause = Math.max(1, table.nextDue(this.#skip) - now());
    clearTimeout(this.#wake);
    this.#wake = setTimeout(
      () => {
        this.pump();
      },
      Math.min(pause, this.#longestPause()),
    );
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#wake);
  }

  /** Not tried: peers that are being tried already, and those to which there is a link. */
  readonly #skip = ({ address, id }: KnownPeer): boolean =>
    this.#trying.has(formatAddress(address)) ||
    (id !== undefined && this.#options.links.to(id) !== undefined);

  async #try(address: PeerAddress): Promise<void> {
    const { table, attempt } = this.#options;
    const key = formatAddress(address);
    this.#trying.add(key);
    table.trying(address);
    try {
      await attempt(address);
    } catch {
      if (!this.#closed) table.failed(address);
    } finally {
      this.#trying.delete(key);
      this.pump();
    }
  }

  /** Peers known to be there, to which a link can be made. */
  #candidates(): KnownPeer[] {
    const { table, links } = this.#options;
    return links.wanted ? [...table.up()].filter((peer) => !this.#skip(peer)) : [];
  }

  #forLink(): KnownPeer | undefined {
    const { dice, times, now } = this.#options;
    const before = now() - times.soon;
    return dice.pick(this.#candidates().filter(({ lastTry }) => lastTry < before));
  }

  #longestPause(): number {
    const { soon, ping } = this.#options.times;
    return this.#candidates().length > 0 ? soon : ping;
  }
}
