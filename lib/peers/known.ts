/** The entries of the peer table: by address and by id, bounded in all and per source. */
import { formatAddress, type PeerAddress } from '../net/address.js';
import type { PeerContact, PeerId } from '../wire/messages.js';
import type { Random } from '../support/random.js';
import { groupOf, scopeOf } from '../net/scope.js';

export interface KnownPeer {
  readonly address: PeerAddress;
  /** Who named it: `groupOf` an address, or a word for what is no address. */
  readonly source: string;
  /** Named by the user: never dropped. */
  named: boolean;
  /** Its id, once this node has reached it, now or in an earlier run. */
  id: PeerId | undefined;
  /** It was reached in this run, and no attempt has failed since. */
  up: boolean;
  /** When it was last reached, in ms since 1970; 0 for never. */
  seen: number;
  /** Milliseconds that its last answer to PING took. */
  rtt: number | undefined;
  /** Attempts that failed since it was reached. */
  failures: number;
  /** When it was last tried, and when it shall be next; ms since 1970. */
  lastTry: number;
  nextTry: number;
}

/** A peer that was reached and does not fail. */
export type UpPeer = KnownPeer & { id: PeerId };

export function isUp(peer: KnownPeer): peer is UpPeer {
  return peer.up && peer.id !== undefined;
}

/** Only heard of: counts against its source. */
function isHearsay({ id, named }: KnownPeer): boolean {
  return id === undefined && !named;
}

export function newPeer({ host, port }: PeerAddress, source: string, nextTry: number): KnownPeer {
  const never = { id: undefined, up: false, seen: 0, rtt: undefined, failures: 0, lastTry: 0 };
  return { address: { host, port }, source, named: false, ...never, nextTry };
}

/** The part of the table that one source may fill with what it says, and one group with peers. */
const SHARE = 1 / 8;
/** The part that peers may fill which were reached: what is heard must have some room. */
const REACHED_SHARE = 3 / 4;

export class KnownPeers {
  readonly #max: number;
  readonly #dice: Random;
  readonly #onDown: (peer: PeerContact) => void;
  readonly #peers = new Map<string, KnownPeer>();
  readonly #byId = new Map<PeerId, KnownPeer>();
  /** Peers heard of and never reached, by source. */
  readonly #heard = new Map<string, number>();
  /** Peers that have been reached, by the public network they are in. */
  readonly #networks = new Map<string, number>();

  /**
   * @param max entries in all
   * @param onDown told of a peer that was up and is not any more
   */
  constructor(max: number, dice: Random, onDown: (peer: PeerContact) => void) {
    this.#max = max;
    this.#dice = dice;
    this.#onDown = onDown;
  }

  get size(): number {
    return this.#peers.size;
  }
  /** Peers that have been reached. */
  get reached(): number {
    return this.#byId.size;
  }

  /** Peers heard of from a source and never reached. */
  heardFrom(source: string): number {
    return this.#heard.get(source) ?? 0;
  }

  at(address: PeerAddress): KnownPeer | undefined {
    return this.#peers.get(formatAddress(address));
  }
  withId(id: PeerId): KnownPeer | undefined {
    return this.#byId.get(id);
  }
  all(): Iterable<KnownPeer> {
    return this.#peers.values();
  }
  allReached(): Iterable<KnownPeer> {
    return this.#byId.values();
  }

  /** Whether a source has said as much as it may. */
  isFull(source: string): boolean {
    return this.heardFrom(source) >= this.#max * SHARE;
  }

  /** Take up what somebody said; undefined when that source, or the table, is full. */
  add(peer: KnownPeer): KnownPeer | undefined {
    const mine = this.heardFrom(peer.source);
    if (this.isFull(peer.source)) return undefined;
    // At the cost of a source that has more even after it.
    if (this.#peers.size >= this.#max && !this.#evict(mine + 2)) return undefined;
    this.#peers.set(formatAddress(peer.address), peer);
    count(this.#heard, peer.source, 1);
    return peer;
  }

  /** Take up what the user said, whatever has to go for it. */
  addNamed(peer: KnownPeer): void {
    if (this.#peers.size >= this.#max) this.#evict(1);
    peer.named = true;
    this.#peers.set(formatAddress(peer.address), peer);
  }

  /** What was only heard of counts as named by the user from now on. */
  setNamed(peer: KnownPeer): void {
    this.#uncount(peer);
    peer.named = true;
  }

  /** A peer has been reached under an id; it is in the table from now on, if it was not. */
  setId(peer: KnownPeer, id: PeerId): void {
    this.#uncount(peer);
    if (peer.id !== id) this.#leave(peer);
    this.#peers.set(formatAddress(peer.address), peer);
    if (peer.id === undefined) count(this.#networks, networkOf(peer.address), 1);
    peer.id = id;
    this.#byId.set(id, peer);
  }

  setDown(peer: KnownPeer): void {
    if (!peer.up) return;
    peer.up = false;
    const { id, address } = peer;
    if (id !== undefined) this.#onDown({ id, ...address });
  }

  delete(peer: KnownPeer): void {
    this.#uncount(peer);
    this.#leave(peer);
    this.#peers.delete(formatAddress(peer.address));
  }

  /** Whether any more may be reached. */
  get roomForReached(): boolean {
    return this.#byId.size < this.#max * REACHED_SHARE;
  }

  /** Whether a peer reached at this address may be kept: one network is not to fill the table. */
  roomFor(address: PeerAddress): boolean {
    if (!this.roomForReached) return false;
    const network = networkOf(address);
    return network === undefined || (this.#networks.get(network) ?? 0) < this.#max * SHARE;
  }

  /** Drop something heard of from the source that has most, if that is at least `least`. */
  #evict(least: number): boolean {
    const [source, most] = [...this.#heard].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0]);
    if (most < least) return false;
    const theirs = [...this.#peers.values()].filter((p) => p.source === source && isHearsay(p));
    const victim = this.#dice.pick(theirs);
    if (victim !== undefined) this.delete(victim);
    return victim !== undefined;
  }

  /** The peer is no more who it was. */
  #leave(peer: KnownPeer): void {
    this.setDown(peer);
    if (peer.id === undefined) return;
    this.#byId.delete(peer.id);
    peer.id = undefined;
    count(this.#networks, networkOf(peer.address), -1);
  }

  #uncount(peer: KnownPeer): void {
    if (isHearsay(peer) && this.at(peer.address) === peer) count(this.#heard, peer.source, -1);
  }
}

/** The public network of an address; undefined when it is not public. */
function networkOf({ host }: PeerAddress): string | undefined {
  return scopeOf(host) === 'public' ? groupOf(host) : undefined;
}

function count(counts: Map<string, number>, key: string | undefined, change: 1 | -1): void {
  if (key === undefined) return;
  const now = (counts.get(key) ?? 0) + change;
  if (now > 0) counts.set(key, now);
  else counts.delete(key);
}
