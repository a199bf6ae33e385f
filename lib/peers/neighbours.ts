/**
 * What a node does with its peers: tries those it has heard of, keeps connections to some, dials back
 * those that come in, tells others of what it has reached. `PeerTable` decides whom and when.
 */
import { EventEmitter } from 'node:events';
import { PeerError } from '../errors.js';
import type { PeerAddress } from '../net/address.js';
import type { Connection, RequestHandler } from '../net/connection.js';
import { dialPeer, type Greeted } from '../net/hello.js';
import { MAX_PEERS, PROTOCOL_VERSION } from '../wire/limits.js';
import type { ListedPeer, PeerContact, PeerId, PeerInfo } from '../wire/messages.js';
import { InboundPeers } from './inbound-peers.js';
import { Random } from '../support/random.js';
import { isUp } from './known.js';
import type { Direction, Link } from './link.js';
import { Links } from './links.js';
import { NamedPeers, resolveHost } from './named.js';
import { decodePeers, encodePeers } from '../state/saved-peers.js';
import { PeerScores, type OffenceStats } from './peer-scores.js';
import type { Offence } from '../limits/peer-score.js';
import { AddressPolicy, groupOf, interfaceAddresses, literal, scopeOf } from '../net/scope.js';
import { PeerTable } from './table.js';
import type { PeerTimes } from './times.js';
import { DialQueue } from './dial-queue.js';

export interface NeighboursOptions {
  self: PeerId;
  /** Where this node listens. */
  listening: PeerAddress;
  /** Where it wants to be reached, if not there. */
  advertise?: PeerAddress | undefined;
  /** Program and version, for people. */
  agent: string;
  /** Peers that the user named. */
  named: readonly PeerAddress[];
  /** Connections to peers that are kept, whoever made them. */
  maxPeers: number;
  /** Whether peers are learned from the lists of others. */
  discover: boolean;
  times: PeerTimes;
  /** Milliseconds without a byte from a peer that owes an answer, until its connection is ended. */
  answerTimeout: number;
  stallTimeout: number;
  /** Answers requests that peers send on connections that this node made. */
  handler: RequestHandler;
  /** A connection ends because it floods this node. */
  onFlood: (connection: Connection) => void;
  onInternalError: (error: Error) => void;
  /** The table of the last run, and where to keep this one's. */
  store: { loadPeers(): Uint8Array | undefined; savePeers(bytes: Uint8Array): void };
}

/** A peer that this node can reach. */
export interface Neighbour extends PeerContact {
  /** Seconds since it was last reached. */
  seen: number;
  /** Milliseconds that its last answer to PING took. */
  rtt: number;
  /** Who made the connection that is kept to it, if one is. */
  link: Direction | undefined;
}

/**
 * What has become of a peer: it can be reached (no more); a connection to it is kept (no more); it did what
 * no honest peer does, and is not dialled for a while.
 */
export interface PeerChange extends PeerContact {
  kind: 'up' | 'down' | 'linked' | 'unlinked' | 'banned';
}

/** Connections this node makes for itself; the rest of `maxPeers` is for those that come in. */
const OWN_SHARE = 1 / 4;
const OWN_LEAST = 2;

