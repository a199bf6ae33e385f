/**
 * What a node does with its peers: dials those it has heard of, keeps links to some, dials back those that
 * come in, tells others of those it has reached. `PeerTable` knows them, `DialQueue` says which is dialled.
 */
import { EventEmitter } from 'node:events';
import { PeerError } from '../errors.js';
import { formatAddress, type PeerAddress } from '../net/address.js';
import type { Connection } from '../net/connection.js';
import { MAX_PEERS, PRIVATE, PROTOCOL_VERSION } from '../wire/limits.js';
import type { ListedPeer, PeerContact, PeerId, PeerInfo } from '../wire/messages.js';
import { InboundPeers, isSameMachine } from './inbound-peers.js';
import { Random } from '../support/random.js';
import type { Link } from './link.js';
import { Links } from './links.js';
import { NamedPeers, resolveHost } from './named.js';
import type { Neighbour, NeighboursOptions, PeerChange } from './neighbours-options.js';
import { NetworkMonitor } from './network-monitor.js';
import { decodePeers, encodePeers } from '../state/saved-peers.js';
import { listPeers } from './peer-list.js';
import { PeerScores, type MisbehaviourStats } from './peer-scores.js';
import type { Misbehaviour } from '../limits/peer-score.js';
import { AddressPolicy, groupOf, interfaceAddresses, literal, scopeOf } from '../net/scope.js';
import { PeerTable } from './table.js';
import { DialQueue } from './dial-queue.js';
import { Reach } from './reach.js';

/** The part of `maxPeers` that this node chooses itself; the rest is for peers that ask for a link. */
const OWN_SHARE = 1 / 4;
const OWN_LEAST = 2;

