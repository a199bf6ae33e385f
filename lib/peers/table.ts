/**
 * The peers a node knows, by address: those it has heard of, those it has reached itself. Bounded in all and
 * per source. No sockets, no clock of its own, no disk. `DialOrder` says which is tried next.
 */
import { formatAddress, type PeerAddress } from '../net/address.js';
import type { PeerContact, PeerId } from '../wire/messages.js';
import { Blocklist } from '../limits/blocklist.js';
import { backoff } from '../support/backoff.js';
import { Random } from '../support/random.js';
import { KnownPeers, isUp, newPeer, type KnownPeer, type UpPeer } from './known.js';
import { ExpiringMap } from '../limits/expiring-map.js';
import { groupOf, literal, scopeOf } from '../net/scope.js';
import type { SavedPeer } from '../state/saved-peers.js';
import { DialOrder } from './dial-order.js';
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
  /** A peer that is known under another address, which is tried first. */
  | 'contested'
  /** This node itself. */
  | 'self'
  /** A peer for which there is no room. */
  | 'full';

const USER = 'user';
const STORE = 'store';
const MAX_PEERS = 1000;
/** Dropped peers, other addresses of peers, and own addresses that are remembered. */
const MAX_REMEMBERED = 4096;
/** A ban is at most so many times as long as the first. */
const MAX_BAN_FACTOR = 16;
/** How many of the peers reached last are tried often as long as no peer answers. */
const LAST_REACHED = 32;
/** How much of a pause is random. */
const JITTER = 0.25;

export class PeerTable {
  /** The order in which peers are tried. */
  readonly order: DialOrder;
  readonly #options: TableOptions;
  readonly #random: Random;
  readonly #peers: KnownPeers;
  /** Dropped peers, and when each was last tried. */
  readonly #dropped: ExpiringMap<number>;
  /** Other addresses of peers, and the id of each. */
  readonly #aliases: ExpiringMap<PeerId>;
  /** The address at which an id was reached before another address took its place. */
  readonly #former: ExpiringMap<string>;
  readonly #bans: Blocklist;
  #lastAnswer = 0;

  constructor(options: TableOptions) {
    const { times, now, random, max = MAX_PEERS, onChange } = options;
    this.#options = options;
    this.#random = new Random(random);
    this.#peers = new KnownPeers(max, this.#random, (peer) => onChange?.('down', peer));
    this.#dropped = new ExpiringMap(MAX_REMEMBERED, times.dropped, now);
    this.#aliases = new ExpiringMap(MAX_REMEMBERED, times.alias, now);
    this.#former = new ExpiringMap(MAX_REMEMBERED, times.forgotten, now);
    const first = times.banned;
    this.#bans = new Blocklist({ first, longest: first * MAX_BAN_FACTOR, now });
    this.order = new DialOrder({
      peers: this.#peers,
      random: this.#random,
      times,
      now,
      bannedUntil: (address) => this.#bans.until(formatAddress(address), address.host),
    });
  }

  /** Peers known in any way. */
  get size(): number {
    return this.#peers.size;
  }

  /** Things remembered of peers that are not in the table. */
  get remembered(): number {
    const { size } = this.#bans;
    return this.#dropped.size + this.#aliases.size + this.#former.size + size;
  }

  /** Peers heard of from a source and never reached. */
  heardFrom(source: string): number {
    return this.#peers.heardFrom(source);
  }

  at(address: PeerAddress): Readonly<KnownPeer> | undefined {
    return this.#peers.at(address);
  }

  withId(id: PeerId): Readonly<KnownPeer> | undefined {
    return this.#peers.withId(id);
  }

