/**
 * A node's side of the network: the port it listens on, the connections it accepted, its neighbours,
 * and the searches that pass through it.
 */
import { once } from 'node:events';
import { PeerError, asError } from './errors.js';
import { AllowList, parseId } from './limits/allow-list.js';
import { RequestQuota } from './limits/request-quota.js';
import { ByteBudget } from './limits/byte-budget.js';
import { parseAddress, type PeerAddress } from './net/address.js';
import type { ConnectionOptions } from './net/connection.js';
import type { HttpServer } from './http/server.js';
import { InboundConnections } from './net/inbound-connections.js';
import { Listener } from './net/listener.js';
import { clientOf } from './net/scope.js';
import type { TlsServer } from './net/tls/server.js';
import type { Settings } from './options.js';
import { Discovery } from './discovery/discovery.js';
import type { Identity } from './state/identity.js';
import { Neighbours } from './peers/neighbours.js';
import type { PeerChange } from './peers/neighbours-options.js';
import type { PeerTimes } from './peers/times.js';
import { answerRequests, ownMatches } from './requests.js';
import { NodeSearch } from './search/node-search.js';
import type { Uploads } from './serve/uploads.js';
import type { Share } from './share/share.js';
import { AGENT } from './support/version.js';
import type { PeerContact, PeerId } from './wire/messages.js';

export interface NetworkOptions {
  readonly settings: Settings;
  readonly times: PeerTimes;
  readonly share: Share;
  readonly uploads: Uploads;
  /** Connections of others at once. */
  readonly maxConnections: number;
  readonly onPeer: (change: PeerChange) => void;
  /** What the user should know. */
  readonly onWarning: (reason: string) => void;
  /** @param path where it came up */
  readonly onInternalError: (path: string, error: Error) => void;
}

/** Of all connections: what one client may have, and what may be open without having been answered. */
const CLIENT_SHARE = 1 / 4;

/** What those are told that may not use the node. */
const NEEDS_TLS = 'this peer is there for some peers alone, which prove who they are with TLS';
const NOT_ALLOWED = 'this peer is there for some peers alone';

/** The name under which the peer table is kept beside the index. */
const PEERS_NOTE = 'peers';

export class Network {
  readonly #options: NetworkOptions;
  /** What all connections share, whichever side has made them. */
  readonly #shared: Required<Pick<ConnectionOptions, 'handler' | 'quota' | 'sendBudget'>>;
  readonly #connections: InboundConnections;
  #identity: Identity | undefined;
  /** Undefined: everybody may use this node. */
  #allowed: AllowList | undefined;
  #tls: Promise<TlsServer> | undefined;
  #http: Promise<HttpServer> | undefined;
  #listener: Listener | undefined;
  #neighbours: Neighbours | undefined;
  #searches: NodeSearch | undefined;
  #discovery: Discovery | undefined;
  /** Transfers may end, and nothing else is waited for any more. */
  #finishing = false;

  constructor(options: NetworkOptions) {
    this.#options = options;
    const handler = answerRequests({
      share: options.share,
      uploads: options.uploads,
      neighbours: () => this.#neighbours,
      searches: () => this.#searches,
      isFinishing: () => this.#finishing,
    });
    this.#shared = { handler, quota: new RequestQuota(), sendBudget: new ByteBudget() };
    this.#connections = this.#makeConnections(options.maxConnections);
  }

  /** Where it listens; undefined before it does. */
  get address(): PeerAddress | undefined {
    return this.#listener?.address;
  }
  get neighbours(): Neighbours | undefined {
    return this.#neighbours;
  }
  get searches(): NodeSearch | undefined {
    return this.#searches;
  }
  get stats(): InboundConnections['stats'] {
    return this.#connections.stats;
  }

