/** Bodies of one peer: as a stream, into a sink, or small ones whole. Nothing unverified comes out. */
import { PeerError, asError } from '../errors.js';
import { DiscardSink, type BodySink } from '../net/body-sink.js';
import type { Connection } from '../net/connection.js';
import { onAbort, signalOf } from '../support/signal.js';
import { bodyBytes } from '../wire/body.js';
import { isHex32 } from '../wire/limits.js';
import type { FileHead, GetFile, Hash } from '../wire/messages.js';
import type { ConnectionPool, Lease } from './connection-pool.js';
import {
  BodyReceiver,
  type BlockOutput,
  type ByteSink,
  type FetchOptions,
  type FetchRange,
} from './receive/body-receiver.js';
import { CallGuard } from './receive/call-guard.js';
import { FileStream } from './receive/file-stream.js';
import { LimitedSink } from './receive/limited-sink.js';
import { SinkOutput } from './receive/sink-output.js';
import { SMALL_BYTES, SmallBody } from './receive/small-body.js';

export type SmallOptions = Pick<FetchOptions, 'signal' | 'onHead' | 'limit'>;

/**
 * Ranges of one file that are asked for before the first has come. Of single blocks this is 16 MiB: as
 * much as is under way on a line of 80 MB/s with a round trip of 200 ms.
 */
const MAX_AHEAD = 64;
/** Small files share this, those with a rate of their own their rate. */
const SMALL = Symbol('small files');
/** The body of a small file that is not wanted any more is read to its end, if it is no longer than this. */
const MAX_DISCARD = 1024 * 1024;

export class Bodies {
  readonly #name: string;
  readonly #pool: ConnectionPool;

  /** @param name of the peer, for rates and messages: `host:port` */
  constructor(name: string, pool: ConnectionPool) {
    this.#name = name;
    this.#pool = pool;
  }

