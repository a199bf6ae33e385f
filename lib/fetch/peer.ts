/** Talk to one peer: who are you, what do you have, give me this file. */
import { once } from 'node:events';
import { CLIENT, callPeer, hangUp } from './client-connection.js';
import { PeerError, abortError } from '../errors.js';
import { formatAddress, parseAddress, type PeerAddress } from '../net/address.js';
import type { BodySink } from '../net/body-sink.js';
import type { Connection } from '../net/connection.js';
import type { ConnectOptions } from '../options.js';
import type { NetworkSearchOptions, SearchResult } from '../search/results.js';
import { FileStream } from './receive/file-stream.js';
import { LimitedSink } from './receive/limited-sink.js';
import { BodyReceiver, type ByteSink, type FetchOptions } from './receive/body-receiver.js';
import { SinkOutput } from './receive/sink-output.js';
import { SMALL_BYTES, SmallBody } from './receive/small-body.js';
import { MAX_QUERY_BYTES } from '../wire/limits.js';
import type { FileMatch, GetFile, Hash, ListedPeer, Pong } from '../wire/messages.js';

export type { FetchOptions };

export interface SearchOptions {
  /** Matches wanted. @default all */
  max?: number | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Connect to a peer.
 *
 * @param peer `host`, `host:port` or `[v6]:port`
 * @throws PeerError ERR_USAGE, ERR_UNREACHABLE, ERR_TIMED_OUT, ERR_NOT_A_PEER, ERR_ABORTED
 */
export async function connect(
  peer: string | PeerAddress,
  options: ConnectOptions = {},
): Promise<Peer> {
  const address = typeof peer === 'string' ? parseAddress(peer) : peer;
  const client = new Peer(address, options);
  await client.open(options.signal);
  return client;
}

/** Stands for the id of a peer that has not said one. */
const UNKNOWN_PEER = '0'.repeat(64);

/** A peer to talk to. Keeps one connection, and makes a new one when it was lost. */
export class Peer {
  readonly address: PeerAddress;
  readonly #options: ConnectOptions;
  #connection: Promise<Connection> | undefined;
  #hello: Pong | undefined;
  /** The connection, once it is made. */
  #open: Connection | undefined;

  constructor(address: PeerAddress, options: ConnectOptions) {
    this.address = address;
    this.#options = options;
  }

