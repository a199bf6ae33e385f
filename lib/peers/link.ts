/**
 * A connection to a peer that is kept, to pass searches over: PING tells whether the peer is still there,
 * RQLT which peers it knows. This node has made the connection itself, to the peer's address: on an
 * inbound connection a peer can claim any id.
 */
import { PeerError } from '../errors.js';
import type { Connection } from '../net/connection.js';
import type { ListedPeer, PeerContact, PeerId, PeerInfo } from '../wire/messages.js';
import type { PeerTimes } from './times.js';

/** Which side wanted the link: this node chose the peer, or the peer asked for it. */
export type Direction = 'out' | 'in';

export interface LinkTo {
  /** The peer, at the address at which this node has reached it. */
  readonly contact: PeerContact;
  readonly connection: Connection;
  readonly direction: Direction;
  /** The user named the peer. */
  readonly isNamed: boolean;
  /** It is there for some peers alone. */
  readonly isPrivate: boolean;
}

export interface LinkOwner {
  /** What to say of this node. */
  info(): PeerInfo;
  /** The peer is there; its answer took `rtt` milliseconds. */
  onAnswer(link: Link, rtt: number): void;
  onList(link: Link, peers: readonly ListedPeer[]): void;
  /** The link has ended by itself. `lost`: the connection is gone; else the peer did not answer. */
  onEnd(link: Link, lost: boolean): void;
}

export class Link implements LinkTo {
  readonly contact: PeerContact;
  readonly connection: Connection;
  readonly direction: Direction;
  readonly isNamed: boolean;
  readonly isPrivate: boolean;
  readonly #since = performance.now();
  readonly #times: PeerTimes;
  readonly #owner: LinkOwner;
  #peerIds: ReadonlySet<PeerId> = new Set();
  #pingTimer: NodeJS.Timeout | undefined;
  #listTimer: NodeJS.Timeout | undefined;
  #nextList: number;
  #ended = false;

  constructor(to: LinkTo, times: PeerTimes, owner: LinkOwner) {
    this.contact = to.contact;
    this.connection = to.connection;
    this.direction = to.direction;
    this.isNamed = to.isNamed;
    this.isPrivate = to.isPrivate;
    this.#times = times;
    this.#owner = owner;
    this.#nextList = times.firstList;
  }

  get id(): PeerId {
    return this.contact.id;
  }

  /** Milliseconds since it was made. */
  get age(): number {
    return performance.now() - this.#since;
  }

  /** The peers to which the one at the other end passes searches, when it was last asked. */
  get peerIds(): ReadonlySet<PeerId> {
    return this.#peerIds;
  }

  start(): void {
    this.connection.closed.addEventListener('abort', this.#onClosed, { once: true });
    if (this.connection.closed.aborted) {
      this.#onClosed();
      return;
    }
    void this.#ping();
    void this.#list();
  }

  /** Look at once whether the peer is still there. */
  check(): void {
    if (this.#ended || this.#pingTimer === undefined) return;
    clearTimeout(this.#pingTimer);
    this.#pingTimer = undefined;
    void this.#ping();
  }

  /** Give the link up, and end its connection. */
  stop(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#listTimer);
    this.connection.closed.removeEventListener('abort', this.#onClosed);
    this.connection.destroy();
  }

  readonly #onClosed = (): void => {
    this.#fail(true);
  };

  async #ping(): Promise<void> {
    const begin = performance.now();
    const { id } = this.contact;
    try {
      const ping = { type: 'PING', info: { ...this.#owner.info(), link: true } } as const;
      const { info } = await this.connection.request(ping, AbortSignal.timeout(this.#times.answer));
      if (info.id !== id) throw new PeerError('ERR_CHANGED', 'another peer answers');
    } catch (error) {
      // A connection that ends fails its requests before it is closed.
      this.#fail(error instanceof PeerError && error.code === 'ERR_CLOSED');
      return;
    }
    if (this.#ended) return;
    this.#owner.onAnswer(this, performance.now() - begin);
    this.#pingTimer = setTimeout(() => {
      this.#pingTimer = undefined;
      void this.#ping();
    }, this.#times.ping);
  }

  async #list(): Promise<void> {
    try {
      const { peers } = await this.connection.request(
        { type: 'RQLT' },
        AbortSignal.timeout(this.#times.answer),
      );
      if (this.#ended) return;
      this.#peerIds = linkedIds(peers);
      this.#owner.onList(this, peers);
    } catch {
      // Whether the peer is still there is for PING to say.
    }
    if (this.#ended) return;
    // Often at the beginning: a network that is just starting changes fast.
    this.#listTimer = setTimeout(() => {
      void this.#list();
    }, this.#nextList);
    this.#nextList = Math.min(this.#times.list, this.#nextList * 2);
  }

  #fail(lost: boolean): void {
    if (this.#ended) return;
    this.stop();
    this.#owner.onEnd(this, lost);
  }
}

/** The peers in a list to which its sender passes searches. */
export function linkedIds(peers: readonly ListedPeer[]): ReadonlySet<PeerId> {
  return new Set(peers.filter(({ link }) => link === true).map(({ id }) => id));
}
