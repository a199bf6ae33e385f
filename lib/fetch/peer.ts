/** The client of one peer: ping, list, search, fetch. */
import { PeerError } from '../errors.js';
import { formatAddress, parseAddress, type PeerAddress } from '../net/address.js';
import type { Greeted } from '../net/hello.js';
import { option, type ConnectOptions } from '../options.js';
import type { NetworkSearchOptions, SearchResult } from '../search/results.js';
import { onAbort, signalOf, type AbortOptions } from '../support/signal.js';
import { MAX_QUERY_BYTES } from '../wire/limits.js';
import type {
  FileList,
  FileMatch,
  Hash,
  ListedPeer,
  PeerId,
  Pong,
  Search,
} from '../wire/messages.js';
import { Bodies, type SmallOptions } from './bodies.js';
import { CLIENT, callPeer } from './client-connection.js';
import { ConnectionPool } from './connection-pool.js';
import type { ByteSink, FetchOptions, FetchRange, FileSource } from './receive/body-receiver.js';
import type { FileStream } from './receive/file-stream.js';

export type { FetchOptions };

export interface SearchOptions extends AbortOptions {
  /** Matches wanted. @default all */
  max?: number | undefined;
  /** Milliseconds that the peer may take in all; the caller's own time does not count. @default 600,000 */
  timeout?: number | undefined;
  /** Bytes of names and hashes that are taken. @default 268,435,456 */
  maxBytes?: number | undefined;
}

const SEARCH_TIMEOUT = 600_000;
const SEARCH_BYTES = 256 * 1024 * 1024;
/** What a match costs beside its path: its hash and size, and what holds them. */
const MATCH_BYTES = 100;

/**
 * Connect to a peer.
 *
 * @param peer `host`, `host:port` or `[v6]:port`, with `ID@` before it if it must prove an id
 * @throws PeerError ERR_USAGE, ERR_UNREACHABLE, ERR_TIMED_OUT, ERR_NOT_A_PEER, ERR_WRONG_PEER, ERR_ABORTED
 */
export async function connect(
  peer: string | PeerAddress,
  options: ConnectOptions = {},
): Promise<Peer> {
  const address = typeof peer === 'string' ? parseAddress(peer) : peer;
  const client = new Peer(address, options);
  await client.open(options);
  return client;
}

/** Stands for the id of a peer that has not said one. */
const UNKNOWN_PEER = '0'.repeat(64);
/** What requests with short answers share a connection by. */
const REQUESTS = Symbol('requests');

/**
 * A peer to talk to. Calls neither delay nor end one another: they use several connections where one
 * would have them wait. Connections are made again when they were lost.
 */
export class Peer implements FileSource, AsyncDisposable {
  readonly address: PeerAddress;
  readonly #pool: ConnectionPool;
  readonly #bodies: Bodies;
  #greeted: Greeted | undefined;
  #remoteHost: string | undefined;

