/**
 * The peers a node knows, by address: those it has heard of, those it has reached itself. Bounded in all and
 * per source. No sockets, no clock of its own, no disk. `DialOrder` says which is tried next.
 */
import { formatAddress, type PeerAddress } from '../net/address.js';
import type { PeerContact, PeerId } from '../wire/messages.js';
import { Blocklist } from '../limits/blocklist.js';
import { Random } from '../support/random.js';
import { isOneListener } from './networks.js';
import { KnownPeers, isUnverified, isUp, newPeer, type KnownPeer, type UpPeer } from './known.js';
import { ExpiringMap } from '../limits/expiring-map.js';
import { groupOf, scopeOf } from '../net/scope.js';
import type { SavedPeer } from '../state/saved-peers.js';
import { DialOrder } from './dial-order.js';
import { Pauses } from './pauses.js';
import type { PeerTimes } from './times.js';

export interface TableOptions {
  /** This node's id. */
  self: PeerId;
  times: PeerTimes;
  /** Milliseconds since 1970; never goes back. */
  now: () => number;
  /** From 0 to 1, as Math.random. */
  random: () => number;
  /** Peers in all. @default 1000 */
  max?: number | undefined;
  /** A peer has been reached that was not, or cannot be reached any more. */
  onChange?: ((kind: 'up' | 'down', peer: PeerContact) => void) | undefined;
}

/** What has been reached at an address. */
export type Reached =
  | 'kept'
  /** A peer that is known under another address, which stays the one. */
  | 'alias'
  /** This node itself. */
  | 'self'
  /** A peer for which there is no room. */
  | 'full';

const USER = 'user';
const MAX_PEERS = 1000;
/** Dropped peers that are remembered, and other addresses of peers. */
const MAX_REMEMBERED = 4096;
/** A ban is at most so many times as long as the first. */
const MAX_BAN_FACTOR = 16;
/** Of the peers reached last so many are tried often as long as no peer answers. */
const LAST_REACHED = 32;

export class PeerTable {
  /** The order in which peers are tried. */
  readonly order: DialOrder;
  readonly #options: TableOptions;
  readonly #random: Random;
  readonly #peers: KnownPeers;
  /** Dropped peers, and when each was last tried. */
  readonly #dropped: ExpiringMap<number>;
  /** Other addresses of this node, and of peers that are known under a different one: the id there. */
  readonly #aliases: ExpiringMap<PeerId>;
  readonly #blocklist: Blocklist;
  readonly #pauses: Pauses;
  #lastAnswer = 0;

  constructor(options: TableOptions) {
    const { times, now, random, max = MAX_PEERS, onChange } = options;
    this.#options = options;
    this.#random = new Random(random);
    this.#pauses = new Pauses(times, random);
    this.#peers = new KnownPeers(max, this.#random, (peer) => onChange?.('down', peer));
    this.#dropped = new ExpiringMap(MAX_REMEMBERED, times.dropped, now);
    this.#aliases = new ExpiringMap(MAX_REMEMBERED, times.alias, now);
    const first = times.banned;
    this.#blocklist = new Blocklist({ first, longest: first * MAX_BAN_FACTOR, now });
    this.order = new DialOrder({
      peers: this.#peers,
      random: this.#random,
      times,
      now,
      bannedUntil: (address) => this.#blocklist.until(formatAddress(address), address.host),
    });
  }

  /** Peers known in any way. */
  get size(): number {
    return this.#peers.size;
  }

  /** Things remembered of peers that are not in the table. */
  get remembered(): number {
    return this.#dropped.size + this.#aliases.size + this.#blocklist.size;
  }

  /** Peers heard of from a source and never reached. */
  heardFrom(source: string): number {
    return this.#peers.heardFrom(source);
  }

  at(address: PeerAddress): Readonly<KnownPeer> | undefined {
    return this.#peers.at(address);
  }

  /** Peers that were reached under an id: more than one address may claim it. */
  withId(id: PeerId): readonly Readonly<KnownPeer>[] {
    return this.#peers.withId(id);
  }