  /** As `Peer.fetch`. */
  stream(hash: Hash, options: FetchOptions): FileStream {
    const request = getFile(hash, options);
    const early = this.#pool.closing;
    const cancel = new AbortController();
    const forget = onAbort(signalOf(options), ({ reason }) => {
      cancel.abort(reason);
    });
    let resume = (): void => undefined;
    const receive = async (stream: FileStream): Promise<void> => {
      if (early) this.#pool.check();
      await this.#pool.use({ signal: cancel.signal }, async (connection, lease) => {
        resume = connection.resume;
        const guarded = {
          ...options,
          onHead: (head: FileHead) => {
            options.onHead?.(head);
            stream.head(head);
          },
        };
        await this.#receive(connection, lease, request, stream, guarded, cancel.signal);
      });
    };
    return new FileStream({
      start: (stream) => receive(stream).finally(forget),
      resume: () => {
        resume();
      },
      cancel: () => {
        forget();
        cancel.abort();
      },
    });
  }

  /** As `Peer.fetchRanges`. */
  async toSink(
    hash: Hash,
    ranges: Iterable<FetchRange>,
    sink: ByteSink,
    options: Omit<FetchOptions, 'offset' | 'length'>,
  ): Promise<void> {
    this.#pool.check();
    const signal = signalOf(options);
    await this.#pool.use({ signal }, async (connection, lease) => {
      const end = (error: Error): void => {
        connection.destroy(asClosed(error));
      };
      const { resume } = connection;
      const onError = (): void => {
        end(output.error ?? new Error('the sink failed'));
      };
      const output = new SinkOutput({ sink, resume, onError });
      try {
        await ahead(ranges, MAX_AHEAD, async (range) => {
          const request = getFile(hash, range);
          await this.#receive(connection, lease, request, output, options, signal);
        });
      } catch (error) {
        // Nothing more is to come for the output.
        if (lease.owes) end(asError(error));
        await output.finish();
        throw output.error ?? error;
      }
      await output.finish();
      if (output.error !== undefined) throw output.error;
    });
  }

  /** As `Peer.fetchSmall`. */
  async small(hash: Hash, size: number, options: SmallOptions): Promise<Buffer> {
    const request = getFile(hash, {});
    if (!(size <= SMALL_BYTES)) {
      throw new PeerError('ERR_USAGE', `a small file has at most ${SMALL_BYTES} bytes`);
    }
    this.#pool.check();
    const signal = signalOf(options);
    for (;;) {
      try {
        return await this.#pool.use({ share: options.limit ?? SMALL, signal }, (connection) =>
          this.#small(connection, request, size, { ...options, signal }),
        );
      } catch (error) {
        // It was ended by another call's fault: this one is asked for again.
        if (!(error instanceof SharedEnd)) throw error;
      }
    }
  }

  async #small(
    connection: Connection,
    request: GetFile,
    size: number,
    options: SmallOptions & { signal: AbortSignal | undefined },
  ): Promise<Buffer> {
    let body: SmallBody | undefined;
    let failure: { error: unknown } | undefined;
    const makeSink = (head: FileHead): BodySink => {
      try {
        options.onHead?.(head);
        body = new SmallBody(request, head, size);
        return this.#limited(body, connection, options);
      } catch (error) {
        failure = { error };
        return discard(head);
      }
    };
    try {
      await connection.requestBody(request, makeSink, options.signal);
    } catch (error) {
      throw failure === undefined ? error : failure.error;
    }
    if (failure !== undefined) throw failure.error;
    if (body === undefined) throw new TypeError('no body came');
    if (body.error !== undefined) throw body.error;
    return body.bytes;
  }

  /** Receive one body over a connection of the call's own. */
  async #receive(
    connection: Connection,
    lease: Lease,
    request: GetFile,
    output: BlockOutput,
    options: FetchOptions,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const guard = new CallGuard();
    if (lease.requests > 0) lease.owes = true;
    lease.requests++;
    const makeSink = (head: FileHead): BodySink =>
      guard.run(() => {
        lease.owes = true;
        const receiver = new BodyReceiver(request, head, output, options.onList);
        options.onHead?.(head);
        lease.sink = guard.sink(this.#limited(receiver, connection, options));
        return lease.sink;
      });
    try {
      await connection.requestBody(request, makeSink, signal);
      lease.requests--;
    } catch (error) {
      throw guard.errorFor(error);
    }
  }

  #limited(sink: BodySink, { resume }: Connection, { limit }: FetchOptions): BodySink {
    return limit === undefined ? sink : new LimitedSink(sink, limit.of(this.#name), resume);
  }
}

/** Asks for several at a time, begun in order. @throws what the first that fails throws */
async function ahead<T>(
  items: Iterable<T>,
  most: number,
  ask: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = items[Symbol.iterator]();
  let failed: { error: unknown } | undefined;
  const lane = async (): Promise<void> => {
    try {
      for (let next = waiting.next(); next.done !== true && failed === undefined;) {
        await ask(next.value);
        next = waiting.next();
      }
    } catch (error) {
      // What the others throw after it follows from it.
      failed ??= { error };
      throw error;
    }
  };
  await Promise.all(Array.from({ length: most }, lane));
}

/** Ends a connection that calls share because of one of them. */
class SharedEnd extends PeerError {}

/** @throws SharedEnd when the rest is more than is worth reading */
function discard({ size, offset, length }: FileHead): DiscardSink {
  const bytes = bodyBytes(size, offset, length);
  if (bytes <= MAX_DISCARD) return new DiscardSink(bytes);
  throw new SharedEnd('ERR_CLOSED', 'a body that is not wanted');
}

function asClosed(error: Error): PeerError {
  if (error instanceof PeerError) return error;
  return new PeerError('ERR_CLOSED', error.message, { cause: error });
}

/** The request for a range. @throws PeerError ERR_USAGE */
export function getFile(hash: Hash, { offset, length }: FetchRange): GetFile {
  if (!isHex32(hash)) {
    throw new PeerError('ERR_USAGE', 'a hash is 64 hexadecimal digits (0-9, a-f)');
  }
  for (const [name, value] of Object.entries({ offset, length })) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 0)) {
      throw new PeerError('ERR_USAGE', `${name} is a whole number of bytes`);
    }
  }
  return { type: 'RQFH', hash, offset, length };
}
