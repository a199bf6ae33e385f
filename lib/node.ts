/** A peer that shares a folder: starts its parts one after the other, and stops them in reverse order. */
import { EventEmitter } from 'node:events';
import { PeerError, asError } from './errors.js';
import { openFileLimit, descriptorLimits } from './limits/descriptors.js';
import { RateLimiter } from './limits/rate-limiter.js';
import type { PeerAddress } from './net/address.js';
import { Network } from './network.js';
import { option, settings, type NodeOptions, type Settings } from './options.js';
import type { Neighbour, PeerChange } from './peers/neighbours-options.js';
import { noMisbehaviour, type MisbehaviourStats } from './peers/peer-scores.js';
import { PEER_TIMES } from './peers/times.js';
import type { SearchStats } from './search/node-search.js';
import { wantedOf, type NetworkSearchOptions, type SearchResult } from './search/results.js';
import { Uploads, type UploadStats } from './serve/uploads.js';
import { Share, type Progress, type ShareEvents } from './share/share.js';
import { loadIdentity, newIdentity, type Identity } from './state/identity.js';
import { stateFolderError, openStateFolder } from './state/state-folder.js';
import type { Lock } from './disk/file-lock.js';
import { CleanupStack } from './support/cleanup.js';
import type { Hash, PeerId, ShareState } from './wire/messages.js';

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

/** Events of the share that are the node's own. */
const SHARE_EVENTS = [
  'progress',
  'indexed',
  'watching',
  'change',
  'settled',
  'warning',
  'error',
] as const;

/**
 * A node is started once and closed once; after that, and after a start that failed, its methods fail with ERR_CLOSED.
 *
 * A listener that throws does not disturb the node: its error becomes a warning of the process
 * (`process.emitWarning`).
 */
