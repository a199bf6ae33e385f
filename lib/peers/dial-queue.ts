/** Dials peers: so many at a time, those for a link first, each when it is due. */
import { PeerError, systemCode } from '../errors.js';
import { formatAddress, type PeerAddress } from '../net/address.js';
import type { Random } from '../support/random.js';
import type { InboundPeers } from './inbound-peers.js';
import type { KnownPeer, UpPeer } from './known.js';
import type { Direction } from './link.js';
import type { Links } from './links.js';
import { networksOf } from './networks.js';
import type { PeerTable } from './table.js';
import type { PeerTimes } from './times.js';

export interface DialQueueOptions {
  table: PeerTable;
  links: Links;
  inbound: InboundPeers;
  random: Random;
  times: PeerTimes;
  /** Milliseconds since 1970; the table's clock. */
  now: () => number;
  /**
   * Try to reach a peer, and make of it what can be made. Rejects when that fails.
   *
   * @param forLink the link to be made, if it is tried for that
   */
  attempt: (address: PeerAddress, forLink: Direction | undefined) => Promise<void>;
}

/** Peers tried at the same time, and how many of these may be ones that were only heard of. */
const MAX_ATTEMPTS = 8;
const MAX_UNVERIFIED = 6;
/** Errors of connect(2) that say something of this machine's network, and nothing of the peer. */
const OWN_FAULTS = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL']);

export class DialQueue {
  readonly #options: DialQueueOptions;
  /** Peers being tried, by address. */
  readonly #trying = new Set<string>();
  #wake: NodeJS.Timeout | undefined;
  #pumping = false;
  #closed = false;

  constructor(options: DialQueueOptions) {
    this.#options = options;
  }

  /** Try every peer that is due, and come again when the next one is. To be called when anything changes. */
  pump(): void {
    // What is started in here comes back here when it fails at once.
    if (this.#closed || this.#pumping) return;
    this.#pumping = true;
    const { table } = this.#options;
    while (this.#trying.size < MAX_ATTEMPTS) {
      const link = this.chooseForLink();
      const heard = this.#trying.size < MAX_UNVERIFIED;
      const peer = link?.peer ?? table.order.next(heard, this.#skip);
      if (peer === undefined) break;
      void this.#try(peer.address, link?.direction);
    }
    this.#pumping = false;
    // With that many under way, the first to end comes here.
    if (this.#trying.size >= MAX_UNVERIFIED) return;
    clearTimeout(this.#wake);
    this.#wake = setTimeout(
      () => {
        this.pump();
      },
      Math.max(1, Math.min(this.#nextDue(), this.#options.times.ping)),
    );
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#wake);
  }

  /**
   * The peer to which a link shall be made now: one that this node chooses, each network having the same
   * chance, or one that asks for it.
   *
   * @param except counts although it is being tried: it was just reached
   */
  chooseForLink(except?: PeerAddress): { peer: UpPeer; direction: Direction } | undefined {
    const now = this.#options.now();
    const due = this.#candidates(except).filter(({ peer }) => peer.nextLink <= now);
    for (const direction of ['out', 'in'] as const) {
      const candidates = due.filter((candidate) => candidate.direction === direction);
      const chosen = this.#pickByNetwork(candidates.map(({ peer }) => peer));
      if (chosen !== undefined) return { peer: chosen, direction };
    }
    return undefined;
  }

  /** Not tried: peers that are being tried already, and those to which there is a link. */
  readonly #skip = ({ address }: KnownPeer): boolean =>
    this.#trying.has(formatAddress(address)) || this.#options.links.to(address) !== undefined;

  async #try(address: PeerAddress, forLink: Direction | undefined): Promise<void> {
    const { table, attempt, now } = this.#options;
    const key = formatAddress(address);
    const begin = now();
    this.#trying.add(key);
    table.trying(address);
    try {
      await attempt(address, forLink);
    } catch (error) {
      if (!this.#closed) table.failed(address, this.#isOwnFault(error, begin));
    } finally {
      this.#trying.delete(key);
      this.pump();
    }
  }

  /** Whether an attempt failed, or may have failed, because this machine has no network. */
  #isOwnFault(error: unknown, begin: number): boolean {
    if (!(error instanceof PeerError)) return false;
    if (OWN_FAULTS.has(systemCode(error.cause) ?? '')) return true;
    const isTimeout = error.code === 'ERR_TIMED_OUT' || error.code === 'ERR_ABORTED';
    const { table, times } = this.#options;
    return isTimeout && !table.hasAnsweredSince(begin - times.ping);
  }

  /** Peers known to be there, to which a link can be made. */
  #candidates(except?: PeerAddress): { peer: UpPeer; direction: Direction }[] {
    const { table, links, inbound } = this.#options;
    const exceptKey = except === undefined ? undefined : formatAddress(except);
    // The same for all peers of a network, of which there may be hundreds.
    const rooms = new Map<string, boolean>();
    const hasRoom = (address: PeerAddress, direction: Direction): boolean => {
      const key = `${direction} ${networksOf(address).group}`;
      const room = rooms.get(key) ?? links.hasRoom(address, direction);
      rooms.set(key, room);
      return room;
    };
    const candidates: { peer: UpPeer; direction: Direction }[] = [];
    for (const peer of table.up()) {
      const { id, address } = peer;
      if (links.to(address) !== undefined) continue;
      const key = formatAddress(address);
      if (this.#trying.has(key) && key !== exceptKey) continue;
      // Another address of a peer that has a link is not chosen, but linked where it asks for it from there.
      if (links.withId(id).length === 0 && hasRoom(address, 'out'))
        candidates.push({ peer, direction: 'out' });
      else if (inbound.linkOf(id, address) !== undefined && hasRoom(address, 'in')) {
        candidates.push({ peer, direction: 'in' });
      }
    }
    return candidates;
  }

  /** A random one: first of the wider networks, then of the networks in it, then of the peers there. */
  #pickByNetwork(peers: readonly UpPeer[]): UpPeer | undefined {
    const { random } = this.#options;
    let left = peers;
    for (const by of ['wide', 'group'] as const) {
      const networks = new Set(left.map(({ address }) => networksOf(address)[by]));
      const one = random.pick([...networks]);
      left = left.filter(({ address }) => networksOf(address)[by] === one);
    }
    return random.pick(left);
  }

  /** Milliseconds until something can be tried. */
  #nextDue(): number {
    const { table, now } = this.#options;
    const links = this.#candidates().map(({ peer }) => peer.nextLink);
    return Math.min(table.order.nextDue(this.#skip), ...links) - now();
  }
}