  /** What the peer said of itself when the connection was made. @throws TypeError before that */
  get hello(): Pong {
    if (this.#hello === undefined) throw new TypeError('not connected');
    return this.#hello;
  }

  /** Make the connection now, rather than with the first request. */
  async open(signal?: AbortSignal): Promise<void> {
    await this.#connect(signal);
  }

  /** The address at the other end, while there is a connection. */
  get remoteHost(): string | undefined {
    return this.#open?.remoteHost;
  }

  /** `host:port`, for messages. */
  get name(): string {
    return formatAddress(this.address);
  }

  /** Ask who the peer is and what it shares. */
  async ping(signal?: AbortSignal): Promise<Pong> {
    const connection = await this.#connect(signal);
    return connection.request({ type: 'PING', info: CLIENT }, signal);
  }

  /** The peer's files whose paths hold every term of the query, page after page. */
  async *search(query: string, options: SearchOptions = {}): AsyncGenerator<FileMatch> {
    const { max = Infinity, signal } = options;
    if (Buffer.byteLength(query) > MAX_QUERY_BYTES) {
      throw new PeerError('ERR_USAGE', `a search is at most ${MAX_QUERY_BYTES} bytes`);
    }
    let left = max;
    let after: Uint8Array | undefined;
    while (left > 0) {
      const connection = await this.#connect(signal);
      const want = Number.isFinite(left) ? left : undefined;
      const page = await connection.page({ type: 'RQFS', query, ttl: 0, max: want, after }, signal);
      yield* page.files.slice(0, left);
      left -= page.files.length;
      // A page with nothing on it and a cursor would go on for ever.
      if (page.after === undefined || page.files.length === 0) return;
      if (after !== undefined && Buffer.compare(after, page.after) === 0) {
        throw new PeerError('ERR_MALFORMED', `${this.name} answers with the same page again`);
      }
      after = page.after;
    }
  }

  /** Ask for peers that this one has reached itself. @param max at most 50 come in any case */
  async listPeers(max?: number, signal?: AbortSignal): Promise<readonly ListedPeer[]> {
    const connection = await this.#connect(signal);
    return (await connection.request({ type: 'RQLT', max }, signal)).peers;
  }

  /**
   * Search this peer's files and those of the network behind it: by name, or who has a hash. Results
   * come as they arrive, each peer's best matches only. Leaving the loop ends the search.
   *
   * @throws PeerError ERR_USAGE, ERR_ABORTED; what ended it at this peer, after the results
   */
  async *searchNetwork(
    what: string | { hash: Hash },
    options: NetworkSearchOptions = {},
  ): AsyncGenerator<SearchResult, void, void> {
    // Loaded only where it is used: who fetches starts faster.
    const [{ wantedOf }, { searchThrough }] = await Promise.all([
      import('../search/results.js'),
      import('../search/through.js'),
    ]);
    const wanted = wantedOf(what);
    const connection = await this.#connect(options.signal);
    const { id = UNKNOWN_PEER } = this.hello.info;
    yield* searchThrough(connection, { id, ...this.address }, wanted, options);
  }

  /** A file's bytes as a stream; nothing comes out of it that was not verified. */
  fetch(hash: Hash, options: FetchOptions = {}): FileStream {
    const request = getFile(hash, options);
    const cancel = new AbortController();
    const { signal: outer } = options;
    const signal = outer === undefined ? cancel.signal : AbortSignal.any([outer, cancel.signal]);
    let resume = (): void => undefined;
    return new FileStream({
      start: async (stream) => {
        const connection = await this.#connect(signal);
        resume = connection.resume;
        await connection.requestBody(
          request,
          (head) => {
            const receiver = new BodyReceiver(request, head, stream, options.onList);
            options.onHead?.(head);
            stream.head(head);
            return this.#limited(receiver, connection, options);
          },
          signal,
        );
      },
      resume: () => {
        resume();
      },
      cancel: () => {
        cancel.abort();
      },
    });
  }

  /**
   * Write a file's verified bytes into a sink. Faster than `fetch`: the memory of blocks is used
   * again. What was verified before an error has been written when the promise rejects.
   *
   * @throws PeerError; or what the sink threw
   */
  async fetchTo(hash: Hash, sink: ByteSink, options: FetchOptions = {}): Promise<void> {
    const request = getFile(hash, options);
    const connection = await this.#connect(options.signal);
    const broken = new AbortController();
    const output = new SinkOutput({
      sink,
      resume: connection.resume,
      onError: () => {
        broken.abort();
      },
    });
    const { signal: outer } = options;
    const signal = outer === undefined ? broken.signal : AbortSignal.any([outer, broken.signal]);
    try {
      await connection.requestBody(
        request,
        (head) => {
          const receiver = new BodyReceiver(request, head, output, options.onList);
          options.onHead?.(head);
          return this.#limited(receiver, connection, options);
        },
        signal,
      );
    } catch (error) {
      await output.finish();
      throw output.error ?? error;
    }
    await output.finish();
    if (output.error !== undefined) throw output.error;
  }

  /**
   * All verified bytes of a small file at once, for many files at less cost than `fetch` and `fetchTo`:
   * ask for the next ones while the first are under way (up to 256 on a connection).
   *
   * @param size its bytes, as listed, 262,144 at most; another size is an error
   * @throws PeerError
   */
  async fetchSmall(
    hash: Hash,
    size: number,
    { signal, onHead, limit }: Pick<FetchOptions, 'signal' | 'onHead' | 'limit'> = {},
  ): Promise<Buffer> {
    const request = getFile(hash, {});
    if (!(size <= SMALL_BYTES)) {
      throw new PeerError('ERR_USAGE', `a small file has at most ${SMALL_BYTES} bytes`);
    }
    const connection = await this.#connect(signal);
    let bytes: Buffer | undefined;
    await connection.requestBody(
      request,
      (head) => {
        onHead?.(head);
        const body = new SmallBody(request, head, size);
        bytes = body.bytes;
        return this.#limited(body, connection, { limit });
      },
      signal,
    );
    if (bytes === undefined) throw new TypeError('no body came');
    return bytes;
  }

  #limited(sink: BodySink, { resume }: Connection, { limit }: FetchOptions): BodySink {
    return limit === undefined ? sink : new LimitedSink(sink, limit.of(this.name), resume);
  }

  /** End the connection when what is under way has been answered. */
  async close(): Promise<void> {
    const connection = await this.#connection?.catch(() => undefined);
    this.#connection = undefined;
    if (connection === undefined || connection.closed.aborted) return;
    hangUp(connection);
    await once(connection.closed, 'abort');
  }

  /** The connection, made and known to be a peer's. */
  async #connect(signal: AbortSignal | undefined): Promise<Connection> {
    if (signal?.aborted === true) throw abortError(signal);
    this.#connection ??= this.#dial();
    const dialing = this.#connection;
    // Told to who waits for it; perhaps nobody does any more.
    dialing.catch(() => undefined);
    try {
      // Others may wait for the same connection: who gives up does so alone.
      const connection = await unlessAborted(dialing, signal);
      if (connection.usable) return connection;
    } catch (error) {
      const gaveUp = error instanceof PeerError && error.code === 'ERR_ABORTED';
      if (!gaveUp && this.#connection === dialing) this.#connection = undefined;
      throw error;
    }
    if (this.#connection === dialing) this.#connection = undefined;
    return this.#connect(signal);
  }

  async #dial(): Promise<Connection> {
    const { connection, pong } = await callPeer(this.address, this.#options);
    this.#hello = pong;
    this.#open = connection;
    return connection;
  }
}

/** A promise's outcome, or the abort if that comes first. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = (): void => {
      reject(abortError(signal));
    };
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** The request for a range. @throws PeerError ERR_USAGE */
export function getFile(hash: Hash, { offset, length }: FetchOptions): GetFile {
  if (!/^[0-9a-f]{64}$/.test(hash)) {
    throw new PeerError('ERR_USAGE', 'a hash is 64 hexadecimal digits (0-9, a-f)');
  }
  for (const [name, value] of Object.entries({ offset, length })) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0)) {
      throw new PeerError('ERR_USAGE', `${name} is a whole number of bytes`);
    }
  }
  return { type: 'RQFH', hash, offset, length };
}
