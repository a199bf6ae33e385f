/**
 * A file from many sources at once: requests from each what the scheduler says, drops sources that lie,
 * stall or are lost, and hands verified blocks to the writer.
 */
import { PeerError, abortError, asError } from '../../errors.js';
import { onAbort } from '../../support/signal.js';
import type { VerifiedBlock } from '../receive/body-verifier.js';
import { BLOCK_BYTES, blockCount, blockLength } from '../../wire/body.js';
import type { BlockSet } from '../block-set.js';
import { checkHead, type BlockOutput } from '../receive/body-receiver.js';
import { BlockWriter } from './block-writer.js';
import { SourcePool, type Session } from './source-pool.js';
import type { DownloadOptions, SourceSummary } from './events.js';
import { RANGES_AHEAD, MIN_WINDOW } from './throughput.js';
import { bytesOf, copyOf, wantedBlocks } from './wanted-blocks.js';
import { Scheduler, type BlockRequest } from './scheduler.js';
import type { ByteRange, Source, SourcePeer } from './source.js';
import { SAMPLE_INTERVAL, SourceMonitor } from './source-monitor.js';

export class Download {
  readonly #options: DownloadOptions;
  readonly #pool: SourcePool;
  /** Sources that wait for memory, the first to get it first. */
  readonly #starved = new Set<Source>();
  readonly #monitor: SourceMonitor;
  /** Blocks. */
  readonly #window: number;
  readonly #finished: Promise<void>;
  #resolve: () => void = nothing;
  #reject: (error: Error) => void = nothing;
  #writer: BlockWriter | undefined;
  #scheduler: Scheduler<Session> | undefined;
  #have: BlockSet | undefined;
  /** Bytes of the file: a claim until `#proven`. */
  #size: number | undefined;
  #proven = false;
  /** Bytes of the file that are wanted. */
  #range: ByteRange = { offset: 0, length: 0 };

