/**
 * The peers a node knows, by address: what it has heard of, what it has reached itself, when to try
 * each next. Bounded in all and per source. No sockets, no clock of its own, no disk.
 */
import { formatAddress, type PeerAddress } from '../net/address.js';
import type { PeerContact, PeerId } from '../wire/messages.js';
import { Blocklist } from '../limits/blocklist.js';
import { Random } from '../support/random.js';
import { KnownPeers, isUp, newPeer, type KnownPeer, type UpPeer } from './known.js';
import { ExpiringMap } from '../limits/expiring-map.js';
import { groupOf, literal, scopeOf } from '../net/scope.js';
import type { SavedPeer } from '../state/saved-peers.js';
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
const STORE = 'store';
const MAX_PEERS = 1000;
/** Dropped peers, other addresses of peers, and own addresses that are remembered. */
const MAX_REMEMBERED = 4096;
/** A ban is at most so many times as long as the first. */
const MAX_BAN_FACTOR = 16;

export class PeerTable {
  readonly #options: TableOptions;
  readonly #dice: Random;
  readonly #peers: KnownPeers;
  /** Dropped peers, and when each was last tried. */
  readonly #dropped: ExpiringMap<number>;
  /** Other addresses of peers, and whose. */
  readonly #aliases: ExpiringMap<PeerId>;
  readonly #bans: Blocklist;

  constructor(options: TableOptions) {
    const { times, now, random, max = MAX_PEERS, onChange } = options;
    this.#options = options;
    this.#dice = new Random(random);
    this.#peers = new KnownPeers(max, this.#dice, (peer) => onChange?.('down', peer));
    this.#dropped = new ExpiringMap(MAX_REMEMBERED, times.dropped, now);
    this.#aliases = new ExpiringMap(MAX_REMEMBERED, times.alias, now);
    const first = times.banned;
    this.#bans = new Blocklist({ first, longest: first * MAX_BAN_FACTOR, now });
  }

  /** Peers known in any way. */
  get size(): number {
    return this.#peers.size;
  }

