/** Which peer of the table is tried next, and when the next one is due. */
import type { PeerAddress } from '../net/address.js';
import { HOST_DIALS, KeyedRateLimit } from '../limits/keyed-rate-limit.js';
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

export class DialOrder {
  readonly #options: DialOrderOptions;
  readonly #hosts: KeyedRateLimit;

  constructor(options: DialOrderOptions) {
    this.#options = options;
    const { times, now } = options;
    this.#hosts = new KeyedRateLimit({ ...HOST_DIALS, rate: 1000 / times.hostPause }, now);
  }

  /** An attempt begins. */
  tried(peer: KnownPeer): void {
    peer.lastTry = this.#options.now();
    if (isUnverified(peer)) this.#hosts.count(peer.address.host);
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
    const due = Math.max(peer.nextTry, this.#options.bannedUntil(peer.address));
    return isUnverified(peer) ? Math.max(due, this.#hosts.dueAt(peer.address.host)) : due;
  }
}