  constructor(options: DownloadOptions) {
    const { onHead, onList, onSource } = options;
    this.#options = {
      ...options,
      onHead: this.#guarded(onHead),
      onList: this.#guarded(onList),
      onSource: this.#guarded(onSource),
    };
    this.#window = Math.max(MIN_WINDOW, Math.floor(options.window / BLOCK_BYTES));
    this.#finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#monitor = new SourceMonitor(
      options.stall,
      options.ordered ? this.#window : Infinity,
      (session) => {
        this.#pool.report(session.source, 'stalled');
      },
    );
    this.#pool = new SourcePool(options, {
      onEnter: (session) => {
        this.#enter(session);
      },
      onLeave: (session) => {
        this.#leave(session);
      },
      onNone: () => {
        this.#endIfNoneLeft();
      },
      onEvent: (event) => this.#options.onSource?.(event),
      onError: this.#reject,
    });
  }

  /**
   * @param peers asked as they come
   * @throws PeerError ERR_MISMATCH when no source is left and one lied; of one source, its own error; what
   *   the sink threw. What was verified before has been written.
   */
  async run(peers: Iterable<SourcePeer> | AsyncIterable<SourcePeer>): Promise<void> {
    const { signal } = this.#options;
    if (signal?.aborted === true) throw abortError(signal);
    const forget = onAbort(signal, (signal) => {
      this.#reject(abortError(signal));
    });
    const timer = setInterval(() => {
      if (this.#scheduler === undefined) return;
      this.#monitor.sample(this.#pool.sessions, this.#scheduler);
      this.#pumpAll();
    }, SAMPLE_INTERVAL);
    void this.#pool.join(peers);
    try {
      await this.#finished;
    } finally {
      clearInterval(timer);
      forget();
      this.#pool.end();
    }
  }

  /** A callback that ends the download when it throws: no source takes the blame. */
  #guarded<A extends unknown[]>(
    callback: ((...args: A) => void) | undefined,
  ): ((...args: A) => void) | undefined {
    if (callback === undefined) return undefined;
    return (...args) => {
      try {
        callback(...args);
      } catch (error) {
        this.#reject(asError(error));
      }
    };
  }

  /** What each source gave, in the order in which they came. */
  get summary(): SourceSummary[] {
    return this.#pool.summary;
  }

  #leave(session: Session): void {
    this.#scheduler?.leave(session);
    this.#starved.delete(session.source);
    this.#pumpAll();
  }

  #endIfNoneLeft(): void {
    if (!this.#pool.isGone || this.#scheduler?.done === true) return;
    // What has come is written first.
    if (this.#writer === undefined || this.#writer.stalled) this.#reject(this.#pool.error);
  }

  // ------------------------------------------------------------ size

  /** A source claims how long the file is. The first claim holds until another is proven. */
  #enter(session: Session): void {
    const { source, claim } = session;
    try {
      // A false claim of an empty file shows without any bytes.
      if (claim === 0) {
        checkHead({ type: 'RQFH', hash: this.#options.hash }, wantedBlocks({}, 0).head);
      }
      if (this.#size === undefined && this.#options.prove !== true) this.#plan(session);
    } catch (error) {
      session.fail(error as PeerError);
      return;
    }
    if (claim === this.#size) {
      this.#pool.report(source, 'ready');
      this.#scheduler?.join(session);
      this.#pump(session);
    } else if (this.#proven) {
      session.fail(wrongSize(session, this.#size ?? 0));
    } else {
      void this.#prove(session);
    }
  }

  /**
   * Make the plan for a file of as many bytes as a source claims.
   *
   * @throws PeerError ERR_RANGE, ERR_MISMATCH when the size cannot be or is not what was asked for
   */
  #plan({ source, claim: size }: Session): void {
    const { onHead, ordered } = this.#options;
    const { head, first, end } = wantedBlocks(this.#options, size);
    onHead?.({ ...head, modified: source.modified });
    this.#range = head;
    this.#size = size;
    this.#have = copyOf(this.#have ?? this.#options.have, blockCount(size));
    this.#scheduler = new Scheduler({
      have: this.#have,
      first,
      end,
      window: ordered ? this.#window : undefined,
    });
    this.#writer ??= new BlockWriter({
      sink: this.#options.sink,
      ordered,
      first,
      limit: this.#window,
      blockBytes: BLOCK_BYTES,
      onWritten: (next) => {
        if (!ordered) return;
        this.#scheduler?.advance(next);
        this.#pumpIdle();
      },
      onPause: () => {
        this.#endIfDone();
        this.#endIfNoneLeft();
      },
      onRoom: () => {
        this.#resume();
      },
      onError: this.#reject,
    });
    if (ordered) this.#scheduler.advance(this.#writer.next);
    this.#endIfDone();
  }

  /** Sizes differ: the source that can send the last block of the file has the right one. */
  async #prove(session: Session): Promise<void> {
    const { source, claim } = session;
    const last = blockCount(claim) - 1;
    const range = { offset: last * BLOCK_BYTES, length: blockLength(claim, last) };
    try {
      let buffer: Uint8Array | undefined;
      await source.fetch(
        range,
        {
          allocate: (bytes) => (buffer ??= new Uint8Array(bytes)),
          write: nothing,
          end: nothing,
          fail: nothing,
        },
        this.#options.onList,
      );
    } catch (error) {
      session.fail(error as PeerError);
      return;
    }
    if (this.#pool.isEnded() || this.#proven || !this.#pool.has(session)) return;
    this.#proven = true;
    try {
      this.#plan(session);
    } catch (error) {
      this.#reject(asError(error));
      return;
    }
    this.#dropWrongSizes();
    for (const other of this.#pool.sessions) if (other.claim === claim) this.#enter(other);
  }

  /** Drop the sources that claim another size than was proven. */
  #dropWrongSizes(): void {
    for (const session of this.#pool.sessions) {
      if (session.claim !== this.#size) session.fail(wrongSize(session, this.#size ?? 0));
    }
  }

  // ------------------------------------------------------------ blocks

  #pumpAll(): void {
    for (const session of this.#pool.sessions) this.#pump(session);
  }

  /** The window has moved: idle sources may have something to do. */
  #pumpIdle(): void {
    for (const session of this.#pool.sessions) {
      if (this.#scheduler?.waiting(session) === 0) this.#pump(session, false);
    }
  }

  /** @param duplicates whether to request blocks that were requested elsewhere, when no others are left */
  #pump(session: Session, duplicates = true): void {
    const scheduler = this.#scheduler;
    if (scheduler === undefined || this.#pool.isEnded() || !this.#pool.has(session)) return;
    const blocks = this.#monitor.rangeOf(session);
    if (blocks === 0) return;
    while (scheduler.waiting(session) <= (RANGES_AHEAD - 1) * blocks) {
      const ask = scheduler.next(session, blocks, duplicates);
      if (ask === undefined) return;
      void this.#ask(session, scheduler, ask, this.#range);
    }
  }

  async #ask(
    session: Session,
    scheduler: Scheduler<Session>,
    ask: BlockRequest,
    range: ByteRange,
  ): Promise<void> {
    try {
      await session.source.fetch(
        bytesOf(ask, range),
        this.#outputFor(session),
        this.#options.onList,
      );
    } catch (error) {
      session.fail(error as PeerError);
    }
    scheduler.ended(session, ask);
    this.#pump(session);
  }

  #outputFor(session: Session): BlockOutput {
    const { source } = session;
    let held = false;
    return {
      allocate: () => {
        const memory = this.#writer?.allocate();
        held = memory !== undefined;
        if (!held) {
          source.starved = true;
          this.#starved.add(source);
        }
        return memory;
      },
      write: (block) => {
        held = false;
        this.#take(session, block);
      },
      end: nothing,
      fail: () => {
        if (held) this.#writer?.discard();
      },
    };
  }

  #take(session: Session, block: VerifiedBlock): void {
    const index = Math.floor(block.start / BLOCK_BYTES);
    const { counts } = session.source;
    if (this.#pool.isEnded() || this.#scheduler?.arrived(session, index) !== true) {
      counts.duplicates++;
      this.#writer?.release(block.buffer);
    } else {
      counts.blocks++;
      this.#writer?.put(index, block);
    }
    if (!this.#proven && session.claim === this.#size && index === blockCount(this.#size) - 1) {
      this.#proven = true;
      this.#dropWrongSizes();
    }
    this.#pump(session);
  }

  /** There is memory: the sources that wait for it resume, in turn. */
  #resume(): void {
    for (const source of [...this.#starved]) {
      if (this.#writer?.hasRoom !== true) return;
      this.#starved.delete(source);
      source.starved = false;
    }
  }

  #endIfDone(): void {
    const isWritten = this.#writer === undefined || this.#writer.idle;
    if (this.#scheduler?.done === true && isWritten) this.#resolve();
  }
}

function wrongSize({ source, claim }: Session, size: number): PeerError {
  const text = `${source.name} says that the file has ${claim} bytes; it has ${size}`;
  return new PeerError('ERR_MISMATCH', text);
}

function nothing(): void {
  // The caller is told by the promise.
}
