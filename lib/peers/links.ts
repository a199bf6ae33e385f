/** The links of a node: one for each peer at most, so many in all, some of them of its own making. */
import type { Connection } from '../net/connection.js';
import type { PeerContact, PeerId } from '../wire/messages.js';
import { Link, type Direction, type LinkOwner } from './link.js';
import type { PeerTimes } from './times.js';

export interface LinksOptions {
  /** Links in all. */
  max: number;
  /** Links that this node makes itself. */
  own: number;
  times: PeerTimes;
  owner: LinkOwner;
  /** Told of links made and ended, whatever the reason. */
  onChange: (kind: 'linked' | 'unlinked', peer: PeerContact) => void;
  /** Told of a link that is about to be made. */
  onLink?: ((link: Link) => void) | undefined;
}

export class Links {
  readonly #options: LinksOptions;
  readonly #links = new Map<PeerId, Link>();

  constructor(options: LinksOptions) {
    this.#options = options;
  }

  [Symbol.iterator](): Iterator<Link> {
    return this.#links.values();
  }

  to(id: PeerId): Link | undefined {
    return this.#links.get(id);
  }

  on(connection: Connection): Link | undefined {
    for (const link of this.#links.values()) if (link.connection === connection) return link;
    return undefined;
  }

  get full(): boolean {
    return this.#links.size >= this.#options.max;
  }

  /** Whether this node shall make another itself. */
  get wanted(): boolean {
    if (this.full) return false;
    let mine = 0;
    for (const { direction } of this.#links.values()) if (direction === 'out') mine++;
    return mine < this.#options.own;
  }

  /** Keep a connection to a peer to which there is no link, and to which there is room for one. */
  add(contact: PeerContact, connection: Connection, direction: Direction): void {
    const { times, owner, onChange, onLink } = this.#options;
    if (this.full || this.#links.has(contact.id)) throw new TypeError('no such link can be made');
    const link = new Link(contact, connection, direction, times, {
      ...owner,
      onEnd: (ended, lost) => {
        this.remove(ended);
        owner.onEnd(ended, lost);
      },
    });
    this.#links.set(contact.id, link);
    onLink?.(link);
    onChange('linked', contact);
    link.start();
  }

  remove(link: Link): void {
    link.stop();
    if (this.#links.get(link.id) !== link) return;
    this.#links.delete(link.id);
    this.#options.onChange('unlinked', link.contact);
  }

  /** Give all up, without a word. */
  close(): void {
    for (const link of this.#links.values()) link.stop();
    this.#links.clear();
  }
}
