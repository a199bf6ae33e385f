/** A peer that shares a folder: wires the share, the listener and the handlers of every request. */
import { EventEmitter, once } from 'node:events';
import { PeerError, asError } from './errors.js';
import { parseAddress, type PeerAddress } from './net/address.js';
import type { RequestHandler } from './net/connection.js';
import { openFileLimit, sharesOf } from './limits/descriptors.js';
import { Listener } from './net/listener.js';
import { InboundConnections } from './net/inbound-connections.js';
import { RequestQuota } from './limits/request-quota.js';
import { SendBudget } from './limits/send-budget.js';
import { checked, option, optional, type NodeOptions } from './options.js';
import { loadIdentity, newIdentity, type Identity } from './state/identity.js';
import { Neighbours, type Neighbour, type PeerChange } from './peers/neighbours.js';
import { noOffences, type OffenceStats } from './peers/peer-scores.js';
import { clientOf } from './net/scope.js';
import { PEER_TIMES } from './peers/times.js';
import { cannotKeep, openStateFolder, type StateFolder } from './state/state-folder.js';
import { NodeSearch, type SearchStats } from './search/node-search.js';
import { wantedOf, type NetworkSearchOptions, type SearchResult } from './search/results.js';
import { Share, type Progress, type ShareEvents } from './share/share.js';
import { RateLimiter } from './limits/rate-limiter.js';
import { Uploads, type UploadStats } from './serve/uploads.js';
import { AGENT } from './support/version.js';
import { PROTOCOL_VERSION } from './wire/limits.js';
import type {
  FileList,
  Hash,
  PeerContact,
  PeerId,
  PeerInfo,
  Search,
  ShareState,
} from './wire/messages.js';

export interface NodeEvents extends ShareEvents {
  /** Connections are accepted. */
  listening: [PeerAddress];
  /** What has become of a peer. */
  peer: [PeerChange];
}

/** What a node has done since it was started. */
export interface NodeStats extends UploadStats {
  /** Connections accepted, and open now. */
  connections: number;
  openConnections: number;
  /**
   * Connections not accepted because there were too many, or their client floods this node; and closed to
   * accept others.
   */
  refused: number;
  evicted: number;
}

/** Make a node. Nothing happens until `start`. @throws PeerError ERR_USAGE */
export function createNode(options: NodeOptions): PeerNode {
  return new PeerNode(options);
}

/** Of all connections: what one client may have, and what may be open without having been answered. */
const CLIENT_SHARE = 1 / 4;

/** The name under which the peer table is kept beside the index. */
const PEERS_NOTE = 'peers';

export class PeerNode extends EventEmitter<NodeEvents> {
  readonly #options: NodeOptions;
  readonly #share: Share;
  readonly #reception: InboundConnections;
  readonly #uploads: Uploads;
  #identity: Identity | undefined;
  #listener: Listener | undefined;
  #stateFolder: StateFolder | undefined;
  #closed = false;
  /** Transfers may end, and nothing else is waited for any more. */
  #finishing = false;
  /** Aborted when nothing is waited for. */
  readonly #noGrace = new AbortController();
  #address: PeerAddress | undefined;
  #neighbours: Neighbours | undefined;
  #searches: NodeSearch | undefined;

