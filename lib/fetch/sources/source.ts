/** One of the peers that a file comes from: its connection, its requests, how fast it is. */
import { PeerError, abortError } from '../../errors.js';
import type { OnList } from '../receive/body-verifier.js';
import type { Connection } from '../../net/connection.js';
import type { FileHead, GetFile, Hash } from '../../wire/messages.js';
import { DiscardSink, type BodySink } from '../../net/body-sink.js';
import type { ClientRate, RateLimiter } from '../../limits/rate-limiter.js';
import { LimitedSink } from '../receive/limited-sink.js';
import { BodyReceiver, checkHead, type BlockOutput } from '../receive/body-receiver.js';
import { Throughput } from './throughput.js';

/** A peer that may have the file. */
export interface SourcePeer {
  /** For messages: `host:port`. */
  readonly name: string;
  /** A connection for this download alone. @throws PeerError */
  connect(signal: AbortSignal): Promise<Connection>;
  /** One that is not used any more and owes nothing. */
  release(connection: Connection): void;
  /** What it said of a file last: it is not asked again. */
  claim?: FileClaim | undefined;
}

/** What a peer says of a file, and how long that took. */
export interface FileClaim {
  readonly hash: Hash;
  readonly size: number;
  /** When it was last changed, in seconds since 1970. */
  readonly modified: number | undefined;
  /** Milliseconds from the question to the answer. */
  readonly roundTrip: number;
}

/** Bytes of the file. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** What came out of a source. */
export interface SourceCounts {
  /** Verified blocks that were wanted. */
  blocks: number;
  /** Blocks that had come from another source before. */
  duplicates: number;
}

export class Source {
  readonly name: string;
  readonly throughput = new Throughput();
  readonly counts: SourceCounts = { blocks: 0, duplicates: 0 };
  /** Ranges that came whole. */
  ranges = 0;
  readonly #peer: SourcePeer;
  readonly #hash: Hash;
  readonly #rate: ClientRate | undefined;
  #connection: Connection | undefined;
  #claim: FileClaim | undefined;
  /** Bytes of bodies that have come, and at the last look. */
  #bytes = 0;
  #sampledBytes = 0;
  #sampledAt = 0;
  /** Requests under way. */
  #requests = 0;
  #busySince = 0;
  #busy = 0;
  #silentSince = 0;
  #isStarved = false;

  constructor(peer: SourcePeer, hash: Hash, limit?: RateLimiter) {
    this.name = peer.name;
    this.#peer = peer;
    this.#hash = hash;
    // One client: the sources share what may come.
    this.#rate = limit?.of('sources');
  }

  /**
   * Connect, and ask how long the file is.
   *
   * @param offset first byte wanted
   * @returns bytes of the file; a claim
   * @throws PeerError what `connect` throws; ERRR of the peer
   */
  async open(offset: number, signal: AbortSignal): Promise<number> {
    const connection = await this.#peer.connect(signal);
    try {
      const known = this.#peer.claim;
      const isKnown = known?.hash === this.#hash;
      this.#claim = isKnown ? known : await this.#ask(connection, offset, signal);
    } catch (error) {
      connection.destroy();
      throw error;
    }
    if (signal.aborted) {
      connection.destroy();
      throw abortError(signal);
    }
    this.#connection = connection;
    this.#peer.claim = this.#claim;
    return this.#claim.size;
  }

  /** When the file was last changed, as it says. */
  get modified(): number | undefined {
    return this.#claim?.modified;
  }

  async #ask(connection: Connection, offset: number, signal: AbortSignal): Promise<FileClaim> {
    const request: GetFile = { type: 'RQFH', hash: this.#hash, offset, length: 0 };
    const begin = performance.now();
    let claim: FileClaim | undefined;
    await connection.requestBody(
      request,
      (head) => {
        checkHead(request, head);
        const { size, modified } = head;
        claim = { hash: this.#hash, size, modified, roundTrip: performance.now() - begin };
        return new DiscardSink(0);
      },
      signal,
    );
    if (claim === undefined) throw new TypeError('no head came');
    return claim;
  }

  /**
   * Ask for whole blocks, but for the ends of what is wanted of the file.
   *
   * @throws PeerError ERR_MISMATCH when it lies, and then the connection is lost; as `requestBody`
   */
  async fetch(
    { offset, length }: ByteRange,
    output: BlockOutput,
    onList: OnList | undefined,
  ): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) throw new TypeError('not connected');
    const request: GetFile = { type: 'RQFH', hash: this.#hash, offset, length };
    if (this.#requests++ === 0) {
      this.#busySince = performance.now();
      this.#silentSince = this.#busySince;
    }
    try {
      await connection.requestBody(request, (head) =>
        this.#limited(this.#receiver(request, head, output, onList), connection),
      );
      this.ranges++;
    } finally {
      if (--this.#requests === 0) this.#busy += performance.now() - this.#busySince;
    }
  }

  /** There was no memory for what it sends: that says nothing of its rate. */
  get starved(): boolean {
    return this.#isStarved;
  }
  set starved(full: boolean) {
    this.#isStarved = full;
    if (!full) this.#connection?.resume();
  }

  /**
   * Take stock of what came since the last time.
   *
   * @param now milliseconds (performance.now)
   * @param waiting blocks that it is asked for
   */
  sample(now: number, waiting: number): void {
    const came = this.#bytes - this.#sampledBytes;
    this.#sampledBytes = this.#bytes;
    let busy = this.#busy;
    this.#busy = 0;
    if (this.#requests > 0) {
      busy += now - this.#busySince;
      this.#busySince = now;
    }
    if (came > 0 || this.#isStarved || this.#requests === 0) this.#silentSince = now;
    const roundTrip = this.#claim?.roundTrip ?? 0;
    if (!this.#isStarved && busy > 0) this.throughput.add(came, busy, roundTrip, waiting);
    this.#sampledAt = now;
  }

  /** Milliseconds, at the last look, since anything came of what it owes. */
  get silentFor(): number {
    return this.#sampledAt - this.#silentSince;
  }

  /** Let go of the connection. What is under way fails with `error`. */
  close(error?: PeerError): void {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#isStarved = false;
    if (connection === undefined) return;
    if (error === undefined && this.#requests === 0) this.#peer.release(connection);
    else connection.destroy(error);
  }

  #limited(sink: BodySink, { resume }: Connection): BodySink {
    return this.#rate === undefined ? sink : new LimitedSink(sink, this.#rate, resume);
  }

  #receiver(
    request: GetFile,
    head: FileHead,
    output: BlockOutput,
    onList: OnList | undefined,
  ): BodyReceiver {
    if (head.size !== this.#claim?.size) {
      throw new PeerError('ERR_MALFORMED', `${this.name} reports two sizes of one file`);
    }
    const onBytes = (n: number): void => {
      this.#bytes += n;
    };
    return new MeteredReceiver(request, head, output, onList, onBytes);
  }
}

/** Says how many bytes came: a block of a slow source takes its time. */
class MeteredReceiver extends BodyReceiver {
  readonly #onBytes: (n: number) => void;

  constructor(
    request: GetFile,
    head: FileHead,
    output: BlockOutput,
    onList: OnList | undefined,
    onBytes: (n: number) => void,
  ) {
    super(request, head, output, onList);
    this.#onBytes = onBytes;
  }

  override advance(n: number): void {
    this.#onBytes(n);
    super.advance(n);
  }
}
