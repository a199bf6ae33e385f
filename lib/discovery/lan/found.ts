/** The nodes that were found in this machine's networks, until they say goodbye or are not heard of for too long. */
import { formatAddress } from '../../net/address.js';
import { AddressPolicy, interfaceAddresses } from '../../net/scope.js';
import type { Random } from '../../support/random.js';
import type { PeerContact, PeerId } from '../../wire/messages.js';
import type { LanLink } from './links.js';
import type { SeenService } from './service.js';

/** A node, at the address from which it said that it is there. Its id is a claim. */
export interface FoundPeer extends PeerContact {
  /** The interface that it was found on. */
  interface: string;
}

interface Entry {
  readonly peer: FoundPeer;
  readonly link: LanLink;
  /** By `performance.now`: when it was last heard of, and until when that counts. */
  at: number;
  until: number;
}

/** Nodes that are remembered; of one address, which may be a machine with several. */
const MAX_FOUND = 1024;
const MAX_AT_HOST = 8;

export class FoundPeers {
  readonly #random: Random;
  readonly #policy = new AddressPolicy(interfaceAddresses);
  readonly #entries = new Map<string, Entry>();
  readonly #atHost = new Map<string, number>();

  constructor(random: Random) {
    this.#random = random;
  }

  all(): FoundPeer[] {
    this.#forgetOld();
    return Array.from(this.#entries.values(), ({ peer }) => peer);
  }

  /** Ids that were heard of on a link lately: at most so many. */
  freshOn(link: LanLink, max: number): PeerId[] {
    const now = performance.now();
    const fresh = [...this.#entries.values()].filter(
      ({ link: { name, family }, at, until }) =>
        name === link.name && family === link.family && (until - now) * 2 > until - at,
    );
    return this.#random.choose(fresh, max).map(({ peer }) => peer.id);
  }

  /** @returns the node, if it is there and there is room for it */
  see({ id, port, ttl }: SeenService, from: string, link: LanLink): FoundPeer | undefined {
    // As if it had connected: the address is where it is, and only the port is what it says.
    const address = this.#policy.dialBack(from, port);
    if (address === undefined) return undefined;
    const key = `${id} ${formatAddress(address)}`;
    const known = this.#entries.get(key);
    const now = performance.now();
    if (ttl === 0) {
      this.#delete(key);
      return undefined;
    }
    if (known === undefined && !this.#makeRoom(address.host)) return undefined;
    const peer = known?.peer ?? { id, ...address, interface: link.name };
    this.#entries.set(key, { peer, link, at: now, until: now + ttl * 1000 });
    if (known === undefined) this.#count(address.host, 1);
    return peer;
  }

  #makeRoom(host: string): boolean {
    this.#forgetOld();
    if ((this.#atHost.get(host) ?? 0) >= MAX_AT_HOST) return false;
    // Whoever fills it with names of its own shall not keep the others out.
    if (this.#entries.size >= MAX_FOUND) this.#delete(this.#random.pick([...this.#entries.keys()]));
    return true;
  }

  #forgetOld(): void {
    const now = performance.now();
    for (const [key, { until }] of this.#entries) if (until <= now) this.#delete(key);
  }

  #delete(key = ''): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#count(entry.peer.host, -1);
  }

  #count(host: string, change: 1 | -1): void {
    const now = (this.#atHost.get(host) ?? 0) + change;
    if (now > 0) this.#atHost.set(host, now);
    else this.#atHost.delete(host);
  }
}