export class Neighbours extends EventEmitter<{ change: [PeerChange] }> {
  readonly #options: NeighboursOptions;
  readonly #table: PeerTable;
  readonly #policy = new AddressPolicy(interfaceAddresses);
  readonly #random = new Random(Math.random);
  readonly #named: NamedPeers;
  readonly #inbound: InboundPeers;
  readonly #links: Links;
  readonly #queue: DialQueue;
  readonly #reach: Reach;
  readonly #monitor: NetworkMonitor;
  readonly #scores = new PeerScores({
    ban: (peer) => {
      this.#table.ban(peer);
      this.emit('change', { kind: 'banned', ...peer });
    },
    flood: (connection) => {
      this.#options.onFlood(connection);
    },
  });
  readonly #timers = new Set<NodeJS.Timeout>();
  #closed = false;
  #advertised: { host: string | undefined; port: number };

  constructor(options: NeighboursOptions) {
    super();
    this.#options = options;
    const { self, times, named, listening, advertise, discover } = options;
    const random = this.#random;
    this.#monitor = new NetworkMonitor({
      every: times.look,
      onChange: () => {
        this.#table.retryAll();
        for (const link of this.#links) link.check();
        this.#queue.pump();
      },
    });
    const now = (): number => this.#monitor.now();
    this.#table = new PeerTable({
      self,
      times,
      now,
      random: Math.random,
      onChange: (kind, peer) => this.emit('change', { kind, ...peer }),
    });
    this.#named = new NamedPeers(named, this.#table);
    this.#links = this.#makeLinks();
    this.#inbound = new InboundPeers(times);
    const [table, links, inbound] = [this.#table, this.#links, this.#inbound];
    this.#reach = new Reach({
      ...options,
      ...{ table, links, random, now },
      info: () => this.info(),
      linkFor: (address) => {
        const chosen = this.#queue.chooseForLink(address);
        const isIt = chosen?.peer.address === table.at(address)?.address;
        return isIt ? chosen?.direction : undefined;
      },
      learn: discover ? this.#learn : undefined,
    });
    this.#queue = new DialQueue({
      ...{ table, links, inbound, random, times, now },
      attempt: (address, forLink) => this.#reach.attempt(address, forLink),
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

  /** Stop trying, end the links, and keep the table. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#monitor.close();
    this.#reach.close(new PeerError('ERR_CLOSED', 'this node was closed'));
    this.#queue.close();
    for (const timer of this.#timers) clearInterval(timer);
    this.#links.close();
    this.#save();
  }

  // ------------------------------------------------------------ what the node and a search ask

  /** What this node says of itself in PING and its answer. */
  info(): PeerInfo {
    const { self: id, agent, isPrivate } = this.#options;
    const { host, port } = this.#advertised;
    const features = isPrivate ? [PRIVATE] : undefined;
    return { version: PROTOCOL_VERSION, id, port, host, agent, features };
  }

  /** Peers that can be reached. */
  get peers(): Neighbour[] {
    const time = this.#monitor.now();
    return Array.from(this.#table.up(), ({ id, address, seen: at, rtt = 0, isPrivate }) => {
      const link = this.#links.to(address)?.direction;
      const seen = Math.max(0, Math.floor((time - at) / 1000));
      return { id, ...address, seen, rtt, link, ...(isPrivate && { isPrivate }) };
    });
  }

  /** Connections that searches are passed over: one for each peer. */
  links(): Iterable<Link> {
    return this.#links;
  }

  /** Whether a connection that came in is the link of a peer to which there is one: it stays. */
  isLinked(connection: Connection): boolean {
    const id = this.#inbound.get(connection)?.id;
    if (id === undefined) return false;
    const isIt = ({ contact }: Link): boolean => this.#inbound.linkOf(id, contact) === connection;
    return this.#links.withId(id).some(isIt);
  }

  /** Whether searches are passed on to the peer at the other end. */
  isNeighbour(connection: Connection): boolean {
    return this.#links.on(connection) !== undefined || this.isLinked(connection);
  }

  /**
   * The peer at the other end: of a link, or of a connection on which it has proven its id, or has said it and which
   * comes from where that peer was reached. An id that is claimed at several addresses stands with the address.
   */
  keyOf(connection: Connection): string | undefined {
    const contact = this.#contactOf(connection);
    if (contact === undefined) return connection.provenId;
    const isContested = this.#links.withId(contact.id).length > 1;
    return isContested ? `${contact.id} ${formatAddress(contact)}` : contact.id;
  }

  #contactOf(connection: Connection): PeerContact | undefined {
    const link = this.#links.on(connection);
    if (link !== undefined) return link.contact;
    const { provenId } = connection;
    if (provenId !== undefined) {
      const known = this.#table.withId(provenId).find(({ proven }) => proven);
      return known && { id: provenId, ...known.address };
    }
    const peer = this.#inbound.get(connection);
    if (peer === undefined) return undefined;
    const known = this.#table.withId(peer.id);
    const there = known.find(({ address }) => isSameMachine(peer.from, address));
    return there && { id: peer.id, ...there.address };
  }

  /**
   * The peers to which the one at the other end passes searches itself: known from its link, or asked over
   * this connection and remembered for a while. Empty for a client that is no node, or does not answer.
   */
  async peerIdsOf(connection: Connection): Promise<ReadonlySet<PeerId>> {
    const contact = this.#contactOf(connection);
    const link = contact === undefined ? undefined : this.#links.to(contact);
    return link?.peerIds ?? this.#inbound.peerIdsOf(connection);
  }

  /** End the links to peers that may not use this node any more. */
  judgeAgain(): void {
    for (const link of this.#links) {
      if (!this.#options.isAllowed(link.connection.provenId)) this.#links.remove(link);
    }
  }

  /** A peer has connected: what it does wrong is counted. */
  accepted(connection: Connection): void {
    this.#scores.watch(connection);
  }

  /** A peer has done what no honest one does. */
  penalise(connection: Connection, kind: Misbehaviour): void {
    this.#scores.penalise(connection, kind);
  }

  get misbehaviour(): MisbehaviourStats {
    return this.#scores.stats;
  }

  /** The answer to RQLT. */
  list(connection: Connection, max = MAX_PEERS): ListedPeer[] {
    const asker = connection.remoteHost ?? '';
    const askerId =
      connection.provenId ?? (this.#contactOf(connection) ?? this.#inbound.get(connection))?.id;
    const linked = (peer: PeerContact): boolean => this.#links.to(peer) !== undefined;
    // Another address of a peer that has a link is of no more use.
    const isElsewhere = (peer: PeerContact): boolean =>
      !linked(peer) && this.#links.withId(peer.id).length > 0;
    return listPeers(this.#table.up(), {
      max: Math.min(MAX_PEERS, Math.max(1, max)),
      now: this.#monitor.now(),
      fresh: this.#options.times.fresh,
      random: this.#random,
      wanted: (peer) =>
        peer.id !== askerId && !isElsewhere(peer) && this.#policy.mayTell(asker, peer.host),
      first: linked,
    }).map((peer) => ({ ...peer, link: linked(peer) || undefined }));
  }

  /** An address was found by other means than what peers say: it is dialled once. @returns whether it was taken up */
  found(address: PeerAddress, source: string): boolean {
    const isNew = this.#table.hear(address, source, true);
    if (isNew) this.#queue.pump();
    return isNew;
  }

  /** Whether a peer is reached: at this address, or at another under a proven id. */
  isUp({ id, ...address }: PeerContact): boolean {
    const others = this.#table.withId(id).some(({ up, proven }) => up && proven);
    return others || this.#table.at(address)?.up === true;
  }

  /** A peer has connected and sent PING: it is dialled back before it counts for anything. */
  greeted(connection: Connection, { id, port, host, link }: PeerInfo): void {
    const remote = literal(connection.remoteHost ?? '');
    if (id === undefined || port === undefined || remote === undefined) return;
    // What comes on a connection that this node made is nothing new.
    if (id === this.#options.self || this.#links.on(connection) !== undefined) return;
    this.#inbound.set(connection, id, { host: remote, port }, link === true);
    const source = groupOf(remote);
    const said = host === undefined ? undefined : this.#policy.believed(remote, { host, port });
    const back =
      said !== undefined && scopeOf(said.host) === 'loopback'
        ? undefined
        : this.#policy.dialBack(remote, port);
    const isKnown = this.#table.withId(id).some(({ up, address }) => {
      if (!up) return false;
      const isThere = (at: PeerAddress | undefined): boolean =>
        at !== undefined && formatAddress(at) === formatAddress(address);
      return isThere(said) || isThere(back);
    });
    for (const address of isKnown ? [] : [said, back]) {
      if (address === undefined) continue;
      if (address === back || address.host === remote || scopeOf(address.host) === 'loopback')
        this.#table.greet(address, source);
      else this.#table.hear(address, source);
    }
    if (link === true && this.#links.withId(id).length === 0)
      void this.#inbound.peerIdsOf(connection);
    this.#queue.pump();
  }

  // ------------------------------------------------------------ the inside

  #makeLinks(): Links {
    const { times, maxPeers: max, maxPerNetwork: perNetwork, discover } = this.#options;
    const goal = Math.min(max, Math.max(OWN_LEAST, Math.ceil(max * OWN_SHARE)));
    return new Links({
      ...{ max, perNetwork, times },
      // Without discovery those that are known are all that there will be.
      own: discover ? goal : max,
      reserved: discover ? Math.min(goal, max - 1) : 0,
      owner: {
        info: () => this.info(),
        onAnswer: ({ contact }, rtt) => {
          this.#table.seen(contact, rtt);
        },
        onList: ({ contact }, peers) => {
          if (discover) this.#learn(contact, peers);
          this.#queue.pump();
        },
        onEnd: ({ contact, age }, lost) => {
          if (lost) this.#table.lost(contact, age);
          else this.#table.failed(contact);
          this.#queue.pump();
        },
      },
      onChange: (kind, peer) => this.emit('change', { kind, ...peer }),
      onLink: ({ connection, contact }) => {
        this.#scores.watch(connection, contact);
      },
    });
  }

  readonly #learn = ({ host: speaker }: PeerContact, peers: readonly ListedPeer[]): void => {
    for (const { id, host, port } of peers) {
      if (id === this.#options.self) continue;
      const address = this.#policy.believed(speaker, { host, port });
      if (address !== undefined) this.#table.hear(address, groupOf(speaker));
    }
  };

  async #resolve(): Promise<void> {
    const { advertise } = this.#options;
    const [host] = advertise === undefined ? [] : await resolveHost(advertise.host);
    if (advertise !== undefined && host !== undefined) {
      this.#advertised = { host, port: advertise.port };
    }
    await this.#named.refresh();
    this.#queue.pump();
  }

  #save(): void {
    this.#options.store.savePeers(encodePeers(this.#table.save()));
  }

  #every(milliseconds: number, action: () => void): void {
    this.#timers.add(setInterval(action, milliseconds));
  }
}