  constructor(address: PeerAddress, options: ConnectOptions) {
    this.address = address;
    this.#pool = new ConnectionPool({
      name: this.name,
      patience: option('answerTimeout', options.answerTimeout),
      dial: async (signal) => {
        this.#greeted = await callPeer(address, { ...options, signal });
        const { connection } = this.#greeted;
        this.#remoteHost = connection.remoteHost;
        return connection;
      },
    });
    this.#bodies = new Bodies(this.name, this.#pool);
  }

  /** What the peer said of itself when a connection was last made. @throws TypeError before that */
  get hello(): Pong {
    if (this.#greeted === undefined) throw new TypeError('not connected');
    return this.#greeted.pong;
  }

  /** The id of the peer at the last connection, if it has said one. */
  get id(): PeerId | undefined {
    return this.#greeted?.id;
  }

  /** Whether TLS has proven that id. */
  get proven(): boolean {
    return this.#greeted?.connection.provenId !== undefined;
  }

  /** The address that the last connection was made to. */
  get remoteHost(): string | undefined {
    return this.#remoteHost;
  }

  /** `host:port`, for messages. */
  get name(): string {
    return formatAddress(this.address);
  }

  /** Make a connection now, rather than with the first call. @throws PeerError as `connect` */
  async open(options: AbortOptions = {}): Promise<void> {
    this.#pool.check();
    await this.#pool.use({ share: REQUESTS, signal: signalOf(options) }, () => Promise.resolve());
  }

  /** Ask for the peer's id and what it shares. */
  async ping(options: AbortOptions = {}): Promise<Pong> {
    this.#pool.check();
    const signal = signalOf(options);
    return this.#pool.use({ share: REQUESTS, signal }, (connection) =>
      connection.request({ type: 'PING', info: CLIENT }, signal),
    );
  }

  /**
   * The peer's files whose paths hold every term of the query, page after page.
   *
   * @throws PeerError ERR_USAGE; ERR_TIMED_OUT, ERR_TOO_LARGE when the peer takes longer or lists more
   *   than the options allow
   */
  async *search(query: string, options: SearchOptions = {}): AsyncGenerator<FileMatch> {
    const { max = Infinity, timeout = SEARCH_TIMEOUT, maxBytes = SEARCH_BYTES } = options;
    if (Buffer.byteLength(query) > MAX_QUERY_BYTES) {
      throw new PeerError('ERR_USAGE', `a search is at most ${MAX_QUERY_BYTES} bytes`);
    }
    const signal = signalOf(options);
    const time = { left: timeout, timeout };
    let left = max;
    let bytes = 0;
    let after: Uint8Array | undefined;
    while (left > 0) {
      const want = Number.isFinite(left) ? left : undefined;
      const page = await this.#page(
        { type: 'RQFS', query, ttl: 0, max: want, after },
        time,
        signal,
      );
      for (const { path } of page.files) bytes += MATCH_BYTES + Buffer.byteLength(path);
      if (bytes > maxBytes) {
        const text = `${this.name} lists more than ${maxBytes} bytes of names and hashes`;
        throw new PeerError('ERR_TOO_LARGE', text);
      }
      yield* page.files.slice(0, left);
      left -= page.files.length;
      // A page with nothing on it and a cursor would repeat for ever.
      if (page.after === undefined || page.files.length === 0) return;
      if (after !== undefined && Buffer.compare(after, page.after) === 0) {
        throw new PeerError('ERR_MALFORMED', `${this.name} answers with the same page again`);
      }
      after = page.after;
    }
  }

  /** One page of a search. @param time milliseconds: what is left of what it may take */
  async #page(
    request: Search & { ttl: 0 },
    time: { left: number; readonly timeout: number },
    signal: AbortSignal | undefined,
  ): Promise<FileList> {
    this.#pool.check();
    const begin = performance.now();
    const end = new AbortController();
    const forget = onAbort(signal, ({ reason }) => {
      end.abort(reason);
    });
    const timer = setTimeout(() => {
      const text = `${this.name} did not list all its matches within ${time.timeout / 1000} s`;
      end.abort(new PeerError('ERR_TIMED_OUT', text));
    }, time.left);
    try {
      return await this.#pool.use({ share: REQUESTS, signal: end.signal }, (connection) =>
        connection.page(request, end.signal),
      );
    } finally {
      clearTimeout(timer);
      forget();
      time.left = Math.max(0, time.left - (performance.now() - begin));
    }
  }

  /** Ask for peers that this one has reached itself. @param options.max at most 50 come in any case */
  async listPeers(
    options: AbortOptions & { max?: number | undefined } = {},
  ): Promise<readonly ListedPeer[]> {
    this.#pool.check();
    const { max } = options;
    const signal = signalOf(options);
    const list = await this.#pool.use({ share: REQUESTS, signal }, (connection) =>
      connection.request({ type: 'RQLT', max }, signal),
    );
    return list.peers;
  }

  /**
   * Search this peer's files and those of the network behind it: by name, or for peers that have a hash.
   * Results come as they arrive, each peer's best matches only. Leaving the loop ends the search.
   *
   * @throws PeerError ERR_USAGE, ERR_ABORTED; what ended it at this peer, after the results
   */
  async *searchNetwork(
    what: string | { hash: Hash },
    options: NetworkSearchOptions = {},
  ): AsyncGenerator<SearchResult, void, void> {
    this.#pool.check();
    // Loaded only where it is used: fetching starts faster.
    const [{ wantedOf }, { searchThrough }] = await Promise.all([
      import('../search/results.js'),
      import('../search/through.js'),
    ]);
    const wanted = wantedOf(what);
    const signal = signalOf(options);
    const { lease, connection } = await this.#pool.take({ share: REQUESTS, signal });
    let failed: { thrown: unknown } | undefined;
    try {
      const { id = UNKNOWN_PEER } = this;
      const { host, port } = this.address;
      yield* searchThrough(connection, { id, host, port }, wanted, { ...options, signal });
    } catch (thrown) {
      failed = { thrown };
      throw thrown;
    } finally {
      this.#pool.giveBack(lease, failed);
    }
  }

  /** A file's bytes as a stream; nothing comes out of it that was not verified. */
  fetch(hash: Hash, options: FetchOptions = {}): FileStream {
    return this.#bodies.stream(hash, options);
  }

  /**
   * Write a file's verified bytes into a sink. Faster than `fetch`: the memory of blocks is used
   * again. What was verified before an error has been written when the promise rejects.
   *
   * @throws PeerError; or what the sink or a callback threw
   */
  async fetchTo(hash: Hash, sink: ByteSink, options: FetchOptions = {}): Promise<void> {
    await this.#bodies.toSink(hash, [options], sink, options);
  }

  /** The same for several ranges of the file, in order; many are asked for before the first has come. */
  async fetchRanges(
    hash: Hash,
    ranges: Iterable<FetchRange>,
    sink: ByteSink,
    options: Omit<FetchOptions, 'offset' | 'length'> = {},
  ): Promise<void> {
    await this.#bodies.toSink(hash, ranges, sink, options);
  }

  /**
   * All verified bytes of a small file at once, for many files at less cost than `fetch` and `fetchTo`:
   * ask for the next ones while the first are under way (up to 256 on a connection).
   *
   * @param size its bytes, as listed, 262,144 at most; another size is an error
   * @throws PeerError; or what a callback threw
   */
  async fetchSmall(hash: Hash, size: number, options: SmallOptions = {}): Promise<Buffer> {
    return this.#bodies.small(hash, size, options);
  }

  /**
   * End the connections when all calls under way have ended; further calls fail with ERR_CLOSED. A call
   * that makes no progress for `answerTimeout`, such as a stream that is not read, is ended.
   */
  close(): Promise<void> {
    return this.#pool.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
