/** Fetch a file from many peers at once. */
import { callPeer, hangUp } from '../client-connection.js';
import { getFile } from '../bodies.js';
import { PeerError } from '../../errors.js';
import { formatAddress, parseAddress, type PeerAddress } from '../../net/address.js';
import { AddressPolicy } from '../../net/scope.js';
import { ExpiringMap } from '../../limits/expiring-map.js';
import { HOST_DIALS, KeyedRateLimit } from '../../limits/keyed-rate-limit.js';
import type { Connection } from '../../net/connection.js';
import type { ConnectOptions } from '../../options.js';
import { Download } from './download.js';
import { BroadcastQueue } from './broadcast-queue.js';
import type { SourceEvent, SourceSummary } from './events.js';
import type { SourcePeer } from './source.js';
import type {
  ByteSink,
  FetchBlocksOptions,
  FetchOptions,
  FileSource,
} from '../receive/body-receiver.js';
import { signalOf } from '../../support/signal.js';
import type { Hash } from '../../wire/messages.js';

export interface ManyPeersOptions extends Omit<ConnectOptions, 'signal'> {
  /** Bytes that wait for their turn at most, from 2 MiB; few keep fast peers waiting. @default 64 MiB */
  window?: number | undefined;
  /** Milliseconds without a byte until others are asked for what a peer owes. @default 2000 */
  stallTimeout?: number | undefined;
  /** Told what becomes of each peer. */
  onSource?: ((event: SourceEvent) => void) | undefined;
}

export interface FetchManyOptions extends FetchBlocksOptions, ManyPeersOptions {
  /**
   * `file`: the sink gets the bytes in the order of the file. `any`: as they come, with their place; no
   * fast peer waits for a slow one; `have` counts. @default 'file'
   */
  order?: 'file' | 'any' | undefined;
}

const WINDOW = 64 * 1024 * 1024;
const STALL_TIMEOUT = 2000;
const LIMITED_PATIENCE = 10;
/** At ports that a search has named, one dial a second. For all files: a search for each may name the same host. */
const hostDials = new KeyedRateLimit({ ...HOST_DIALS, rate: 1 });
/** Addresses at which peers were reached, so many, for so many milliseconds. */
const reached = new ExpiringMap<true>(4096, 600_000);
/** Of which scope an address may be was decided by the search, which knows the speaker. */
const hearsay = new AddressPolicy(() => []);

type Addresses =
  | Iterable<string | PeerAddress>
  // Of a search, for instance.
  | AsyncIterable<string | PeerAddress>;

/**
 * Write a file's verified bytes into a sink, from all peers at once: the fastest give most, what is late
 * is requested from another, too. A peer that sends one wrong block, or does not have the file, is not
 * asked again. What was verified before an error has been written.
 *
 * @param peers `host`, `host:port` or `[v6]:port`; used as they come, each once
 * @returns what each peer gave, when all has been written
 * @throws PeerError when no peer is left; ERR_USAGE, ERR_ABORTED; what the sink or `peers` threw
 */
export async function fetchFromMany(
  hash: Hash,
  peers: Addresses,
  sink: ByteSink,
  options: FetchManyOptions = {},
): Promise<readonly SourceSummary[]> {
  const many = new ManyPeers(peers, options);
  try {
    if (options.order === 'any') await many.fetchBlocks(hash, sink, options);
    else await many.fetchTo(hash, sink, options);
    return many.summary;
  } finally {
    await many.close();
  }
}

/** Peers that have the same files; each file comes from all of them at once. */
export class ManyPeers implements FileSource, AsyncDisposable {
  readonly #options: ManyPeersOptions;
  readonly #window: number;
  readonly #stall: number;
  readonly #peers: BroadcastQueue<SourcePeer>;
  /** Connections that are not in use, by peer. */
  readonly #idle = new Map<string, Connection>();
  readonly #liars = new Set<string>();
  readonly #given = new Map<string, SourceSummary>();
  #closed = false;
  /** Downloads under way. */
  readonly #downloads = new Set<Promise<void>>();

