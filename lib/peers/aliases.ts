/** Other addresses of this node, and of peers that are known under a different address. */
import { ExpiringMap } from '../limits/expiring-map.js';
import { formatAddress, type PeerAddress } from '../net/address.js';
import type { PeerId } from '../wire/messages.js';
import type { PeerTimes } from './times.js';

export class Aliases {
  /** By address. */
  readonly #ids: ExpiringMap<PeerId>;
  /** By id: the address at which it was reached before another address took its place. */
  readonly #former: ExpiringMap<string>;

  /** @param max addresses that are remembered, and ids */
  constructor(max: number, { alias, forgotten }: PeerTimes, now: () => number) {
    this.#ids = new ExpiringMap(max, alias, now);
    this.#former = new ExpiringMap(max, forgotten, now);
  }

  get size(): number {
    return this.#ids.size + this.#former.size;
  }

  /** The id reached at an address, unless the address is worth another attempt. */
  idAt(address: PeerAddress): PeerId | undefined {
    const id = this.#ids.get(formatAddress(address));
    return id !== undefined && this.isFormer(id, address) ? undefined : id;
  }

  isFormer(id: PeerId, address: PeerAddress): boolean {
    return this.#former.get(id) === formatAddress(address);
  }

  add(address: PeerAddress, id: PeerId): void {
    this.#ids.set(formatAddress(address), id);
  }

  /** The peer is known under the address `to` from now on. Its first address stays the one to go back to. */
  moved(id: PeerId, from: PeerAddress, to: PeerAddress): void {
    if (this.isFormer(id, to)) this.#former.delete(id);
    else if (!this.#former.has(id)) this.#former.set(id, formatAddress(from));
    this.#ids.set(formatAddress(from), id);
    this.#ids.delete(formatAddress(to));
  }
}
