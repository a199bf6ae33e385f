/**
 * One connection between two peers, from the socket's first byte to its last. Both ends may ask
 * (`Requester`) and both may answer (`Responder`).
 *
 * Knows nothing of files: requests and answers are for those above it.
 */
import type { Socket } from 'node:net';
import { PeerError } from '../errors.js';
import { RequestQuota } from '../limits/request-quota.js';
import { ByteBudget } from '../limits/byte-budget.js';
import { isMessageId, isRequestId, type Frame } from '../wire/frame.js';
import {
  decodeMessage,
  type FileHead,
  type FileList,
  type GetFile,
  type ListPeers,
  type PeerId,
  type Ping,
  type Request,
  type Search,
} from '../wire/messages.js';
import type { BodySink } from './body-sink.js';
import { ConnectionDeadlines, type DeadlineTimes } from './connection-deadlines.js';
import type { Exchange } from './exchange.js';
import { Inbound } from './inbound.js';
import { descriptorOf, kernelReceive, type Receive } from './kernel-receive.js';
import { Lifecycle, asPeerError } from './lifecycle.js';
import { Outbound } from './outbound.js';
import { Requester, type AnswerTo, type SearchAnswers } from './requester.js';
import { Responder } from './responder.js';
import { clientOf } from './scope.js';

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

export interface ConnectionOptions extends DeadlineTimes {
  /** Answers the other side's requests. */
  handler: RequestHandler;
  /** The other end, for messages: `host:port`. */
  name: string;
  /** The id of which the other end has proven that it has the key. */
  provenId?: PeerId | undefined;
  /** When the connection was made, from which the first frame's time counts. @default now: performance.now() */
  since?: number | undefined;
  /** What requests of the other side are counted in, with those of other connections. @default its own */
  quota?: RequestQuota | undefined;
  /** Reads long bodies, on a socket made with `onread`. @default recv(2), where there is one */
  receive?: Receive | undefined;
  /** Counts what is in memory to be sent, with that of other connections. @default its own */
  sendBudget?: ByteBudget | undefined;
  /** Told when the other side's first request has been answered well. */
  onUse?: (() => void) | undefined;
  /** Called with errors of the handler that are this side's own fault. */
  onInternalError?: ((error: Error) => void) | undefined;
}

const TOO_MANY = new PeerError('ERR_BUSY', 'too many requests wait');

/** Milliseconds without a byte until the kernel sends keep-alive probes. */
const KEEPALIVE = 4_000;