export class Neighbours extends EventEmitter<{ change: [PeerChange] }> {
  readonly #options: NeighboursOptions;
  readonly #table: PeerTable;
  readonly #policy: AddressPolicy;
  readonly #named: NamedPeers;
  readonly #callers: InboundPeers;
  readonly #dice = new Random(Math.random);
  readonly #links: Links;
  readonly #tries: DialQueue;
  readonly #scores = new PeerScores({
    ban: (peer) => {
      this.#table.ban(peer);
      this.emit('change', { kind: 'banned', ...peer });
    },
    flood: (connection) => {
      this.#options.onFlood(connection);
    },
  });
  readonly #end = new AbortController();
  readonly #timers = new Set<NodeJS.Timeout>();
  #advertised: { host: string | undefined; port: number };

  constructor(options: NeighboursOptions) {
    super();
    this.#options = options;
    const { self, times, named, listening, advertise, maxPeers, discover } = options;
    this.#table = new PeerTable({
      self,
      times,
      now,
      random: Math.random,
      onChange: (kind, peer) => this.emit('change', { kind, ...peer }),
    });
    this.#policy = new AddressPolicy(interfaceAddresses);
    this.#named = new NamedPeers(named, this.#table);
    const goal = Math.max(OWN_LEAST, Math.ceil(maxPeers * OWN_SHARE));
    this.#links = new Links({
      max: maxPeers,
      // Without discovery those that are known are all that there will be.
      own: discover ? Math.min(goal, maxPeers) : maxPeers,
      times,
      owner: {
        info: () => this.info(),
        onAnswer: ({ id }, rtt) => {
          this.#table.seen(id, rtt);
        },
        onList: ({ contact }, peers) => {
          this.#learn(contact, peers);
          this.#tries.pump();
        },
        onEnd: ({ contact }, lost) => {
          if (lost) this.#table.lost(contact.id);
          else this.#table.failed(contact);
          this.#tries.pump();
        },
      },
      onChange: (kind, peer) => this.emit('change', { kind, ...peer }),
      onLink: ({ connection, contact, direction }) => {
        this.#scores.watch(connection, direction === 'out' ? contact : undefined);
      },
    });
    this.#callers = new InboundPeers(times);
    this.#tries = new DialQueue({
      table: this.#table,
      links: this.#links,
      dice: this.#dice,
      times,
      now,
      attempt: (address) => this.#attempt(address),
    });
    const { host, port } = advertise ?? listening;
    // A wildcard says nothing; a name must be looked up first.
    this.#advertised = { host: scopeOf(host) === undefined ? undefined : literal(host), port };
  }

  /** Read the table of the last run and begin. */
  start(): void {
    const { store, times } = this.#options;
    try {
      const bytes = store.loadPeers();
      if (bytes !== undefined) this.#table.restore(decodePeers(bytes));
    } catch (error) {
      // Nothing is lost that cannot be learned again.
      this.#options.onInternalError(error as Error);
    }
    this.#every(times.save, () => {
      this.#save();
    });
    this.#every(times.resolve, () => {
      void this.#resolve();
    });
    // First of all names are looked up: what is said of this node depends on one of them.
    void this.#resolve();
  }

  /** Stop trying, end the connections that this node made, and keep the table. */
  close(): void {
    if (this.#end.signal.aborted) return;
    this.#end.abort(new PeerError('ERR_CLOSED', 'this node was closed'));
    this.#tries.close();
    for (const timer of this.#timers) clearInterval(timer);
    this.#links.close();
    this.#save();
  }

  // ------------------------------------------------------------ what the node and a search ask

  /** What this node says of itself in PING and its answer. */
  info(): PeerInfo {
    const { self: id, agent } = this.#options;
    const { host, port } = this.#advertised;
    return { version: PROTOCOL_VERSION, id, port, host, agent };
  }

  /** Peers that can be reached. */
  get peers(): Neighbour[] {
    const time = now();
    return Array.from(this.#table.up(), ({ id, address, seen, rtt = 0 }) => {
      const link = this.#links.to(id)?.direction;
      return { id, ...address, seen: Math.max(0, Math.floor((time - seen) / 1000)), rtt, link };
    });
  }

  /** Connections that searches are passed over: one for each peer, of either direction. */
  links(): Iterable<Link> {
    return this.#links;
  }

  /** Whether this connection is kept for searches. */
  isLinked(connection: Connection): boolean {
    return this.#links.on(connection) !== undefined;
  }

  /** Who is at the other end: of a link, or of a connection whose PING said so. A claim. */
  idOf(connection: Connection): PeerId | undefined {
    return this.#links.on(connection)?.id ?? this.#callers.idOf(connection);
  }

  /**
   * To whom the peer at the other end of a connection passes searches itself: known from its link, or
   * asked over this connection and remembered for a while. Empty for who is not a node, or does not
   * answer.
   */
  async peerIdsOf(connection: Connection): Promise<ReadonlySet<PeerId>> {
    const id = this.idOf(connection);
    const link = this.#links.on(connection) ?? (id === undefined ? undefined : this.#links.to(id));
    return link?.peerIds ?? this.#callers.peerIdsOf(connection);
  }

  /** A peer has connected: what it does wrong is counted. */
  accepted(connection: Connection): void {
    this.#scores.watch(connection);
  }

  /** A peer has done what no honest one does. */
  offends(connection: Connection, offence: Offence): void {
    this.#scores.offends(connection, offence);
  }

  get offences(): OffenceStats {
    return this.#scores.stats;
  }

  /** The answer to RQLT. */
  list(connection: Connection, max = MAX_PEERS): ListedPeer[] {
    const asker = connection.remoteHost ?? '';
    const askerId = this.idOf(connection);
    const linked = ({ id }: PeerContact): boolean => this.#links.to(id) !== undefined;
    return this.#table
      .list(
        Math.min(MAX_PEERS, Math.max(1, max)),
        ({ id, host }) => id !== askerId && this.#policy.mayTell(asker, host),
        linked,
      )
      .map((peer) => ({ ...peer, link: linked(peer) || undefined }));
  }

  /** A peer has connected and sent PING: it is dialled back before it counts for anything. */
  greeted(connection: Connection, { id, port, host, link }: PeerInfo): void {
    const remote = literal(connection.remoteHost ?? '');
    if (id === undefined || port === undefined || remote === undefined) return;
    // What comes on a connection that this node made is nothing new.
    if (id === this.#options.self || this.#links.on(connection)?.direction === 'out') return;
    this.#callers.set(connection, id, remote, link === true);
    const said = host === undefined ? undefined : this.#policy.believed(remote, { host, port });
    const source = groupOf(remote);
    const known = this.#table.withId(id)?.up === true;
    if (said !== undefined && !known) {
      if (said.host === remote || scopeOf(said.host) === 'loopback')
        this.#table.greet(said, source);
      else this.#table.hear(said, source);
    }
    if (!known && (said === undefined || scopeOf(said.host) !== 'loopback')) {
      const back = this.#policy.dialBack(remote, port);
      if (back !== undefined) this.#table.greet(back, source);
    }
    this.#adopt(id);
    if (link === true && this.#links.to(id) === undefined) void this.#callers.peerIdsOf(connection);
    this.#tries.pump();
  }

  // ------------------------------------------------------------ reaching peers

  async #attempt(address: PeerAddress): Promise<void> {
    const { connection, pong, rtt } = await this.#greet(address);
    const { id } = pong.info;
    if (id === undefined || this.#end.signal.aborted) {
      connection.destroy();
      throw new PeerError('ERR_NOT_A_PEER', `${connection.name} has no id`);
    }
    const before = this.#table.withId(id)?.up === true;
    if (this.#table.reached(address, id, rtt) === 'kept') {
      await this.#use({ id, ...address }, connection, before);
    } else {
      connection.destroy();
    }
  }

  async #greet(address: PeerAddress): Promise<Greeted> {
    const { times, answerTimeout, stallTimeout, handler, onInternalError } = this.#options;
    const limit = new AbortController();
    const timer = setTimeout(() => {
      limit.abort();
    }, times.connect + times.answer);
    const onEnd = (): void => {
      limit.abort();
    };
    this.#end.signal.addEventListener('abort', onEnd, { once: true });
    try {
      return await dialPeer(
        address,
        {
          connectTimeout: times.connect,
          answerTimeout,
          stallTimeout,
          signal: limit.signal,
          handler,
          onInternalError,
        },
        this.info(),
      );
    } finally {
      clearTimeout(timer);
      this.#end.signal.removeEventListener('abort', onEnd);
    }
  }

  /** A peer has been reached: keep the connection, or learn from it and end it. */
  async #use(contact: PeerContact, connection: Connection, before: boolean): Promise<void> {
    const { id } = contact;
    this.#adopt(id);
    const named = this.#table.withId(id)?.named === true;
    if (this.#links.to(id) === undefined && (named ? this.#makeRoom() : this.#links.wanted)) {
      this.#links.add(contact, connection, 'out');
      return;
    }
    try {
      // Those visited again and again are asked only once: the links are asked all the time.
      if (before || !this.#options.discover) return;
      const limit = AbortSignal.timeout(this.#options.times.answer);
      this.#learn(contact, (await connection.request({ type: 'RQLT' }, limit)).peers);
    } finally {
      connection.destroy();
    }
  }

  /** Room for a peer that the user named, if need be at the cost of another. */
  #makeRoom(): boolean {
    if (!this.#links.full) return true;
    const others = [...this.#links].filter(({ id }) => this.#table.withId(id)?.named !== true);
    const victim = this.#dice.pick(others);
    if (victim !== undefined) this.#links.remove(victim);
    return victim !== undefined;
  }

  #learn({ host: speaker }: PeerContact, peers: readonly ListedPeer[]): void {
    if (!this.#options.discover) return;
    for (const { id, host, port } of peers) {
      if (id === this.#options.self || this.#table.withId(id)?.up === true) continue;
      const address = this.#policy.believed(speaker, { host, port });
      if (address !== undefined) this.#table.hear(address, groupOf(speaker));
    }
  }

  /** Use a connection that a peer has made, once it has been reached. */
  #adopt(id: PeerId): void {
    const peer = this.#table.withId(id);
    if (peer === undefined || !isUp(peer)) return;
    if (this.#links.full || this.#links.to(id) !== undefined) return;
    const connection = this.#callers.linkOf(id, peer.address);
    if (connection !== undefined) this.#links.add({ id, ...peer.address }, connection, 'in');
  }

  async #resolve(): Promise<void> {
    const { advertise } = this.#options;
    const [host] = advertise === undefined ? [] : await resolveHost(advertise.host);
    if (advertise !== undefined && host !== undefined) {
      this.#advertised = { host, port: advertise.port };
    }
    await this.#named.refresh();
    this.#tries.pump();
  }

  #save(): void {
    this.#options.store.savePeers(encodePeers(this.#table.save()));
  }

  #every(milliseconds: number, action: () => void): void {
    this.#timers.add(setInterval(action, milliseconds));
  }
}

/** Milliseconds since 1970 by a clock that never goes back. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
