/**
 * The links of a node: one to each address at most, so many in all. Some places are only for peers that the
 * node chose itself, and few links go to one network, so that no network takes all places.
 */
import type { Connection } from '../net/connection.js';
import { formatAddress, type PeerAddress } from '../net/address.js';
import type { PeerContact, PeerId } from '../wire/messages.js';
import { Link, type Direction, type LinkOwner, type LinkTo } from './link.js';
import { networksOf, type Networks } from './networks.js';
import type { PeerTimes } from './times.js';

export interface LinksOptions {
  /** Links in all. */
  max: number;
  /** Links to peers that this node chooses itself. */
  own: number;
  /** Of these, places that no other peer gets. */
  reserved: number;
  /** Links to one network: a public IPv4 /24 or IPv6 /48, elsewhere an address. */
  perNetwork: number;
  times: PeerTimes;
  owner: LinkOwner;
  /** Told of links made and ended, whatever the reason. */
  onChange: (kind: 'linked' | 'unlinked', peer: PeerContact) => void;
  /** Told of a link that is about to be made. */
  onLink: (link: Link) => void;
}

export class Links {
  readonly #options: LinksOptions;
  /** By address. */
  readonly #links = new Map<string, Link>();

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  [Symbol.iterator](): Iterator<Link> {
    return this.#links.values();
  }

  to(address: PeerAddress): Link | undefined {
    return this.#links.get(formatAddress(address));
  }

  /** Those to peers that claim an id: more than one address may. */
  withId(id: PeerId): Link[] {
    return [...this.#links.values()].filter((link) => link.id === id);
  }

  on(connection: Connection): Link | undefined {
    for (const link of this.#links.values()) if (link.connection === connection) return link;
    return undefined;
  }

  get full(): boolean {
    return this.#links.size >= this.#options.max;
  }

  /** Whether there is a place for a peer at this address, perhaps that of another. */
  hasRoom(address: PeerAddress, direction: Direction): boolean {
    const { own, perNetwork } = this.#options;
    const all = [...this.#links.values()];
    const { group } = networksOf(address);
    const isThere = (link: Link): boolean =>
      !link.isNamed && networksOf(link.contact).group === group;
    if (all.filter(isThere).length >= perNetwork) return false;
    if (direction === 'in') return this.#hasInboundRoom() || this.#evictable(address) !== undefined;
    return !this.full && all.filter((link) => link.direction === 'out').length < own;
  }

  /** Keep a connection to a peer to which there is no link; `hasRoom` was asked, or `makeRoom`. */
  add(to: LinkTo): void {
    const { contact, direction } = to;
    const { times, owner, onChange, onLink } = this.#options;
    if (direction === 'in' && !this.#hasInboundRoom()) {
      const victim = this.#evictable(contact);
      if (victim !== undefined) this.remove(victim);
    }
    if (this.full || this.to(contact) !== undefined)
      throw new TypeError('no such link can be made');
    const link = new Link(to, times, {
      ...owner,
      onEnd: (ended, lost) => {
        this.remove(ended);
        owner.onEnd(ended, lost);
      },
    });
    this.#links.set(formatAddress(contact), link);
    onLink(link);
    onChange('linked', contact);
    link.start();
  }

  remove(link: Link): void {
    link.stop();
    if (this.to(link.contact) !== link) return;
    this.#links.delete(formatAddress(link.contact));
    this.#options.onChange('unlinked', link.contact);
  }

  /** End all links silently. */
  close(): void {
    for (const link of this.#links.values()) link.stop();
    this.#links.clear();
  }

  #inbound(): Link[] {
    return [...this.#links.values()].filter(({ direction }) => direction === 'in');
  }

  #hasInboundRoom(): boolean {
    const { max, reserved } = this.#options;
    return !this.full && this.#inbound().length < max - reserved;
  }

  /**
   * The link that gives way to a peer at this address which asks for one: of the wider network that has most,
   * there of the network that has most, if the newcomer's would still have fewer.
   */
  #evictable(address: PeerAddress): Link | undefined {
    const inbound = this.#inbound().map((link) => ({ link, ...networksOf(link.contact) }));
    const count = (by: 'wide' | 'group', name: Networks['wide']): number =>
      inbound.filter((each) => each[by] === name).length;
    const mine = networksOf(address);
    let victim: (typeof inbound)[number] | undefined;
    let most = [0, 0];
    for (const each of inbound) {
      const load = [count('wide', each.wide), count('group', each.group)];
      if (isMore(load, most)) [victim, most] = [each, load];
    }
    if (victim === undefined) return undefined;
    const then = [
      count('wide', mine.wide) + (victim.wide === mine.wide ? 0 : 1),
      count('group', mine.group) + (victim.group === mine.group ? 0 : 1),
    ];
    return isMore(most, then) ? victim.link : undefined;
  }
}

function isMore([a = 0, b = 0]: number[], [c = 0, d = 0]: number[]): boolean {
  return a > c || (a === c && b > d);
}