  /** Every peer that was reached and does not fail. */
  *up(): Generator<Readonly<UpPeer>> {
    for (const peer of this.#peers.allReached()) if (isUp(peer)) yield peer;
  }

  /** The user names a peer, perhaps with its key. Whatever else is in the table makes room. */
  name(address: PeerAddress): void {
    let known = this.#peers.at(address);
    if (known !== undefined) {
      this.#peers.setNamed(known);
    } else if (!this.#isElsewhere(address)) {
      known = this.#new(address, USER);
      this.#peers.addNamed(known);
    }
    if (known !== undefined) known.key = address.key;
  }

  /** The user's name leads elsewhere now. */
  unname(address: PeerAddress): void {
    const known = this.#peers.at(address);
    if (known?.named !== true) return;
    if (known.id === undefined) this.#peers.delete(known);
    else known.named = false;
  }

  /**
   * Another peer names this one. Ignored if it is known, was dropped lately, or is this
   * node or a known peer under another address.
   *
   * @param source the speaker: `groupOf` its address
   * @param once whether it is tried only once
   * @returns whether it was taken up
   */
  hear(address: PeerAddress, source: string, once = false): boolean {
    if (this.#peers.isFull(source) || this.#peers.at(address) !== undefined) return false;
    if (this.#isElsewhere(address) || this.isBanned(address)) return false;
    if (this.#dropped.has(formatAddress(address))) return false;
    return this.#peers.add({ ...this.#new(address, source), once }) !== undefined;
  }

  /**
   * A peer says itself, by connecting, that it can be reached at an address: it is tried soon, but its
   * failures still count.
   */
  greet(address: PeerAddress, source: string): void {
    if (this.isBanned(address)) return;
    const { soon, pauses } = this.#options.times;
    const known = this.#peers.at(address);
    if (known !== undefined) {
      if (!known.up) known.nextTry = Math.min(known.nextTry, known.lastTry + soon);
      return;
    }
    if (this.#isElsewhere(address)) return;
    this.#peers.makeRoomAt(address.host);
    const added = this.#peers.add(this.#new(address, source));
    const dropped = this.#dropped.get(formatAddress(address));
    if (added === undefined || dropped === undefined) return;
    // One more attempt, not three, and not at once after the last.
    added.failures = pauses.length;
    added.nextTry = Math.max(added.nextTry, dropped + soon);
  }

  /** An attempt begins. */
  trying(address: PeerAddress): void {
    const known = this.#peers.at(address);
    if (known !== undefined) this.order.tried(known);
  }

  /**
   * A peer has answered at an address. Its id is a claim: another address at which the same id answers is
   * another peer, so that nobody can keep a peer out by claiming its id first. Such claims end where the user
   * has named the peer's address, and at last where the id is proven.
   *
   * @param rtt milliseconds that its answer took
   * @param what.proven whether TLS has proven its id @default false
   * @param what.isPrivate whether it is to be told to nobody @default false
   */
  reached(
    address: PeerAddress,
    id: PeerId,
    rtt: number,
    { proven = false, isPrivate = false }: { proven?: boolean; isPrivate?: boolean } = {},
  ): Reached {
    const { self, now } = this.#options;
    this.#lastAnswer = now();
    // It was banned while it was dialled.
    if (this.isBanned(address)) return 'full';
    const known = this.#peers.at(address);
    if (id === self) return this.#alias(known, address, id, 'self');
    const mine = trustIn(proven, known?.named === true);
    for (const other of this.#peers.withId(id)) {
      if (other === known) continue;
      const more = mine - trustIn(other.proven, other.named);
      const isSame = more === 0 && (mine > 0 || isOneListener(other.address, address));
      const isWeaker = more < 0 && (other.up || other.proven);
      if (isWeaker || (isSame && other.up)) return this.#alias(known, address, id, 'alias');
      if (isSame || more > 0) this.#alias(other, other.address, id, 'alias');
    }
    if (known?.id !== id && known?.named !== true && !this.#peers.makeRoomForReached(address)) {
      if (known !== undefined) this.#peers.delete(known);
      return 'full';
    }
    const peer = known ?? this.#new(address, groupOf(address.host));
    this.#peers.setId(peer, id, proven);
    peer.isPrivate = isPrivate;
    this.#dropped.delete(formatAddress(address));
    this.#aliases.delete(formatAddress(address));
    this.#saw(peer, id, rtt);
    return 'kept';
  }

  /** A peer to which there is a link has answered. */
  seen({ id, ...address }: PeerContact, rtt: number): void {
    this.#lastAnswer = this.#options.now();
    const peer = this.#peers.at(address);
    if (peer?.id === id) this.#saw(peer, id, rtt);
  }

  /**
   * The link to a peer was lost: nothing is known of it until it is tried, soon.
   *
   * @param lasted milliseconds that there was a link: a peer that ends each at once is linked ever later
   */
  lost({ id, ...address }: PeerContact, lasted = Infinity): void {
    const peer = this.#peers.at(address);
    if (peer?.id !== id) return;
    const { now, times } = this.#options;
    peer.losses = lasted < times.stable ? peer.losses + 1 : 0;
    peer.nextLink = now() + this.#pauses.afterLoss(peer);
    peer.nextTry = Math.min(peer.nextTry, now() + this.#pauses.soon());
  }

  /**
   * An attempt to reach a peer, or to have an answer of it, has failed.
   *
   * @param isOwn it is the fault of this machine's network, or may be: no peer answers. Counts against
   *   no peer
   */
  failed(address: PeerAddress, isOwn = false): void {
    const peer = this.#peers.at(address);
    if (peer === undefined) return;
    const time = this.#options.now();
    this.#peers.setDown(peer);
    if (isOwn && isUnverified(peer) && !peer.once) {
      peer.nextTry = time + this.#pauses.isolated();
      return;
    }
    peer.failures++;
    if (this.#pauses.isHopeless(peer, time) || (peer.once && isUnverified(peer))) {
      this.#peers.delete(peer);
      this.#dropped.set(formatAddress(address), peer.lastTry);
      return;
    }
    const isAlone = this.#peers.up === 0 && (peer.named || this.#isAmongLast(peer));
    peer.nextTry = time + this.#pauses.afterFailure(peer, isAlone);
  }

  /** Whether a peer has answered since then. @param time ms since 1970 */
  hasAnsweredSince(time: number): boolean {
    return this.#lastAnswer >= time;
  }

  /** The network is another one now, or the machine slept: every peer reached once is tried soon. */
  retryAll(): void {
    const now = this.#options.now();
    for (const peer of this.#peers.all()) {
      if (isUnverified(peer)) continue;
      peer.nextTry = Math.min(peer.nextTry, now + this.#pauses.soon());
      if (!peer.up) peer.failures = Math.min(peer.failures, 1);
    }
  }

  /** The peer at an address did what no honest one does: it is not dialled for a while. */
  ban(address: PeerAddress): void {
    // On loopback all peers have the same host; elsewhere three of one host ban all of it.
    const host = scopeOf(address.host) === 'loopback' ? undefined : address.host;
    this.#blocklist.add(formatAddress(address), host);
    const peer = this.#peers.at(address);
    if (peer === undefined) return;
    // What the user named stays in the table, and is tried again afterwards.
    if (peer.named) this.#peers.setDown(peer);
    else this.#peers.delete(peer);
  }

  isBanned(address: PeerAddress): boolean {
    return this.#blocklist.has(formatAddress(address), address.host);
  }

  /** What is kept over a restart: peers reached by this node once, the latest first. */
  save(): SavedPeer[] {
    return this.#peers.save();
  }

  /** Take up what was kept. None of it is told to others before it has been reached again. */
  restore(saved: readonly SavedPeer[]): void {
    const { self, now } = this.#options;
    const others = saved.filter(({ id }) => id !== self);
    this.#peers.restore(others, now());
  }

  #new(address: PeerAddress, source: string): KnownPeer {
    return newPeer(address, source, this.#options.now());
  }

  /** This node itself, or a peer that can be reached under another address. */
  #isElsewhere(address: PeerAddress): boolean {
    const id = this.#aliases.get(formatAddress(address));
    if (id === undefined) return false;
    return id === this.#options.self || this.#peers.withId(id).some(({ up }) => up);
  }

  #alias(
    known: KnownPeer | undefined,
    address: PeerAddress,
    id: PeerId,
    what: 'alias' | 'self',
  ): Reached {
    if (known !== undefined) this.#peers.delete(known);
    this.#aliases.set(formatAddress(address), id);
    return what;
  }

  /** Whether few peers were reached later than this one. */
  #isAmongLast({ seen }: KnownPeer): boolean {
    let later = 0;
    for (const peer of this.#peers.allReached()) if (peer.seen > seen) later++;
    return later < LAST_REACHED;
  }

  #saw(peer: KnownPeer, id: PeerId, rtt: number): void {
    const { now, onChange } = this.#options;
    peer.seen = now();
    peer.rtt = rtt;
    peer.failures = 0;
    peer.nextTry = peer.seen + this.#pauses.untilVisit(this.#peers.reached);
    if (this.#peers.setUp(peer)) onChange?.('up', { id, ...peer.address });
  }
}

/** How far an id is believed to be that of a peer at an address. */
function trustIn(isProven: boolean, isNamed: boolean): number {
  return isProven ? 2 : isNamed ? 1 : 0;
}
