/** Which peer of the table is tried next, and when the next one is due. */
import type { PeerAddress } from '../net/address.js';
import { ExpiringMap } from '../limits/expiring-map.js';
import type { Random } from '../support/random.js';
import { isUnverified, type KnownPeer, type KnownPeers } from './known.js';
import type { PeerTimes } from './times.js';

export interface DialOrderOptions {
  peers: KnownPeers;
  random: Random;
  times: PeerTimes;
  /** Milliseconds since 1970; the table's clock. */
  now: () => number;
  /** When an address may be dialled again; 0 when it was never banned. */
  bannedUntil: (address: PeerAddress) => number;
}

/** Dials of one host at unproven ports that may come at once, after a pause. */
const HOST_BURST = 3;
/** Hosts whose last dials are remembered. */
const MAX_HOSTS = 4096;

export class DialOrder {
  readonly #options: DialOrderOptions;
  /** By host, when its dials so far would be over if they had come `hostPause` after one another. */
  readonly #hosts: ExpiringMap<number>;

  constructor(options: DialOrderOptions) {
    this.#options = options;
    const { times, now } = options;
    this.#hosts = new ExpiringMap(MAX_HOSTS, times.hostPause * HOST_BURST, now);
  }

  /** An attempt begins. */
  tried(peer: KnownPeer): void {
    const { times, now } = this.#options;
    const { host } = peer.address;
    peer.lastTry = now();
    if (!isUnverified(peer)) return;
    this.#hosts.set(host, Math.max(this.#hosts.get(host) ?? 0, peer.lastTry) + times.hostPause);
  }

  /**
   * The peer to try now: one that the user named, else one that was reached before, else an unverified
   * one, with the same chance for each source.
   *
   * @param heard whether it may be one that was only heard of
   * @param skip those not to be tried, because they are linked or being tried
   */
  next(heard: boolean, skip: (peer: KnownPeer) => boolean): KnownPeer | undefined {
    const { peers, random, now } = this.#options;
    const time = now();
    const bySource = new Map<string, KnownPeer[]>();
    let best: KnownPeer | undefined;
    for (const peer of peers.all()) {
      if (peer.nextTry > time || skip(peer) || this.#dueAt(peer) > time) continue;
      if (peer.named) return peer;
      if (peer.id !== undefined) {
        if (best === undefined || peer.nextTry < best.nextTry) best = peer;
      } else if (heard) {
        const of = bySource.get(peer.source);
        if (of === undefined) bySource.set(peer.source, [peer]);
        else of.push(peer);
      }
    }
    if (best !== undefined || bySource.size === 0 || !peers.roomForReached) return best;
    return random.pick(random.pick([...bySource.values()]) ?? []);
  }

  /** When the next peer is due, in ms since 1970; Infinity when none is. */
  nextDue(skip: (peer: KnownPeer) => boolean): number {
    const { peers } = this.#options;
    let due = Infinity;
    const more = peers.roomForReached;
    for (const peer of peers.all()) {
      if (peer.nextTry >= due || skip(peer)) continue;
      if (!more && isUnverified(peer)) continue;
      due = Math.min(due, this.#dueAt(peer));
    }
    return due;
  }

  #dueAt(peer: KnownPeer): number {
    const { times, bannedUntil } = this.#options;
    const due = Math.max(peer.nextTry, bannedUntil(peer.address));
    if (!isUnverified(peer)) return due;
    const host = this.#hosts.get(peer.address.host) ?? 0;
    return Math.max(due, host - (HOST_BURST - 1) * times.hostPause);
  }
}
