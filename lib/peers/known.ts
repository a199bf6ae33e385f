/**
 * The entries of the peer table: by address, bounded in all, per source, per host. An id is a claim, so two
 * addresses at which the same id answers are two entries.
 */
import { formatAddress, type PeerAddress } from '../net/address.js';
import type { PeerContact, PeerId } from '../wire/messages.js';
import type { Random } from '../support/random.js';
import { groupOf, literal, scopeOf } from '../net/scope.js';
import type { SavedPeer } from '../state/saved-peers.js';

export interface KnownPeer {
  readonly address: PeerAddress;
  /** Where it was heard of: `groupOf` an address, or a word for what is no address. */
  readonly source: string;
  /** Named by the user: never dropped. */
  named: boolean;
  /** Its id, once this node has reached it, now or in an earlier run. A claim, unless it is proven. */
  id: PeerId | undefined;
  /** TLS has proven that id. */
  proven: boolean;
  /** It is there for some peers alone: it is told to nobody. */
  isPrivate: boolean;
  /** It is dropped at its first failure, whatever that says: only claimed by what cannot be asked. */
  once: boolean;
  /** The id that the user says it must prove. */
  key: PeerId | undefined;
  /** It was reached in this run, and no attempt has failed since. */
  up: boolean;
  /** When it was last reached, in ms since 1970; 0 for never. */
  seen: number;
  /** Milliseconds that its last answer to PING took. */
  rtt: number | undefined;
  /** Attempts that failed since it was reached. */
  failures: number;
  /** Links to it that were lost soon after they were made, in a row. */
  losses: number;
  /** When it was last tried, and when it shall be tried next; ms since 1970. */
  lastTry: number;
  nextTry: number;
  /** When the next link to it may be made; ms since 1970. */
  nextLink: number;
}

/** A peer that was reached and does not fail. */
export type UpPeer = KnownPeer & { id: PeerId };

export function isUp(peer: KnownPeer): peer is UpPeer {
  return peer.up && peer.id !== undefined;
}

/** Never reached by this node nor named by the user: counts against its source and its host. */
export function isUnverified({ id, named }: KnownPeer): boolean {
  return id === undefined && !named;
}

export function newPeer({ host, port }: PeerAddress, source: string, nextTry: number): KnownPeer {
  return {
    address: { host, port },
    source,
    nextTry,
    named: false,
    id: undefined,
    proven: false,
    isPrivate: false,
    once: false,
    key: undefined,
    up: false,
    seen: 0,
    rtt: undefined,
    failures: 0,
    losses: 0,
    lastTry: 0,
    nextLink: 0,
  };
}

/** The source of what was kept over a restart. */
const STORE = 'store';
/** The part of the table that one source may fill with what it says, and one group with peers. */
const SHARE = 1 / 8;
/** The part that peers may fill which were reached: what is heard must have some room. */
const REACHED_SHARE = 3 / 4;
/** Ports of one host at which no peer was reached yet. */
const UNPROVEN_PORTS = 3;

export class KnownPeers {
  readonly #max: number;
  readonly #random: Random;
  readonly #onDown: (peer: PeerContact) => void;
  readonly #peers = new Map<string, KnownPeer>();
  /** Peers that have been reached; and the same by their ids. */
  readonly #reached = new Set<KnownPeer>();
  readonly #byId = new Map<PeerId, Set<KnownPeer>>();
  /** Peers heard of and never reached, by source and by host. */
  readonly #heard = new Map<string, number>();
  readonly #heardAt = new Map<string, number>();
  /** Peers that have been reached, by the public network they are in. */
  readonly #networks = new Map<string, number>();
  #up = 0;

  /**
   * @param max entries in all
   * @param onDown told of a peer that was up and is not any more
   */
  constructor(max: number, random: Random, onDown: (peer: PeerContact) => void) {
    this.#max = max;
    this.#random = random;
    this.#onDown = onDown;
  }

  get size(): number {
    return this.#peers.size;
  }
  /** Peers that have been reached. */
  get reached(): number {
    return this.#reached.size;
  }
  /** Peers that are up. */
  get up(): number {
    return this.#up;
  }

  /** Peers heard of from a source and never reached. */
  heardFrom(source: string): number {
    return this.#heard.get(source) ?? 0;
  }