  constructor(options: NodeOptions) {
    super();
    this.#options = {
      ...options,
      share: checked('share', options.share),
      port: option('port', options.port),
      host: option('host', options.host),
      answerTimeout: option('answerTimeout', options.answerTimeout),
      stallTimeout: option('stallTimeout', options.stallTimeout),
      frameTimeout: option('frameTimeout', options.frameTimeout),
      state: options.state === undefined ? undefined : checked('state', options.state),
      peers: option('peers', options.peers),
      advertise:
        options.advertise === undefined ? undefined : checked('advertise', options.advertise),
      maxPeers: option('maxPeers', options.maxPeers),
      discover: option('discover', options.discover),
    };
    const shares = sharesOf(openFileLimit(), option('maxPeers', options.maxPeers));
    this.#reception = this.#makeReception(
      optional('maxConnections', options.maxConnections) ?? shares.connections,
    );
    this.#share = new Share({
      folder: this.#options.share,
      dotfiles: option('dotfiles', options.dotfiles),
      ignore: option('ignore', options.ignore),
      threads: options.threads === undefined ? undefined : checked('threads', options.threads),
      workers: options.workers,
      state: this.#options.state,
      watch: option('watch', options.watch),
      rescan: option('rescan', options.rescan) * 1000,
    });
    const upLimit = optional('upLimit', options.upLimit);
    this.#uploads = new Uploads({
      share: this.#share,
      workers: options.workers ?? true,
      zeroCopy: option('sendfile', options.sendfile),
      max: optional('maxUploads', options.maxUploads) ?? shares.transfers,
      rateLimiter: upLimit === undefined ? undefined : new RateLimiter(upLimit),
    });
    this.#share.on('progress', (progress) => this.emit('progress', progress));
    this.#share.on('indexed', (result) => this.emit('indexed', result));
    this.#share.on('watching', (watching) => this.emit('watching', watching));
    this.#share.on('change', (change) => this.emit('change', change));
    this.#share.on('settled', () => this.emit('settled'));
    this.#share.on('warning', (warning) => this.emit('warning', warning));
    this.#share.on('error', (error) => this.emit('error', error));
  }

  /** The peer's id. @throws TypeError before `start` */
  get id(): PeerId {
    if (this.#identity === undefined) throw new TypeError('not started');
    return this.#identity.id;
  }

  /** Where it listens. @throws TypeError before `start` */
  get address(): PeerAddress {
    if (this.#address === undefined) throw new TypeError('not started');
    return this.#address;
  }

  /** `ready` when everything found at the start can be found and fetched. */
  get state(): ShareState {
    return this.#share.state;
  }

  /** Files and bytes shared now. */
  get shared(): { files: number; bytes: number } {
    return { files: this.#share.files, bytes: this.#share.bytes };
  }

  get progress(): Readonly<Progress> {
    return this.#share.progress;
  }

  /** Peers that this node can reach. */
  get peers(): Neighbour[] {
    return this.#neighbours?.peers ?? [];
  }

  get stats(): Readonly<NodeStats> {
    return { ...this.#uploads.stats, ...this.#reception.stats };
  }

  /**
   * Accept connections (`listening`), then open the index, and begin to compare it with the folder;
   * `indexed` tells when it is complete.
   *
   * @throws PeerError ERR_USAGE: the folder, the port or the state folder cannot be used
   */
  async start(): Promise<void> {
    const { host = '', port = 0, state } = this.#options;
    await this.#share.check();
    if (state === undefined) {
      this.#identity = newIdentity();
    } else {
      this.#stateFolder = await openStateFolder(state);
      this.#identity = await loadIdentity(this.#stateFolder.path).catch((error: unknown) => {
        this.#stateFolder?.lock.release();
        throw cannotKeep(state, error);
      });
    }
    const { accept, shed } = this.#reception;
    this.#listener = await Listener.open(
      { host, port },
      { onSocket: accept, onShortage: shed },
    ).catch((error: unknown) => {
      this.#stateFolder?.lock.release();
      throw error;
    });
    const { address } = this.#listener;
    this.#address = address;
    const neighbours = this.#makeNeighbours(this.#identity.id, address);
    this.#neighbours = neighbours;
    this.#searches = this.#makeSearches(neighbours, { id: this.#identity.id, ...address });
    this.emit('listening', address);
    await this.#share.start().catch(async (error: unknown) => {
      await this.close();
      throw error;
    });
    if (!this.#closed) neighbours.start();
  }

  /**
   * Search this node's files and those of the network: by name, or who has a hash. Leaving the loop
   * ends the search.
   *
   * @throws PeerError ERR_USAGE, ERR_ABORTED; ERR_CLOSED when the node is closed meanwhile
   * @throws TypeError before `start`
   */
  search(
    what: string | { hash: Hash },
    options: NetworkSearchOptions = {},
  ): AsyncGenerator<SearchResult, void, void> {
    if (this.#searches === undefined) throw new TypeError('not started');
    return this.#searches.search(wantedOf(what), options);
  }

  /** Searches under way, and what became of others since the start. */
  get searchStats(): Readonly<SearchStats> {
    if (this.#searches === undefined) throw new TypeError('not started');
    return this.#searches.stats;
  }

  /** What peers did that no honest one does, and what came of it, since the start. */
  get offences(): OffenceStats {
    return this.#neighbours?.offences ?? noOffences();
  }

  /** Compare the folder with the index now, rather than at the next rescan. */
  rescan(): void {
    this.#share.rescan();
  }

  /**
   * Stop: no new connections, the open ones are ended, workers stopped.
   *
   * @param options.grace seconds that transfers under way may take to end; connections without one are
   *   ended at once, requests for more get ERR_BUSY. Called again without it: all ends at once.
   */
  async close({ grace = 0 }: { grace?: number } = {}): Promise<void> {
    this.#closed = true;
    const closed = this.#listener?.close();
    this.#listener = undefined;
    if (grace > 0) await this.#finish(checked('grace', grace) * 1000);
    else this.#noGrace.abort();
    this.#searches?.close();
    this.#neighbours?.close();
    const error = new PeerError('ERR_CLOSED', 'this node was closed');
    for (const connection of this.#reception.connections) connection.destroy(error);
    await Promise.all([closed, this.#share.close(), this.#uploads.close()]);
    this.#stateFolder?.lock.release();
  }

  /** Let transfers end. Resolves when what they sent has arrived, or after so many milliseconds. */
  async #finish(grace: number): Promise<void> {
    this.#finishing = true;
    this.#uploads.finish();
    const last = [...this.#uploads.connections];
    // Connections that this node made end with them: unless a peer fetches over one.
    if (last.every((connection) => this.#reception.has(connection))) this.#neighbours?.close();
    for (const connection of this.#reception.connections) {
      if (!this.#uploads.has(connection)) connection.end();
    }
    const timer = setTimeout(() => {
      this.#noGrace.abort();
    }, grace);
    await Promise.race([
      aborted(this.#noGrace.signal),
      // A connection closed while the other side still sends would take along what is on its way.
      Promise.all(last.map(({ closed }) => aborted(closed))),
    ]);
    clearTimeout(timer);
  }

  #makeReception(total: number): InboundConnections {
    const { answerTimeout, stallTimeout, firstFrameTimeout, frameTimeout } = this.#options;
    const part = Math.ceil(total * CLIENT_SHARE);
    return new InboundConnections({
      handler: this.#handle,
      answerTimeout: option('answerTimeout', answerTimeout),
      stallTimeout,
      firstFrameTimeout: option('firstFrameTimeout', firstFrameTimeout),
      frameTimeout,
      quota: new RequestQuota(),
      sendBudget: new SendBudget(),
      limits: {
        total,
        perClient: optional('maxPerClient', this.#options.maxPerClient) ?? part,
        pending: optional('maxPending', this.#options.maxPending) ?? part,
      },
      clientOf,
      shunFor: { ...PEER_TIMES, ...this.#options.times }.shunned,
      isKept: (connection) => this.#neighbours?.isLinked(connection) === true,
      onAccept: (connection) => {
        this.#neighbours?.accepted(connection);
      },
      onInternalError: (error, name) => {
        this.#warn(name, error);
      },
    });
  }

  #makeNeighbours(self: PeerId, listening: PeerAddress): Neighbours {
    const { peers = [], advertise, maxPeers, discover, times, answerTimeout } = this.#options;
    const neighbours = new Neighbours({
      self,
      listening,
      advertise: advertise === undefined ? undefined : parseAddress(advertise),
      agent: AGENT,
      named: peers.map(parseAddress),
      maxPeers: option('maxPeers', maxPeers),
      maxPerNetwork: option('maxPeersPerNetwork', this.#options.maxPeersPerNetwork),
      discover: option('discover', discover),
      times: { ...PEER_TIMES, ...times },
      answerTimeout: option('answerTimeout', answerTimeout),
      stallTimeout: option('stallTimeout', this.#options.stallTimeout),
      handler: this.#handle,
      onFlood: (connection) => {
        this.#reception.shun(connection);
      },
      onInternalError: (error) => {
        this.#warn('peers', error);
      },
      store: {
        loadPeers: () => this.#share.note(PEERS_NOTE),
        savePeers: (bytes) => {
          this.#share.putNote(PEERS_NOTE, bytes);
        },
      },
    });
    neighbours.on('change', (change) => this.emit('peer', change));
    return neighbours;
  }

  #makeSearches(neighbours: Neighbours, self: PeerContact): NodeSearch {
    return new NodeSearch({
      self,
      links: () => neighbours.links(),
      idOf: (connection) => neighbours.idOf(connection),
      peerIdsOf: (connection) => neighbours.peerIdsOf(connection),
      answer: (search, client) => this.#answer(search, client),
      offends: (connection, offence) => {
        neighbours.offends(connection, offence);
      },
      onError: (error) => {
        this.#warn('search', asError(error));
      },
    });
  }

  /** This node's own matches. */
  async #answer(
    { query, hash, max, after }: Search,
    client: AbortSignal | undefined,
  ): Promise<FileList> {
    const page =
      hash === undefined
        ? await this.#share.search(query, { max, after, client })
        : this.#share.withHash(hash, max);
    return { type: 'RPFL', ...page };
  }

  #warn(path: string, error: Error): void {
    this.emit('warning', { path, reason: `internal error: ${error.message}` });
  }

  readonly #handle: RequestHandler = async (request, exchange, connection) => {
    switch (request.type) {
      case 'PING':
        this.#checkVersion(request.info);
        exchange.send({
          type: 'ACKN',
          of: 'PING',
          info: this.#neighbours?.info() ?? {
            version: PROTOCOL_VERSION,
            id: this.id,
            agent: AGENT,
          },
          ...this.shared,
          state: this.state,
        });
        if (!this.#finishing) this.#neighbours?.greeted(connection, request.info);
        return;
      case 'RQLT': {
        await exchange.sendPrepared(() => {
          const peers = this.#neighbours?.list(connection, request.max) ?? [];
          return { type: 'ACKN', of: 'RQLT', peers };
        });
        return;
      }
      case 'RQFS':
        await this.#searches?.handle(request, exchange, connection);
        return;
      case 'RQFH':
        await this.#uploads.answer(request, exchange, connection);
    }
  };

  #checkVersion({ version }: PeerInfo): void {
    if (version !== PROTOCOL_VERSION) {
      throw new PeerError('ERR_UNSUPPORTED', `protocol version ${version} is not spoken here`);
    }
  }
}

/** Resolves when it is. */
async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