  /** @throws PeerError ERR_USAGE */
  constructor(peers: Addresses, options: ManyPeersOptions = {}) {
    this.#options = options;
    this.#window = fromOne('window', options.window ?? WINDOW);
    this.#stall = fromOne('stallTimeout', options.stallTimeout ?? STALL_TIMEOUT);
    this.#peers = new BroadcastQueue(this.#once(peers));
  }

  /** What each peer has given, in the order in which they came. */
  get summary(): readonly SourceSummary[] {
    return [...this.#given.values()];
  }

  /** Write a file's bytes in order. As `fetchFromMany`. */
  fetchTo(hash: Hash, sink: ByteSink, options: FetchOptions = {}): Promise<void> {
    return this.#tracked(this.#download(hash, sink, true, options));
  }

  /** Write a file's blocks as they come. As `fetchFromMany`. */
  fetchBlocks(hash: Hash, sink: ByteSink, options: FetchBlocksOptions = {}): Promise<void> {
    return this.#tracked(this.#download(hash, sink, false, options));
  }

  /** End all connections when the downloads under way have ended; further calls fail with ERR_CLOSED. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#downloads);
    this.#peers.close();
    for (const connection of this.#idle.values()) hangUp(connection);
    this.#idle.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #tracked(download: Promise<void>): Promise<void> {
    this.#downloads.add(download);
    const forget = (): void => {
      this.#downloads.delete(download);
    };
    download.then(forget, forget);
    return download;
  }

  async #download(
    hash: Hash,
    sink: ByteSink,
    ordered: boolean,
    options: FetchBlocksOptions,
  ): Promise<void> {
    if (this.#closed) throw new PeerError('ERR_CLOSED', 'the sources were closed');
    // Says what is wrong with them.
    getFile(hash, options);
    const download = new Download({
      ...options,
      ...{ hash, sink, ordered, window: this.#window, signal: signalOf(options) },
      // A rate that is shared makes each source seem slow.
      stall: options.limit === undefined ? this.#stall : this.#stall * LIMITED_PATIENCE,
      // A request for no bytes is made to learn how long the file is.
      prove: options.length === 0,
      onSource: (event) => {
        if (event.state === 'lied') this.#liars.add(event.peer);
        this.#options.onSource?.(event);
      },
    });
    try {
      await download.run(this.#peers.all((peer) => !this.#liars.has(peer.name)));
    } finally {
      for (const { peer, blocks, duplicates } of download.summary) {
        const given = this.#given.get(peer) ?? { peer, blocks: 0, duplicates: 0 };
        given.blocks += blocks;
        given.duplicates += duplicates;
        this.#given.set(peer, given);
      }
    }
  }

  /** Each address once. */
  async *#once(peers: Addresses): AsyncGenerator<SourcePeer, void, void> {
    const seen = new Set<string>();
    for await (const peer of peers) {
      const address = typeof peer === 'string' ? parseAddress(peer) : peer;
      const name = formatAddress(address);
      if (seen.has(name) || !mayDial(address, name)) continue;
      seen.add(name);
      yield this.#source(name, address);
    }
  }

  #source(name: string, address: PeerAddress): SourcePeer {
    return {
      name,
      connect: async (signal) => {
        const idle = this.#idle.get(name);
        this.#idle.delete(name);
        if (idle?.usable === true) return idle;
        const { connection } = await callPeer(address, { ...this.#options, signal });
        reached.set(name, true);
        return connection;
      },
      release: (connection) => {
        if (this.#closed || this.#idle.has(name)) hangUp(connection);
        else this.#idle.set(name, connection);
      },
    };
  }
}

/**
 * Whether an address may be dialled: one that a search has brought (it has an id) is hearsay, which names no
 * host, no port that is not a peer's, and few ports of one host where no peer was reached yet.
 */
function mayDial(address: PeerAddress, name: string): boolean {
  if (!('id' in address)) return true;
  if (hearsay.believed('127.0.0.1', address) === undefined) return false;
  return reached.has(name) || hostDials.admits(address.host);
}

function fromOne(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new PeerError('ERR_USAGE', `${name} is a whole number from 1`);
}