  at(address: PeerAddress): KnownPeer | undefined {
    return this.#peers.get(formatAddress(address));
  }
  all(): Iterable<KnownPeer> {
    return this.#peers.values();
  }
  allReached(): Iterable<KnownPeer> {
    return this.#reached;
  }
  /** Peers that have been reached under an id. */
  withId(id: PeerId): KnownPeer[] {
    return [...(this.#byId.get(id) ?? [])];
  }

  /** Whether a source has said as much as it may. */
  isFull(source: string): boolean {
    return this.heardFrom(source) >= this.#max * SHARE;
  }

  /** Whether so many ports of a host wait to be proven that no other is taken up. */
  isFullAt(host: string): boolean {
    return (this.#heardAt.get(host) ?? 0) >= UNPROVEN_PORTS;
  }

  /** Add a peer that another peer named; undefined when its source, the host or the table is full. */
  add(peer: KnownPeer): KnownPeer | undefined {
    const { source, address } = peer;
    if (this.isFull(source) || this.isFullAt(address.host)) return undefined;
    // At the cost of a source that has more even after it.
    const mine = this.heardFrom(source);
    if (this.#peers.size >= this.#max && !this.#evict(mine + 2)) return undefined;
    this.#peers.set(formatAddress(address), peer);
    this.#count(peer, 1);
    return peer;
  }

  /** Drop one port of a host that was only heard of: the peer itself says another. */
  makeRoomAt(host: string): void {
    if (!this.isFullAt(host)) return;
    const unproven = [...this.#peers.values()].filter(
      (peer) => peer.address.host === host && isUnverified(peer),
    );
    const victim = this.#random.pick(unproven);
    if (victim !== undefined) this.delete(victim);
  }

  /** Add a peer that the user named, evicting another if need be. */
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
  setId(peer: KnownPeer, id: PeerId, proven: boolean): void {
    this.#uncount(peer);
    if (peer.id !== id) this.#leave(peer);
    peer.proven = proven;
    this.#peers.set(formatAddress(peer.address), peer);
    if (peer.id === undefined) count(this.#networks, networkOf(peer.address), 1);
    peer.id = id;
    this.#reached.add(peer);
    const same = this.#byId.get(id) ?? new Set();
    this.#byId.set(id, same.add(peer));
  }

  /** @returns whether it was not up before */
  setUp(peer: KnownPeer): boolean {
    if (peer.up) return false;
    peer.up = true;
    this.#up++;
    return true;
  }

  setDown(peer: KnownPeer): void {
    if (!peer.up) return;
    peer.up = false;
    this.#up--;
    const { id, address } = peer;
    if (id !== undefined) this.#onDown({ id, ...address });
  }

  delete(peer: KnownPeer): void {
    this.#uncount(peer);
    this.#leave(peer);
    this.#peers.delete(formatAddress(peer.address));
  }

  /** What is kept over a restart: peers that were reached, the latest first. */
  save(): SavedPeer[] {
    const saved: SavedPeer[] = [];
    for (const { id, address, seen, proven } of this.#reached) {
      if (id !== undefined) saved.push({ id, ...address, seen, proven });
    }
    return saved.sort((a, b) => b.seen - a.seen);
  }

  /** Take up what was kept. @param now ms since 1970 */
  restore(saved: readonly SavedPeer[], now: number): void {
    for (const { id, host, port, seen, proven } of saved) {
      const address = { host: literal(host) ?? host, port };
      if (!this.roomForReached) return;
      // At no such address a peer can be.
      if (scopeOf(host) === undefined || port === 0) continue;
      if (this.at(address) !== undefined) continue;
      const peer = newPeer(address, STORE, now);
      peer.seen = Math.min(seen, now);
      this.setId(peer, id, proven === true);
    }
  }

  /** Whether any more may be reached: one that fails makes room. */
  get roomForReached(): boolean {
    if (this.#reached.size < this.#max * REACHED_SHARE) return true;
    return this.#longestGone() !== undefined;
  }

  /** Make room for a peer reached at this address, unless its network, or the table, is full. */
  makeRoomForReached(address: PeerAddress): boolean {
    const network = networkOf(address);
    if (network !== undefined && (this.#networks.get(network) ?? 0) >= this.#max * SHARE) {
      return this.#forget(this.#longestGone(network));
    }
    return this.#reached.size < this.#max * REACHED_SHARE || this.#forget(this.#longestGone());
  }

  #forget(peer: KnownPeer | undefined): boolean {
    if (peer !== undefined) this.delete(peer);
    return peer !== undefined;
  }

  /** Of the peers that fail, in a network if one is given, the one that was not reached for longest. */
  #longestGone(network?: string): KnownPeer | undefined {
    let found: KnownPeer | undefined;
    for (const peer of this.#reached) {
      if (peer.up || peer.named || peer.failures === 0) continue;
      if (network !== undefined && networkOf(peer.address) !== network) continue;
      if (found === undefined || peer.seen < found.seen) found = peer;
    }
    return found;
  }

  /** Drop something heard of from the source that has most, if that is at least `least`. */
  #evict(least: number): boolean {
    const [source, most] = [...this.#heard].reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0]);
    if (most < least) return false;
    const theirs = [...this.#peers.values()].filter((p) => p.source === source && isUnverified(p));
    return this.#forget(this.#random.pick(theirs));
  }

  /** The peer loses its id. */
  #leave(peer: KnownPeer): void {
    this.setDown(peer);
    if (peer.id === undefined) return;
    this.#reached.delete(peer);
    const same = this.#byId.get(peer.id);
    same?.delete(peer);
    if (same?.size === 0) this.#byId.delete(peer.id);
    peer.id = undefined;
    // Whatever is reached there next is another peer.
    peer.losses = 0;
    peer.nextLink = 0;
    count(this.#networks, networkOf(peer.address), -1);
  }

  #uncount(peer: KnownPeer): void {
    if (isUnverified(peer) && this.at(peer.address) === peer) this.#count(peer, -1);
  }

  #count({ source, address }: KnownPeer, change: 1 | -1): void {
    count(this.#heard, source, change);
    count(this.#heardAt, address.host, change);
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