  /** Accept connections. @throws PeerError ERR_USAGE when the port cannot be used */
  async listen(self: Identity): Promise<PeerAddress> {
    this.#identity = self;
    const { allow: ids = [], allowFile: file } = this.#options.settings;
    if (this.#isPrivate) {
      this.#allowed = await AllowList.open({
        ...{ ids: ids.map(parseId), file },
        onWarning: this.#options.onWarning,
        onChange: () => {
          this.#connections.judgeAgain();
          this.#neighbours?.judgeAgain();
        },
      });
    }
    const { host, port } = this.#options.settings;
    const { accept, shed } = this.#connections;
    const callbacks = { onSocket: accept, onShortage: shed };
    this.#listener = await Listener.open({ host, port }, callbacks);
    const { address } = this.#listener;
    this.#neighbours = this.#makeNeighbours(self, address);
    this.#searches = this.#makeSearches(this.#neighbours, { id: self.id, ...address });
    this.#discovery = this.#makeDiscovery(this.#neighbours, { id: self.id, ...address });
    return address;
  }

  /** Look for peers, and dial those that are known. */
  async start(): Promise<void> {
    this.#neighbours?.start();
    await this.#discovery?.start();
  }

  /**
   * No new connections, and let transfers end. Resolves when what they sent has arrived, or the signal is
   * aborted.
   */
  async finish(signal: AbortSignal): Promise<void> {
    const { uploads } = this.#options;
    void this.#listener?.close();
    void this.#discovery?.close();
    this.#finishing = true;
    uploads.finish();
    const last = [...uploads.connections];
    // Connections that this node made end with them: unless a peer fetches over one.
    if (last.every((connection) => this.#connections.has(connection))) this.#neighbours?.close();
    for (const connection of this.#connections.connections) {
      if (!uploads.has(connection)) connection.end();
    }
    await Promise.race([
      aborted(signal),
      // A connection closed while the other side still sends would take along what is on its way.
      Promise.all(last.map(({ closed }) => aborted(closed))),
    ]);
  }

  /** End all connections. Resolves when they have ended. */
  async close(): Promise<void> {
    this.#allowed?.close();
    const ended = this.#listener?.close();
    const goodbye = this.#discovery?.close();
    this.#searches?.close();
    this.#neighbours?.close();
    this.#connections.close(new PeerError('ERR_CLOSED', 'this node was closed'));
    (await this.#http?.catch(() => undefined))?.close();
    await Promise.all([ended, goodbye]);
  }

  #makeConnections(total: number): InboundConnections {
    const { maxPerClient, maxPending } = this.#options.settings;
    const part = Math.ceil(total * CLIENT_SHARE);
    return new InboundConnections({
      ...this.#options.settings,
      ...this.#shared,
      tls: () => (this.#tls ??= this.#loadTls()),
      http: this.#options.settings.http
        ? async () => (await (this.#http ??= this.#loadHttp())).accept
        : undefined,
      limits: { total, perClient: maxPerClient ?? part, pending: maxPending ?? part },
      clientOf,
      blockFor: this.#options.times.blocked,
      refusal: (provenId) => {
        if (this.#isAllowed(provenId)) return undefined;
        return provenId === undefined ? NEEDS_TLS : NOT_ALLOWED;
      },
      isKept: (connection) => this.#neighbours?.isLinked(connection) === true,
      onAccept: (connection) => {
        this.#neighbours?.accepted(connection);
      },
      onInternalError: (error, name) => {
        this.#options.onInternalError(name, error);
      },
    });
  }

  async #loadTls(): Promise<TlsServer> {
    const { TlsServer } = await import('./net/tls/server.js');
    if (this.#identity === undefined) throw new TypeError('it listens');
    return new TlsServer(this.#identity.privateKey);
  }

  async #loadHttp(): Promise<HttpServer> {
    const { makeHttpServer } = await import('./http-server.js');
    const { share, uploads, settings, onInternalError } = this.#options;
    const [neighbours, searches] = [this.#neighbours, this.#searches];
    const [id, listening] = [this.#identity?.id, this.address];
    if (neighbours === undefined || searches === undefined || id === undefined || !listening) {
      throw new TypeError('it listens');
    }
    return makeHttpServer({
      ...{ settings, id, listening, share, uploads, neighbours, searches, ...this.#shared },
      connections: this.#connections,
      onInternalError: (error) => {
        onInternalError('http', error);
      },
    });
  }

  get #isPrivate(): boolean {
    const { allow, allowFile } = this.#options.settings;
    return (allow ?? allowFile) !== undefined;
  }

  readonly #isAllowed = (provenId: PeerId | undefined): boolean =>
    !this.#isPrivate || this.#allowed?.has(provenId) === true;

  #makeNeighbours({ id, privateKey }: Identity, listening: PeerAddress): Neighbours {
    const { peers, advertise, tls, discover } = this.#options.settings;
    const isPrivate = this.#isPrivate;
    const neighbours = new Neighbours({
      ...this.#options.settings,
      ...this.#shared,
      self: id,
      key: privateKey,
      isPrivate,
      isAllowed: this.#isAllowed,
      // What it would dial has not asked to be told who it is.
      discover: discover && !isPrivate,
      tls: isPrivate || tls,
      listening,
      advertise: advertise === undefined ? undefined : parseAddress(advertise),
      agent: AGENT,
      named: peers.map(parseAddress),
      maxPerNetwork: this.#options.settings.maxPeersPerNetwork,
      times: this.#options.times,
      onFlood: (connection) => {
        this.#connections.block(connection);
      },
      onInternalError: (error) => {
        this.#options.onInternalError('peers', error);
      },
      onWrongPeer: ({ message }) => {
        this.#options.onWarning(message);
      },
      store: {
        loadPeers: () => this.#options.share.note(PEERS_NOTE),
        savePeers: (bytes) => {
          this.#options.share.putNote(PEERS_NOTE, bytes);
        },
      },
    });
    neighbours.on('change', (change) => {
      this.#options.onPeer(change);
    });
    return neighbours;
  }

  #makeDiscovery(neighbours: Neighbours, { id: self, ...listening }: PeerContact): Discovery {
    const { lan, discover } = this.#options.settings;
    return new Discovery({
      ...{ self, listening, neighbours, discover },
      // A node that is there for some alone is announced to nobody.
      lan: lan && !this.#isPrivate,
      look: this.#options.times.look,
      onWarning: this.#options.onWarning,
    });
  }

  #makeSearches(neighbours: Neighbours, self: PeerContact): NodeSearch {
    return new NodeSearch({
      self,
      links: () => neighbours.links(),
      isAllowed: this.#isPrivate ? this.#isAllowed : undefined,
      keyOf: (connection) => neighbours.keyOf(connection),
      isNeighbour: (connection) => neighbours.isNeighbour(connection),
      peerIdsOf: (connection) => neighbours.peerIdsOf(connection),
      answer: (search, client, then) => ownMatches(this.#options.share, search, client, then),
      penalise: (connection, kind) => {
        neighbours.penalise(connection, kind);
      },
      onError: (error) => {
        this.#options.onInternalError('search', asError(error));
      },
    });
  }
}

/** Resolves when it is. */
async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
