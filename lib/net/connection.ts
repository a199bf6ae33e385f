/**
 * One connection between two peers: answers matched to requests by tag, requests handed to the
 * handler, bodies in both directions. Both ends may ask and both may answer.
 *
 * Knows nothing of files: what is asked and answered is for those above it.
 */
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import { PeerError, abortError, asError, isWireErrorCode } from '../errors.js';
import { bodyBytes } from '../wire/body.js';
import { isMessageId, isRequestId, type Frame } from '../wire/frame.js';
import { MAX_UNANSWERED } from '../wire/limits.js';
import {
  decodeMessage,
  encodeMessage,
  type Answer,
  type ErrorAnswer,
  type FileHead,
  type FileList,
  type GetFile,
  type ListPeers,
  type PeerList,
  type Ping,
  type Pong,
  type Request,
  type Search,
  type SearchEnd,
  type ThirdPartyHasFiles,
} from '../wire/messages.js';
import { AnswerWatch } from './answer-watch.js';
import { DiscardSink, type BodySink } from './body-sink.js';
import { BodyQueue, type Exchange, type Place } from './exchange.js';
import { FRAME_TIMEOUT, FrameWatch } from './frame-watch.js';
import { Inbound } from './inbound.js';
import { Outbound } from './outbound.js';
import { RequestQuota } from '../limits/request-quota.js';
import { STALL_TIMEOUT, StallWatch } from './stall-watch.js';

/** The answer that completes a request. */
export type AnswerTo<R extends Request> = R extends Ping
  ? Pong
  : R extends ListPeers
    ? PeerList
    : never;

/** What comes in answer to a search; `files` first. */
export interface SearchAnswers {
  files(list: FileList): void;
  third(result: ThirdPartyHasFiles): void;
  /** The end of a search with ttl > 0; another ends with `files`. */
  end(end: SearchEnd): void;
  /** Nothing more comes: the other side's ERRR, the end of the connection, the signal. */
  fail(error: PeerError): void;
}

/**
 * Answers requests. What it throws is sent as ERRR, if nothing of a body has been sent: a PeerError
 * with a wire code under that code, everything else as internal, without its text.
 */
export type RequestHandler = (
  request: Request,
  exchange: Exchange,
  /** The connection it came on, for asking back. */
  connection: Connection,
) => Promise<void> | void;

export interface ConnectionOptions {
  /** Answers the other side's requests. */
  handler: RequestHandler;
  /** Who is at the other end, for messages: `host:port`. */
  name: string;
  /** Milliseconds without a byte from the other side, while it owes an answer, until it is given up. */
  answerTimeout: number;
  /** Milliseconds in which the other side takes nothing of what waits for it. @default STALL_TIMEOUT */
  stallTimeout?: number | undefined;
  /** Milliseconds until the other side's first frame has come. @default none need come */
  firstFrameTimeout?: number | undefined;
  /** Milliseconds in which a frame that has begun ends or grows by 4 KiB. @default FRAME_TIMEOUT */
  frameTimeout?: number | undefined;
  /** What requests of the other side are counted in, with those of other connections. @default its own */
  quota?: RequestQuota | undefined;
  /** Told when the other side's first request has been answered well. */
  onUse?: (() => void) | undefined;
  /** Told of errors of the handler that are nobody's fault but ours. */
  onInternalError?: ((error: Error) => void) | undefined;
}

type Acceptable = Exclude<Answer, ErrorAnswer>;

/** A request that waits for its answer. */
interface Waiting {
  readonly tag: number;
  readonly type: Request['type'];
  /** An answer has come; for RQFH: all of the body has come. @returns whether it was the last */
  take(answer: Acceptable): boolean;
  /** For RQFH: makes the sink for the body. */
  sink?: ((head: FileHead) => BodySink) | undefined;
  fail(error: PeerError): void;
  /** It has its first answer; how long the others may take is for who asked to say. */
  answered: boolean;
}