  /** Every peer that was reached and does not fail. */
  *up(): Generator<Readonly<UpPeer>> {
    for (const peer of this.#peers.allReached()) if (isUp(peer)) yield peer;
  }

  // ------------------------------------------------------------ what is said

  /** The user names a peer. Whatever else is in the table makes room. */
  name(address: PeerAddress): void {
    const known = this.#peers.at(address);
    if (known !== undefined) this.#peers.setNamed(known);
    else if (!this.#isElsewhere(address)) this.#peers.addNamed(this.#new(address, USER));
  }

  /** The user's name leads elsewhere now. */
  unname(address: PeerAddress): void {
    const known = this.#peers.at(address);
    if (known?.named !== true) return;
    if (known.id === undefined) this.#peers.delete(known);
    else known.named = false;
  }

  /**
   * Somebody speaks of a peer. Says nothing new of one that is known, was dropped lately, or is this
   * node or a known peer under another address.
   *
   * @param source the speaker: `groupOf` its address
   * @returns whether it was taken up
   */
  hear(address: PeerAddress, source: string): boolean {
    if (this.#peers.isFull(source) || this.#peers.at(address) !== undefined) return false;
    if (this.#isElsewhere(address) || this.isBanned(address)) return false;
    if (this.#dropped.has(formatAddress(address))) return false;
    return this.#peers.add(this.#new(address, source)) !== undefined;
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

  // ------------------------------------------------------------ what is seen

  /** An attempt begins. */
  trying(address: PeerAddress): void {
    const known = this.#peers.at(address);
    if (known === undefined) return;
    known.lastTry = this.#options.now();
    this.order.tried(known);
  }

  /**
   * A peer has answered at an address.
   *
   * @param rtt milliseconds that its answer took
   */
  reached(address: PeerAddress, id: PeerId, rtt: number): Reached {
    const { self, now } = this.#options;
    this.#lastAnswer = now();
    // It was banned while it was dialled.
    if (this.isBanned(address)) return 'full';
    const known = this.#peers.at(address);
    const holder = this.#peers.withId(id);
    if (id === self) return this.#alias(known, address, id, 'self');
    if (holder !== undefined && holder !== known) {
      const isFormer = this.#former.get(id) === formatAddress(address);
      if (holder.up && !isFormer) return this.#alias(known, address, id, 'alias');
      if (!isFormer && !this.#failedLately(holder)) return this.#contest(known, address, holder);
      // The address at which it was first comes back, or takes the place of one that does not work.
      this.#peers.delete(holder);
      this.#aliases.set(formatAddress(holder.address), id);
      if (isFormer) this.#former.delete(id);
      else if (!this.#former.has(id)) this.#former.set(id, formatAddress(holder.address));
      this.#aliases.delete(formatAddress(address));
    } else if (holder === undefined && known?.named !== true) {
      if (!this.#peers.makeRoomForReached(address)) {
        if (known !== undefined) this.#peers.delete(known);
        return 'full';
      }
    }
    const peer = known ?? this.#new(address, groupOf(address.host));
    this.#peers.setId(peer, id);
    this.#dropped.delete(formatAddress(address));
    this.#saw(peer, id, rtt);
    return 'kept';
  }

  /** A peer to which there is a link has answered. */
  seen(id: PeerId, rtt: number): void {
    this.#lastAnswer = this.#options.now();
    const peer = this.#peers.withId(id);
    if (peer !== undefined) this.#saw(peer, id, rtt);
  }

  /**
   * The link to a peer was lost: nothing is known of it until it is tried, soon.
   *
   * @param lasted milliseconds that there was a link: a peer that ends each at once is linked ever later
   */
  lost(id: PeerId, lasted = Infinity): void {
    const peer = this.#peers.withId(id);
    if (peer === undefined) return;
    const { now, times } = this.#options;
    peer.losses = lasted < times.stable ? peer.losses + 1 : 0;
    const { cap } = times.reachedPause;
    const pause = this.#pause(peer.losses + 1, { base: times.soon, factor: 4, cap });
    peer.nextLink = now() + pause;
    peer.nextTry = Math.min(peer.nextTry, now() + this.#pause(1, { base: times.soon }));
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
    const { now, times } = this.#options;
    const { namedPause, soon, pauses, reachedPause, alonePause, forgotten } = times;
    const time = now();
    peer.lastFailure = time;
    this.#peers.setDown(peer);
    const isOld = peer.id === undefined || time - peer.seen > forgotten;
    if (isOwn && peer.id === undefined && !peer.named) {
      peer.nextTry = time + this.#pause(1, { base: alonePause });
      return;
    }
    peer.failures++;
    if (!peer.named && isOld && (peer.id !== undefined || peer.failures > pauses.length)) {
      this.#peers.delete(peer);
      this.#dropped.set(formatAddress(address), peer.lastTry);
      return;
    }
    let pause = pauses[peer.failures - 1] ?? 0;
    if (peer.id !== undefined) pause = this.#pause(peer.failures, reachedPause);
    else pause = this.#pause(1, { base: pause });
    if (peer.named) pause = this.#pause(peer.failures, { base: soon, cap: namedPause });
    if (this.#peers.up === 0 && (peer.named || this.#isAmongLast(peer))) {
      pause = Math.min(pause, this.#pause(1, { base: alonePause }));
    }
    peer.nextTry = time + pause;
  }

  /** Whether a peer has answered since then. @param time ms since 1970 */
  hasAnsweredSince(time: number): boolean {
    return this.#lastAnswer >= time;
  }

  /** The network is another one now, or the machine slept: every peer reached once is tried soon. */
  retryAll(): void {
    const { now, times } = this.#options;
    for (const peer of this.#peers.all()) {
      if (peer.id === undefined && !peer.named) continue;
      peer.nextTry = Math.min(peer.nextTry, now() + this.#pause(1, { base: times.soon }));
      if (!peer.up) peer.failures = Math.min(peer.failures, 1);
    }
  }

  /** The peer at an address did what no honest one does: it is not dialled for a while. */
  ban(address: PeerAddress): void {
    // On loopback all peers have the same host; elsewhere three of one host ban all of it.
    const { host } = address;
    this.#bans.add(formatAddress(address), scopeOf(host) === 'loopback' ? undefined : host);
    const peer = this.#peers.at(address);
    if (peer === undefined) return;
    // What the user named stays in the table, and is tried again afterwards.
    if (peer.named) this.#peers.setDown(peer);
    else this.#peers.delete(peer);
  }

  isBanned(address: PeerAddress): boolean {
    return this.#bans.has(formatAddress(address), address.host);
  }

  /** Whether an id was reached at this address before another address took its place. */
  isFormer(id: PeerId, address: PeerAddress): boolean {
    return this.#former.get(id) === formatAddress(address);
  }

  // ------------------------------------------------------------ what is told and kept

  /**
   * Peers to tell others of: reached by this node itself, lately, the first address that works.
   *
   * @param max how many
   * @param wanted which of them the asker has a use for
   * @param first those that come before the others
   * @returns a random choice when there are more
   */
  list(
    max: number,
    wanted: (peer: PeerContact) => boolean,
    first: (peer: PeerContact) => boolean = () => false,
  ): (PeerContact & { seen: number })[] {
    const now = this.#options.now();
    const before: (PeerContact & { seen: number })[] = [];
    const others: typeof before = [];
    for (const { id, address, seen } of this.up()) {
      const age = Math.max(0, now - seen);
      const peer = { id, ...address, seen: Math.floor(age / 1000) };
      if (age <= this.#options.times.fresh && wanted(peer))
        (first(peer) ? before : others).push(peer);
    }
    const chosen = this.#random.choose(before, max);
    return [...chosen, ...this.#random.choose(others, max - chosen.length)];
  }

  /** What is kept over a restart: peers reached by this node once, the latest first. */
  save(): SavedPeer[] {
    const saved: SavedPeer[] = [];
    for (const { id, address, seen } of this.#peers.allReached()) {
      if (id !== undefined) saved.push({ id, ...address, seen });
    }
    return saved.sort((a, b) => b.seen - a.seen);
  }

  /** Take up what was kept. None of it is told to others before it has been reached again. */
  restore(saved: readonly SavedPeer[]): void {
    const now = this.#options.now();
    for (const { id, host, port, seen } of saved) {
      const address = { host: literal(host) ?? host, port };
      if (!this.#peers.roomForReached) return;
      // At no such address a peer can be.
      if (scopeOf(host) === undefined || port === 0 || id === this.#options.self) continue;
      if (this.#peers.at(address) !== undefined || this.#peers.withId(id) !== undefined) continue;
      const peer = this.#new(address, STORE);
      peer.seen = Math.min(seen, now);
      this.#peers.setId(peer, id);
    }
  }

  // ------------------------------------------------------------ the inside

  #new(address: PeerAddress, source: string): KnownPeer {
    return newPeer(address, source, this.#options.now());
  }

  #pause(failures: number, pause: Parameters<typeof backoff>[1]): number {
    return backoff(failures, { jitter: JITTER, ...pause }, this.#options.random());
  }

  /** This node itself, or a peer that can be reached under another address. */
  #isElsewhere(address: PeerAddress): boolean {
    const id = this.#aliases.get(formatAddress(address));
    if (id === undefined || this.isFormer(id, address)) return false;
    return id === this.#options.self || this.#peers.withId(id)?.up === true;
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

  /** An id is claimed at another address: that at which it was reached before is tried first. */
  #contest(known: KnownPeer | undefined, address: PeerAddress, holder: KnownPeer): Reached {
    const { now, times } = this.#options;
    holder.nextTry = Math.min(holder.nextTry, now());
    const claim = known ?? this.#peers.add(this.#new(address, groupOf(address.host)));
    if (claim !== undefined) claim.nextTry = now() + this.#pause(1, { base: times.soon });
    return 'contested';
  }

  #failedLately({ lastFailure }: KnownPeer): boolean {
    const { now, times } = this.#options;
    return lastFailure > 0 && now() - lastFailure <= times.connect + times.answer;
  }

  /** Whether few peers were reached later than this one. */
  #isAmongLast({ seen }: KnownPeer): boolean {
    let later = 0;
    for (const peer of this.#peers.allReached()) if (peer.seen > seen) later++;
    return later < LAST_REACHED;
  }

  #saw(peer: KnownPeer, id: PeerId, rtt: number): void {
    const { now, times, onChange } = this.#options;
    peer.seen = now();
    peer.rtt = rtt;
    peer.failures = 0;
    const base = Math.max(times.revisit, this.#peers.reached * times.betweenVisits);
    peer.nextTry = peer.seen + this.#pause(1, { base });
    if (this.#peers.setUp(peer)) onChange?.('up', { id, ...peer.address });
  }
}