  /** Things remembered of peers that are not in the table. */
  get remembered(): number {
    return this.#dropped.size + this.#aliases.size + this.#bans.size;
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
   * @param source who speaks: `groupOf` its address
   * @returns whether it was taken up
   */
  hear(address: PeerAddress, source: string): boolean {
    if (this.#peers.isFull(source)) return false;
    const key = formatAddress(address);
    if (this.#peers.at(address) !== undefined) return false;
    if (this.#isElsewhere(address) || this.#dropped.has(key) || this.isBanned(address))
      return false;
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
    if (known !== undefined) known.lastTry = this.#options.now();
  }

  /**
   * A peer has answered at an address.
   *
   * @param rtt milliseconds that its answer took
   */
  reached(address: PeerAddress, id: PeerId, rtt: number): Reached {
    const { self } = this.#options;
    // It was banned while it was dialled.
    if (this.isBanned(address)) return 'full';
    const known = this.#peers.at(address);
    const first = this.#peers.withId(id);
    if (id === self || (first?.up === true && first !== known)) {
      if (known !== undefined) this.#peers.delete(known);
      this.#aliases.set(formatAddress(address), id);
      return id === self ? 'self' : 'alias';
    }
    if (first === undefined && known?.named !== true && !this.#peers.roomFor(address)) {
      if (known !== undefined) this.#peers.delete(known);
      return 'full';
    }
    // The address that works takes the place of one that does not.
    if (first !== undefined && first !== known) {
      this.#peers.delete(first);
      this.#aliases.set(formatAddress(first.address), id);
    }
    const peer = known ?? this.#new(address, groupOf(address.host));
    this.#peers.setId(peer, id);
    this.#dropped.delete(formatAddress(address));
    this.#saw(peer, id, rtt);
    return 'kept';
  }

  /** A peer to which there is a link has answered. */
  seen(id: PeerId, rtt: number): void {
    const peer = this.#peers.withId(id);
    if (peer !== undefined) this.#saw(peer, id, rtt);
  }

  /** The link to a peer was lost: nothing is known of it until it is tried, soon. */
  lost(id: PeerId): void {
    const peer = this.#peers.withId(id);
    if (peer === undefined) return;
    const { now, times } = this.#options;
    peer.nextTry = Math.min(peer.nextTry, now() + this.#dice.around(times.soon));
  }

  /** An attempt to reach a peer, or to have an answer of it, has failed. */
  failed(address: PeerAddress): void {
    const peer = this.#peers.at(address);
    if (peer === undefined) return;
    const { now, times } = this.#options;
    peer.failures++;
    this.#peers.setDown(peer);
    const pause = peer.named
      ? Math.min(times.namedPause, times.soon * 2 ** Math.min(peer.failures - 1, 30))
      : times.pauses[peer.failures - 1];
    if (pause !== undefined) {
      peer.nextTry = now() + this.#dice.around(pause);
      return;
    }
    this.#peers.delete(peer);
    this.#dropped.set(formatAddress(address), peer.lastTry);
  }

  /** The peer at an address did what no honest one does: it is not dialled for a while. */
  ban(address: PeerAddress): void {
    this.#bans.add(...banKey(address));
    const peer = this.#peers.at(address);
    if (peer === undefined) return;
    // What the user named stays in the table, and is tried again afterwards.
    if (peer.named) this.#peers.setDown(peer);
    else this.#peers.delete(peer);
  }

  isBanned(address: PeerAddress): boolean {
    return this.#bans.has(...banKey(address));
  }

  // ------------------------------------------------------------ what is asked

  /**
   * The peer to try now: one that the user named, else one that was reached before, else any that was
   * heard of, each source having the same chance.
   *
   * @param heard whether it may be one that was only heard of
   * @param skip those not to be tried, because they are linked or being tried
   */
  next(heard: boolean, skip: (peer: KnownPeer) => boolean): KnownPeer | undefined {
    const now = this.#options.now();
    const bySource = new Map<string, KnownPeer[]>();
    let best: KnownPeer | undefined;
    for (const peer of this.#peers.all()) {
      if (peer.nextTry > now || skip(peer) || this.isBanned(peer.address)) continue;
      if (peer.named) return peer;
      if (peer.id !== undefined) {
        if (best === undefined || peer.nextTry < best.nextTry) best = peer;
      } else if (heard) {
        const of = bySource.get(peer.source);
        if (of === undefined) bySource.set(peer.source, [peer]);
        else of.push(peer);
      }
    }
    if (best !== undefined || !this.#peers.roomForReached) return best;
    return this.#dice.pick(this.#dice.pick([...bySource.values()]) ?? []);
  }

  /** When the next peer is due, in ms since 1970; Infinity when none is. */
  nextDue(skip: (peer: KnownPeer) => boolean): number {
    let due = Infinity;
    const more = this.#peers.roomForReached;
    for (const peer of this.#peers.all()) {
      if (peer.nextTry >= due || skip(peer)) continue;
      if (!more && !peer.named && peer.id === undefined) continue;
      due = Math.min(due, Math.max(peer.nextTry, this.#bans.until(...banKey(peer.address))));
    }
    return due;
  }

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
    const chosen = this.#dice.choose(before, max);
    return [...chosen, ...this.#dice.choose(others, max - chosen.length)];
  }

  /** What is kept over a restart: peers reached by this node, the latest first. */
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
      if (scopeOf(host) === undefined || port === 0) continue;
      if (this.#peers.at(address) !== undefined || this.#peers.withId(id) !== undefined) continue;
      if (id === this.#options.self) continue;
      const peer = this.#new(address, STORE);
      peer.seen = Math.min(seen, now);
      this.#peers.setId(peer, id);
    }
  }

  // ------------------------------------------------------------ the inside

  #new(address: PeerAddress, source: string): KnownPeer {
    return newPeer(address, source, this.#options.now());
  }

  /** This node itself, or a peer that can be reached under another address. */
  #isElsewhere(address: PeerAddress): boolean {
    const id = this.#aliases.get(formatAddress(address));
    if (id === undefined) return false;
    return id === this.#options.self || this.#peers.withId(id)?.up === true;
  }

  #saw(peer: KnownPeer, id: PeerId, rtt: number): void {
    const { now, times, onChange } = this.#options;
    const wasUp = peer.up;
    peer.up = true;
    peer.seen = now();
    peer.rtt = rtt;
    peer.failures = 0;
    const pause = Math.max(times.revisit, this.#peers.reached * times.betweenVisits);
    peer.nextTry = peer.seen + this.#dice.around(pause);
    if (!wasUp) onChange?.('up', { id, ...peer.address });
  }
}

/** What is banned with an address: on loopback all peers have the same host, elsewhere three make one. */
function banKey(address: PeerAddress): [key: string, group: string | undefined] {
  const { host } = address;
  return [formatAddress(address), scopeOf(host) === 'loopback' ? undefined : host];
}