/** An unwanted body of at most this many bytes is read to its end; a longer one costs the connection. */
const DISCARD_BYTES = 1024 * 1024;
/** Bytes waiting to be written at which no more requests are read. */
const WRITE_HIGH_WATER = 1024 * 1024;
/** Requests for files that are prepared while an earlier body is written; and of these, large ones. */
const PREPARED = 64;
const LARGE_PREPARED = 4;

/** Milliseconds without a byte until the kernel asks whether the other machine is still there. */
const KEEPALIVE = 4_000;

const NEAR = Promise.resolve();

export class Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #answers: AnswerWatch;
  readonly #stalls: StallWatch;
  readonly #frames: FrameWatch;
  readonly #quota: RequestQuota;
  readonly #bodies = new BodyQueue(PREPARED, LARGE_PREPARED);
  readonly #waiting = new Map<number, Waiting>();
  /** Requests that wait until fewer are unanswered, by tag. */
  readonly #backlog = new Map<number, Buffer>();
  readonly #closed = new AbortController();
  /** The request whose body is being read. */
  #reading: { waiting: Waiting; head: FileHead } | undefined;
  #nextTag = 1;
  /** Tags have begun again from 1. */
  #allUsed = false;
  /** Requests of the other side that are not answered yet. */
  #unanswered = 0;
  /** When a request that brings something was last answered well: performance.now(). */
  #lastUse: number | undefined;
  #used = false;
  #peerEnded = false;
  /** Why the connection ends, if anything is wrong. */
  #error: PeerError | undefined;

  /**
   * @param socket connected. One made with `onread` gives its reads to `onread.buffer` and
   *   `onread.callback` below; of any other the `data` events are used.
   */
  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#answers = new AnswerWatch(options.answerTimeout, {
      owed: () => this.#isOwed(),
      bodyLeft: () => this.#inbound.sink?.remaining ?? 0,
      onSilence: () => {
        this.#giveUpPeer('did not answer', options.answerTimeout);
      },
    });
    const { stallTimeout = STALL_TIMEOUT } = options;
    this.#stalls = new StallWatch(socket, {
      timeout: stallTimeout,
      busy: () => this.#outbound.inBody,
      onStall: () => {
        this.#giveUpPeer('took nothing', stallTimeout);
      },
    });
    this.#outbound = new Outbound(socket, this.#stalls.wrote);
    this.#inbound = new Inbound({
      onFrame: (frame) => {
        this.#onFrame(frame);
      },
      onBodyEnd: () => {
        this.#onBodyEnd();
      },
      isAwaited: (tag) => this.#waiting.has(tag),
      onPartial: () => {
        this.#frames.begun();
      },
      mayTakeFrame: () => this.#outbound.waitingBytes < WRITE_HIGH_WATER,
      onPause: (paused) => {
        if (paused) socket.pause();
        else socket.resume();
        // That others have their turn is no progress.
        if (this.#inbound.sink !== undefined) this.#answers.update();
        else this.#answers.asked();
        this.#endIfDone();
      },
      onFault: (thrown) => {
        this.#onFault(thrown);
      },
    });
    const { firstFrameTimeout: first, frameTimeout: frame = FRAME_TIMEOUT } = options;
    this.#frames = new FrameWatch(this.#inbound, {
      first,
      frame,
      onLate: (what, ms) => {
        this.#giveUpPeer(what, ms);
      },
    });
    this.#quota = options.quota ?? new RequestQuota();
    // Every search and every file under way listens: more than the ten at which Node warns.
    setMaxListeners(0, this.#closed.signal);
    socket.setNoDelay(true);
    // A machine that is gone is found out 10 s later: libuv has it asked ten times, every second.
    socket.setKeepAlive(true, KEEPALIVE);
    socket.on('drain', () => {
      if (this.#inbound.sink === undefined) this.#inbound.resume();
    });
    socket.once('end', () => {
      this.#onPeerEnd();
    });
    socket.once('error', (error) => {
      this.#error ??= new PeerError('ERR_CLOSED', `the connection to ${this.name} was lost`, {
        cause: error,
      });
    });
    socket.once('close', () => {
      this.#onClose();
    });
  }

  /** Who is at the other end, for messages. */
  get name(): string {
    return this.#options.name;
  }

  /** The address at the other end; undefined when there is no connection. */
  get remoteHost(): string | undefined {
    return this.#socket.remoteAddress;
  }

  /** Aborted, with a PeerError as reason, when the connection is closed. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Whether a request can be sent and answered. */
  get usable(): boolean {
    return !this.#socket.destroyed && !this.#socket.writableEnded && !this.#peerEnded;
  }

  /** Whether the other side waits for something, or has not taken all that it asked for. */
  get busy(): boolean {
    return this.#unanswered > 0 || this.#outbound.waitingBytes > 0;
  }

  /**
   * When it was last of use: a request other than PING was answered well, or one of ours was answered
   * (performance.now()). Undefined: never.
   */
  get lastUse(): number | undefined {
    return this.#lastUse;
  }

  /** For a socket made with `onread`: where its reads go. */
  get onread(): { buffer: () => Uint8Array; callback: (n: number, memory: Uint8Array) => boolean } {
    return { buffer: this.#inbound.buffer, callback: this.#inbound.onRead };
  }

  /** For a socket of any other kind: take its `data` events. */
  readEvents(): this {
    this.#socket.on('data', this.#inbound.take);
    return this;
  }

  /**
   * Ask for something that has one answer.
   *
   * @throws PeerError the other side's ERRR under its code; ERR_CLOSED; ERR_TIMED_OUT; ERR_ABORTED
   */
  request<R extends Ping | ListPeers>(request: R, signal?: AbortSignal): Promise<AnswerTo<R>> {
    return new Promise<AnswerTo<R>>((resolve, reject) => {
      const take = (answer: Acceptable): boolean => {
        if (answer.type !== 'ACKN' || answer.of !== request.type) throw unfit(answer, request);
        resolve(answer as AnswerTo<R>);
        return true;
      };
      this.#ask(request, signal, { take, fail: reject });
    });
  }

  /** One page of the other side's own files. @throws PeerError as `request` */
  page(request: Search & { ttl: 0 }, signal?: AbortSignal): Promise<FileList> {
    return new Promise((resolve, reject) => {
      this.search(request, { files: resolve, third: nothing, end: nothing, fail: reject }, signal);
    });
  }

  /**
   * Search. After the first answer no time is kept here: the signal says when it was long enough.
   *
   * @param signal gives the search up; what still comes is ignored
   * @returns gives it up, too, at less cost than a signal
   */
  search(request: Search, on: SearchAnswers, signal?: AbortSignal): () => void {
    let listed = false;
    const take = (answer: Acceptable): boolean => {
      if (answer.type === 'RPFL' && !listed) {
        listed = true;
        on.files(answer);
        return request.ttl === 0;
      }
      if (answer.type === 'TPHF' && listed) {
        on.third(answer);
        return false;
      }
      if (answer.type !== 'ACKN' || answer.of !== 'RQFS' || !listed) throw unfit(answer, request);
      on.end(answer);
      return true;
    };
    const fail = (error: PeerError): void => {
      on.fail(error);
    };
    const giveUp = this.#ask(request, signal, { take, fail });
    return () => {
      giveUp(new PeerError('ERR_ABORTED', 'the search was given up'));
    };
  }

  /**
   * Ask for a file's bytes. Resolves when the sink has been given all of the body.
   *
   * @param makeSink called with the ACKN; what it throws ends the connection
   * @param signal gives the request up; the connection survives it if little of the body is left
   * @throws PeerError as `request`; and what the sink threw. A sink that was made is told, too.
   */
  requestBody(
    request: GetFile,
    makeSink: (head: FileHead) => BodySink,
    signal?: AbortSignal,
  ): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      let made: BodySink | undefined;
      this.#ask(request, signal, {
        sink: (head) => (made = makeSink(head)),
        take: () => {
          resolve();
          return true;
        },
        fail: (error) => {
          made?.fail(error);
          reject(error);
        },
      });
    });
  }

  /** To be called when a sink that had no space has some again. */
  get resume(): () => void {
    return this.#inbound.resume;
  }

  /** End the connection when what was written has gone out. */
  end(): void {
    this.#socket.end();
  }

  /** End the connection at once, and say why where nothing else is being said. */
  dismiss(error: PeerError): void {
    if (
      !this.#outbound.inBody &&
      this.#outbound.waitingBytes === 0 &&
      isWireErrorCode(error.code)
    ) {
      const { code, message } = error;
      // Goes out now or never.
      this.#socket.write(encodeMessage({ type: 'ERRR', code, message }, 0));
    }
    this.destroy(error);
  }

  /** End the connection at once; whatever is under way fails with `error`. */
  destroy(error?: PeerError): void {
    this.#error ??= error;
    this.#inbound.stop();
    this.#socket.destroy();
  }

  // ------------------------------------------------------------ our requests

  /** @returns gives the request up, if it still waits */
  #ask(
    request: Request,
    signal: AbortSignal | undefined,
    waiting: Pick<Waiting, 'take' | 'sink' | 'fail'>,
  ): (error: PeerError) => void {
    if (signal?.aborted === true) {
      waiting.fail(abortError(signal));
      return nothing;
    }
    if (!this.usable) {
      waiting.fail(this.#error ?? this.#lost());
      return nothing;
    }
    const tag = this.#takeTag();
    const onAbort = (): void => {
      if (signal !== undefined) this.#giveUp(tag, abortError(signal));
    };
    const asked: Waiting = {
      tag,
      type: request.type,
      answered: false,
      sink: waiting.sink,
      take: (answer) => {
        const last = waiting.take(answer);
        if (last) signal?.removeEventListener('abort', onAbort);
        return last;
      },
      fail: (error) => {
        signal?.removeEventListener('abort', onAbort);
        waiting.fail(error);
      },
    };
    this.#waiting.set(tag, asked);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#answers.asked();
    const frame = encodeMessage(request, tag);
    // More than the other side takes at once wait here.
    if (this.#waiting.size > MAX_UNANSWERED) this.#backlog.set(tag, frame);
    else this.#outbound.frame(frame);
    return (error) => {
      if (this.#waiting.get(tag) === asked) this.#giveUp(tag, error);
    };
  }

  #sendBacklog(): void {
    for (const [tag, frame] of this.#backlog) {
      if (this.#waiting.size - this.#backlog.size >= MAX_UNANSWERED) return;
      this.#backlog.delete(tag);
      this.#outbound.frame(frame);
    }
  }

  #takeTag(): number {
    let tag = this.#nextTag;
    while (tag === 0 || this.#waiting.has(tag)) tag = (tag + 1) >>> 0;
    this.#nextTag = (tag + 1) >>> 0;
    this.#allUsed ||= this.#nextTag < tag;
    return tag;
  }

  /** Whether a request with this tag was ever made here. */
  #wasUsed(tag: number): boolean {
    return tag !== 0 && (this.#allUsed || tag < this.#nextTag);
  }

  #lost(): PeerError {
    return new PeerError('ERR_CLOSED', `the connection to ${this.name} was closed`);
  }

  /** Nobody waits for `tag` any more. */
  #giveUp(tag: number, error: PeerError): void {
    const waiting = this.#waiting.get(tag);
    if (waiting === undefined) return;
    this.#waiting.delete(tag);
    if (this.#backlog.delete(tag)) {
      // It was never sent.
      waiting.fail(error);
      return;
    }
    const sink = this.#reading?.waiting === waiting ? this.#inbound.sink : undefined;
    if (waiting.type === 'RQFH') {
      if (sink !== undefined && sink.remaining > DISCARD_BYTES) {
        this.#reading = undefined;
        waiting.fail(error);
        this.destroy();
        return;
      } else {
        // Its body comes all the same, and must be read past.
        const unwanted = {
          tag,
          type: waiting.type,
          answered: false,
          sink: discard,
          take: () => true,
          fail: nothing,
        };
        this.#waiting.set(tag, unwanted);
        if (sink !== undefined && this.#reading !== undefined) {
          this.#reading = { waiting: unwanted, head: this.#reading.head };
          this.#inbound.replaceSink(new DiscardSink(sink.remaining));
        }
      }
    }
    waiting.fail(error);
    this.#answers.asked();
  }

  #onAnswer(answer: Answer, tag: number): void {
    const waiting = this.#waiting.get(tag);
    if (waiting === undefined) {
      // Why the connection is about to be closed.
      if (tag === 0 && answer.type === 'ERRR' && answer.code === 'ERR_BUSY') {
        this.#error ??= new PeerError('ERR_BUSY', `${this.name}: ${answer.message}`);
      }
      // Late: ignored, unless bytes follow of which nobody knows the meaning.
      if (answer.type === 'ACKN' && answer.of === 'RQFH') {
        throw new PeerError('ERR_MALFORMED', 'a body that was not asked for');
      }
      if (answer.type !== 'ERRR' && !this.#wasUsed(tag)) {
        throw new PeerError('ERR_MALFORMED', `${answer.type} answers nothing that was asked`);
      }
      return;
    }
    if (answer.type === 'ERRR') {
      this.#settled(tag);
      waiting.fail(new PeerError(answer.code, `${this.name}: ${answer.message}`));
    } else if (waiting.sink !== undefined) {
      if (answer.type !== 'ACKN' || answer.of !== 'RQFH') throw unfit(answer, waiting);
      const sink = waiting.sink(answer);
      this.#reading = { waiting, head: answer };
      this.#inbound.beginBody(sink);
    } else if (waiting.take(answer)) {
      this.#settled(tag);
    } else {
      waiting.answered = true;
      this.#answers.update();
    }
  }

  #onBodyEnd(): void {
    const reading = this.#reading;
    this.#reading = undefined;
    if (reading === undefined) return;
    this.#settled(reading.waiting.tag);
    reading.waiting.take(reading.head);
  }

  #settled(tag: number): void {
    this.#waiting.delete(tag);
    this.#lastUse = performance.now();
    this.#sendBacklog();
    this.#answers.update();
  }

  /** Time runs while the other side owes something, unless it is us who cannot take it. */
  #isOwed(): boolean {
    if (this.#inbound.paused && this.#inbound.sink !== undefined) return false;
    for (const { answered } of this.#waiting.values()) if (!answered) return true;
    return false;
  }

  /** @param ms for how long it has done nothing */
  #giveUpPeer(what: string, ms: number): void {
    this.destroy(new PeerError('ERR_TIMED_OUT', `${this.name} ${what} for ${ms / 1000} s`));
  }

  // ------------------------------------------------------------ the other side's requests

  #onFrame({ id, tag, payload, skipped }: Frame): void {
    if (!isMessageId(id)) {
      this.#sendError(tag, new PeerError('ERR_UNKNOWN_MESSAGE', `${id} is not known here`));
    } else if (skipped) {
      // An answer that nobody waits for.
    } else if (!isRequestId(id)) {
      this.#onAnswer(decodeMessage(id, payload), tag);
    } else if (this.#unanswered >= MAX_UNANSWERED) {
      this.#sendError(tag, new PeerError('ERR_BUSY', `${MAX_UNANSWERED} requests are unanswered`));
    } else if (!this.#quota.allows(this.#unanswered)) {
      this.#sendError(tag, new PeerError('ERR_BUSY', 'too many requests of all peers'));
    } else {
      let request: Request;
      try {
        request = decodeMessage(id, payload);
      } catch (error) {
        // The frame was whole: what comes after it can be understood.
        this.#sendError(tag, error);
        return;
      }
      this.#onRequest(request, tag);
    }
  }

  #onRequest(request: Request, tag: number): void {
    this.#unanswered++;
    this.#quota.inFlight++;
    if (request.type === 'RQFH') {
      this.#bodies.add((place) => this.#handle(request, tag, place));
    } else {
      void this.#handle(request, tag, undefined);
    }
  }

  async #handle(request: Request, tag: number, place: Place | undefined): Promise<void> {
    const body = { begun: false };
    // Once the last byte is out, the other side may ask again: whatever is still tidied up here.
    let owed = 1;
    const answered = (): void => {
      this.#unanswered -= owed;
      this.#quota.inFlight -= owed;
      owed = 0;
    };
    const outbound = this.#outbound;
    const exchange: Exchange = {
      from: this.name,
      closed: this.#closed.signal,
      get waitingBytes() {
        return outbound.waitingBytes;
      },
      send: (answer) => {
        this.#outbound.frame(encodeMessage(answer, tag));
      },
      near: place?.near ?? NEAR,
      sendWhole: async (head, body) => {
        await place?.turn;
        this.#closed.signal.throwIfAborted();
        await outbound.whole(encodeMessage(head, tag), body);
        answered();
      },
      sendBody: async (head, write) => {
        await place?.turn;
        this.#closed.signal.throwIfAborted();
        body.begun = true;
        await this.#outbound.frameAndBody(encodeMessage(head, tag), write);
        body.begun = false;
        answered();
      },
    };
    try {
      this.#closed.signal.throwIfAborted();
      await this.#options.handler(request, exchange, this);
      this.#onUse(request.type);
    } catch (error) {
      if (body.begun) this.destroy(asPeerError(error));
      else if (!this.#closed.signal.aborted) this.#sendError(tag, error);
    } finally {
      answered();
      this.#endIfDone();
    }
  }

  #onUse(type: Request['type']): void {
    if (type !== 'PING') this.#lastUse = performance.now();
    if (this.#used) return;
    this.#used = true;
    this.#options.onUse?.();
  }

  #sendError(tag: number, thrown: unknown): void {
    const known = thrown instanceof PeerError && isWireErrorCode(thrown.code) ? thrown : undefined;
    if (known === undefined) this.#options.onInternalError?.(asError(thrown));
    const { code, message } = known ?? { code: 'ERR_INTERNAL', message: 'internal error' };
    if (!isWireErrorCode(code)) return;
    this.#outbound.frame(encodeMessage({ type: 'ERRR', code, message }, tag));
  }

  // ------------------------------------------------------------ ends

  /** The other side sent what cannot be understood, or is wrong. */
  #onFault(thrown: unknown): void {
    const error = asPeerError(thrown);
    this.#error ??= error;
    this.#inbound.stop();
    if (this.#reading === undefined && isWireErrorCode(error.code)) {
      // Say why, then go.
      this.#sendError(0, error);
      this.#socket.destroySoon();
    } else {
      this.#socket.destroy();
    }
    this.#failAll(error);
  }

  #onPeerEnd(): void {
    this.#peerEnded = true;
    this.#failAll(this.#error ?? this.#lost());
    this.#endIfDone();
  }

  /** A peer that has sent its last request still gets its answers. */
  #endIfDone(): void {
    if (this.#peerEnded && this.#unanswered === 0 && this.#inbound.drained) this.#socket.end();
  }

  #onClose(): void {
    const error = this.#error ?? this.#lost();
    this.#answers.stop();
    this.#stalls.stop();
    this.#frames.stop();
    this.#inbound.stop();
    this.#failAll(error);
    this.#closed.abort(error);
  }

  #failAll(error: PeerError): void {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#backlog.clear();
    this.#reading = undefined;
    for (const waiting of all) waiting.fail(error);
  }
}

function unfit({ type }: Acceptable, request: { readonly type: Request['type'] }): PeerError {
  return new PeerError('ERR_MALFORMED', `${type} does not answer ${request.type}`);
}

function discard({ size, offset, length }: FileHead): BodySink {
  const bytes = bodyBytes(size, offset, length);
  if (bytes > DISCARD_BYTES) throw new PeerError('ERR_CLOSED', 'a body nobody wants any more');
  return new DiscardSink(bytes);
}

function nothing(): void {
  // Nobody waits.
}

function asPeerError(thrown: unknown): PeerError {
  if (thrown instanceof PeerError) return thrown;
  const { message } = asError(thrown);
  return new PeerError('ERR_CLOSED', message, { cause: thrown });
}