export class Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #inbound: Inbound;
  readonly #outbound: Outbound;
  readonly #requester: Requester;
  readonly #responder: Responder;
  readonly #deadlines: ConnectionDeadlines;
  readonly #quota: RequestQuota;
  readonly #life: Lifecycle;
  /** When a request that brings something was last answered well: performance.now(). */
  #lastUse: number | undefined;
  #used = false;
  /** No more requests are read until there is room for them and their answers. */
  #awaitsRoom = false;

  /**
   * @param socket connected. One made with `onread` gives its reads to `onread.buffer` and
   *   `onread.callback` below; of any other the `data` events are used.
   */
  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    const { name, quota = new RequestQuota() } = options;
    this.#quota = quota;
    this.#life = new Lifecycle(socket, name, () => ({
      inbound: this.#inbound,
      outbound: this.#outbound,
      requester: this.#requester,
      responder: this.#responder,
      deadlines: this.#deadlines,
      onClose: () => {
        this.#quota.forget(this.#readOn);
      },
    }));
    this.#deadlines = new ConnectionDeadlines(options, {
      socket,
      since: options.since,
      inbound: () => this.#inbound,
      outbound: () => this.#outbound,
      onExpired: (what, ms) => {
        this.destroy(new PeerError('ERR_TIMED_OUT', `${name} ${what} for ${ms / 1000} s`));
      },
    });
    const client = clientOf(socket.remoteAddress ?? '');
    const account = (options.sendBudget ?? new ByteBudget()).account(client);
    this.#outbound = new Outbound(socket, {
      account,
      onWrite: this.#deadlines.wrote,
      onSent: this.#readOn,
    });
    this.#inbound = this.#makeInbound();
    this.#requester = new Requester({
      name,
      deadline: this.#deadlines.answer,
      inbound: this.#inbound,
      outbound: this.#outbound,
      unusable: () => (this.usable ? undefined : this.#life.reason),
      onAnswered: () => {
        this.#lastUse = performance.now();
      },
      destroy: () => {
        this.destroy();
      },
    });
    this.#responder = new Responder({
      name,
      client,
      outbound: this.#outbound,
      account,
      closed: this.closed,
      handler: (request, exchange) => options.handler(request, exchange, this),
      quota,
      onServed: (type) => {
        this.#onServed(type);
      },
      onDone: () => {
        this.#life.endIfDone();
        this.#readOn();
      },
      onInternalError: options.onInternalError,
      destroy: (error) => {
        this.destroy(asPeerError(error));
      },
    });
    socket.setNoDelay(true);
    // A dead machine is detected after 10 s more: libuv sends ten probes, one a second.
    socket.setKeepAlive(true, KEEPALIVE);
  }

  #makeInbound(): Inbound {
    return new Inbound({
      onFrame: (frame) => {
        this.#onFrame(frame);
      },
      onBodyEnd: () => {
        this.#requester.onBodyEnd();
      },
      isAwaited: (tag) => this.#requester.isAwaited(tag),
      onPartial: () => {
        this.#deadlines.onPartial();
      },
      onBodyBytes: (bytes) => {
        this.#deadlines.answer.progress(bytes);
      },
      mayTakeFrame: () => {
        this.#awaitsRoom = !this.#hasRoom();
        return !this.#awaitsRoom;
      },
      onPause: (paused) => {
        const waiting = paused && this.#awaitsRoom ? this.#inbound.unused : 0;
        if (!this.#responder.keep(waiting)) this.dismiss(TOO_MANY);
        if (paused) this.#socket.pause();
        else this.#socket.resume();
        this.#requester.onPause();
        this.#life.endIfDone();
      },
      onFault: (thrown) => {
        this.#life.onFault(thrown);
      },
      receive: (memory) => {
        const { receive = kernelReceive() } = this.#options;
        const fd = descriptorOf(this.#socket);
        return receive === undefined || fd === undefined ? -1 : receive(fd, memory);
      },
    });
  }

  /** The other end, for messages: `host:port`. */
  get name(): string {
    return this.#options.name;
  }

  /** The id of which the other end has proven that it has the key; undefined: it has proven none. */
  get provenId(): PeerId | undefined {
    return this.#options.provenId;
  }

  /** The address at the other end; undefined when there is no connection. */
  get remoteHost(): string | undefined {
    return this.#socket.remoteAddress;
  }

  /** Aborted, with a PeerError as reason, when the connection is closed. */
  get closed(): AbortSignal {
    return this.#life.closed;
  }

  /** Whether a request can be sent and answered. */
  get usable(): boolean {
    return this.#life.usable;
  }

  /** Whether the other side waits for something, or has not taken all that it asked for. */
  get busy(): boolean {
    return this.#responder.unanswered > 0 || this.#outbound.waitingBytes > 0;
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

  /** For a socket of any other kind: take its `data` events, also where it is paused. */
  readEvents(): this {
    this.#socket.on('data', this.#inbound.take).resume();
    return this;
  }

  /**
   * Ask for something that has one answer.
   *
   * @throws PeerError the other side's ERRR under its code; ERR_CLOSED; ERR_TIMED_OUT; ERR_ABORTED
   */
  request<R extends Ping | ListPeers>(request: R, signal?: AbortSignal): Promise<AnswerTo<R>> {
    return this.#requester.request(request, signal);
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
   * @returns a function that gives it up, too, at less cost than a signal
   */
  search(request: Search, on: SearchAnswers, signal?: AbortSignal): () => void {
    return this.#requester.search(request, on, signal);
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
    return this.#requester.requestBody(request, makeSink, signal);
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
    this.#life.dismiss(error);
  }

  /** End the connection at once; whatever is under way fails with `error`. */
  destroy(error?: PeerError): void {
    this.#life.destroy(error);
  }

  #onFrame({ id, tag, payload, skipped }: Frame): void {
    this.#deadlines.onFrame();
    if (!isMessageId(id)) {
      const error = new PeerError('ERR_UNKNOWN_MESSAGE', `${id} is not known here`);
      this.#responder.sendError(tag, error);
    } else if (skipped) {
      // An answer that is not awaited.
    } else if (isRequestId(id)) {
      this.#responder.onRequest(id, payload, tag);
    } else {
      const answer = decodeMessage(id, payload);
      if (tag === 0 && answer.type === 'ERRR') this.#life.onUntaggedError(answer);
      this.#requester.onAnswer(answer, tag);
    }
  }

  /** Whether a request may be read. What this side has asked for itself comes in any case. */
  #hasRoom(): boolean {
    if (!this.#outbound.hasRoom) return false;
    if (this.#responder.hasRoom || this.#requester.isOwed) return true;
    this.#quota.wait(this.#readOn);
    return false;
  }

  /** There may be room again. */
  readonly #readOn = (): void => {
    if (!this.#awaitsRoom || !this.#hasRoom()) return;
    this.#awaitsRoom = false;
    this.#inbound.resume();
  };

  #onServed(type: Request['type']): void {
    if (type !== 'PING') this.#lastUse = performance.now();
    if (this.#used) return;
    this.#used = true;
    this.#options.onUse?.();
  }
}

function nothing(): void {
  // A page has no such answer.
}