export class PeerNode extends EventEmitter<NodeEvents> implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #share: Share;
  readonly #uploads: Uploads;
  readonly #network: Network;
  /** What has been started. */
  readonly #started = new CleanupStack();
  /** The start, once it has begun. */
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  /** Aborted when nothing is waited for. */
  readonly #stopNow = new AbortController();
  #identity: Identity | undefined;

  constructor(options: NodeOptions) {
    super();
    const set = settings(options);
    const { workers = true } = options;
    this.#settings = set;
    const limits = descriptorLimits(openFileLimit(), set.maxPeers);
    this.#share = new Share({ ...set, folder: option('share', options.share) ?? '', workers });
    this.#uploads = new Uploads({
      share: this.#share,
      zeroCopy: set.sendfile,
      max: set.maxUploads ?? limits.transfers,
      rateLimiter: set.upLimit === undefined ? undefined : new RateLimiter(set.upLimit),
    });
    this.#network = new Network({
      settings: set,
      times: { ...PEER_TIMES, ...options.times },
      share: this.#share,
      uploads: this.#uploads,
      maxConnections: set.maxConnections ?? limits.connections,
      onPeer: (change) => {
        this.#emitSafely('peer', change);
      },
      onWarning: (reason) => {
        this.#emitSafely('warning', { path: 'peers', reason });
      },
      onInternalError: (path, error) => {
        this.#emitSafely('warning', { path, reason: `internal error: ${error.message}` });
      },
    });
    for (const event of SHARE_EVENTS) {
      this.#share.on(event, (...args: unknown[]) => {
        this.#emitSafely(event, ...(args as never));
      });
    }
  }

  /** The peer's id. @throws PeerError ERR_USAGE before `start` */
  get id(): PeerId {
    return started(this.#identity).id;
  }

  /** Where it listens. @throws PeerError ERR_USAGE before `start` */
  get address(): PeerAddress {
    return started(this.#network.address);
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
    return this.#network.neighbours?.peers ?? [];
  }

  get stats(): Readonly<NodeStats> {
    return { ...this.#uploads.stats, ...this.#network.stats };
  }

  /** Searches under way, and what became of others since the start. @throws PeerError ERR_USAGE before it */
  get searchStats(): Readonly<SearchStats> {
    return started(this.#network.searches).stats;
  }

  /** What peers did that no honest one does, and what came of it, since the start. */
  get misbehaviour(): MisbehaviourStats {
    return this.#network.neighbours?.misbehaviour ?? noMisbehaviour();
  }

  /**
   * Accept connections (`listening`), then open the index, and begin to compare it with the folder;
   * `indexed` tells when it is complete. When it fails everything that it opened is closed again.
   *
   * @throws PeerError ERR_USAGE: the folder, the port or the state folder cannot be used, or it is the
   *   second start; ERR_CLOSED: the node was closed, before or meanwhile
   */
  async start(): Promise<void> {
    this.#checkOpen();
    if (this.#opening !== undefined)
      throw new PeerError('ERR_USAGE', 'the node was started already');
    this.#opening = this.#open();
    try {
      await this.#opening;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /**
   * Search this node's files and those of the network: by name, or by hash. Leaving the loop
   * ends the search.
   *
   * @throws PeerError ERR_USAGE, also before `start`; ERR_ABORTED; ERR_CLOSED when the node is closed, or
   *   was before
   */
  search(
    what: string | { hash: Hash },
    options: NetworkSearchOptions = {},
  ): AsyncGenerator<SearchResult, void, void> {
    this.#checkOpen();
    return started(this.#network.searches).search(wantedOf(what), options);
  }

  /** Compare the folder with the index now, rather than at the next rescan. @throws PeerError ERR_CLOSED */
  rescan(): void {
    this.#checkOpen();
    this.#share.rescan();
  }

  /**
   * Stop: no new connections, the open ones are ended, and with them what is under way. Called again
   * without `grace` it ends at once what it waits for.
   *
   * @param options.grace milliseconds that transfers under way may take to end. Connections without one
   *   are ended at once, and requests for more get ERR_BUSY. @default 0
   * @returns resolves when nothing of the node is left
   */
  async close({ grace = 0 }: { grace?: number } = {}): Promise<void> {
    if (option('grace', grace) === 0) this.#stopNow.abort();
    this.#closing ??= this.#close(grace);
    await this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(grace: number): Promise<void> {
    // It notices, and opens nothing more.
    await this.#opening?.catch(() => undefined);
    const timer = setTimeout(() => {
      this.#stopNow.abort();
    }, grace);
    if (!this.#stopNow.signal.aborted) await this.#network.finish(this.#stopNow.signal);
    clearTimeout(timer);
    await this.#started.run();
  }

  async #open(): Promise<void> {
    const { state } = this.#settings;
    // Last of all: until the share is closed it writes to the state folder.
    let lock: Lock | undefined;
    this.#started.add(() => {
      lock?.release();
    });
    this.#started.add(() => this.#share.close());
    await this.#share.check();
    this.#checkOpen();
    if (state === undefined) {
      this.#identity = newIdentity();
    } else {
      const folder = await openStateFolder(state);
      lock = folder.lock;
      this.#identity = await loadIdentity(folder.path).catch((error: unknown) => {
        throw stateFolderError(state, error);
      });
      this.#checkOpen();
    }
    this.#started.add(() => this.#network.close());
    const address = await this.#network.listen(this.#identity);
    this.#checkOpen();
    this.#emitSafely('listening', address);
    await this.#share.start();
    this.#checkOpen();
    await this.#network.start();
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError();
  }

  /** Emit an event: a listener that throws is no error of whatever tells it. */
  #emitSafely<E extends keyof NodeEvents>(event: E, ...args: NodeEvents[E]): void {
    // An error that nobody listens for is thrown, as everywhere in Node.
    if (event === 'error' && this.listenerCount(event) === 0) throw args[0] as Error;
    for (const listener of this.rawListeners(event)) {
      try {
        Reflect.apply(listener, this, args);
      } catch (error) {
        process.emitWarning(asError(error));
      }
    }
  }
}

/** What there is once the node listens. */
function started<T>(part: T | undefined): T {
  if (part === undefined) throw new PeerError('ERR_USAGE', 'the node has not been started');
  return part;
}

function closedError(): PeerError {
  return new PeerError('ERR_CLOSED', 'this node was closed');
}
