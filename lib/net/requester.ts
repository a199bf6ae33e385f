/**
 * The asking half of a connection: requests with their tags, the answers matched to them, the bodies
 * handed to their sinks.
 */
import { PeerError, abortError } from '../errors.js';
import { onAbort } from '../support/signal.js';
import { bodyBytes } from '../wire/body.js';
import type {
  Answer,
  FileHead,
  FileList,
  GetFile,
  ListPeers,
  PeerList,
  Ping,
  Pong,
  Request,
  Search,
  SearchEnd,
  ThirdPartyHasFiles,
} from '../wire/messages.js';
import { DiscardSink, type BodySink } from './body-sink.js';
import type { Deadline } from './deadline.js';
import type { Inbound } from './inbound.js';
import type { Outbound } from './outbound.js';
import {
  PendingRequests,
  type AnswerTaker,
  type Pending,
  type PositiveAnswer,
} from './pending-requests.js';

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
  /** A result has come after the search was given up. */
  late?(result: ThirdPartyHasFiles): void;
}

/** What the asking half needs of its connection. */
export interface RequesterOptions {
  /** The other side, for messages: `host:port`. */
  readonly name: string;
  /** Runs while the other side owes an answer and could send it. */
  readonly deadline: Deadline;
  readonly inbound: Inbound;
  readonly outbound: Outbound;
  /** @returns why no request can be sent any more; undefined while one can */
  readonly unusable: () => PeerError | undefined;
  /** The other side has answered a request in full. */
  readonly onAnswered: () => void;
  /** The connection must end: the rest of a body is more than is worth reading. */
  readonly destroy: () => void;
}

/** An unwanted body of at most this many bytes is read to its end; a longer one costs the connection. */
const DISCARD_BYTES = 1024 * 1024;

export class Requester {
  readonly #options: RequesterOptions;
  readonly #pending: PendingRequests;
  /** The request whose body is being read. */
  #reading: { pending: Pending; head: FileHead } | undefined;

  constructor(options: RequesterOptions) {
    this.#options = options;
    this.#pending = new PendingRequests((frame) => {
      options.outbound.frame(frame);
    });
  }

  /** A body is being received: nothing else can come before its end. */
  get inBody(): boolean {
    return this.#reading !== undefined;
  }

  /** Whether the other side owes the first answer to any request. */
  get isOwed(): boolean {
    return this.#pending.isOwed;
  }

  isAwaited(tag: number): boolean {
    return this.#pending.get(tag) !== undefined;
  }

  /** As `Connection.request`. */
  request<R extends Ping | ListPeers>(request: R, signal?: AbortSignal): Promise<AnswerTo<R>> {
    return new Promise<AnswerTo<R>>((resolve, reject) => {
      const take = (answer: PositiveAnswer): boolean => {
        if (answer.type !== 'ACKN' || answer.of !== request.type) throw unfit(answer, request);
        resolve(answer as AnswerTo<R>);
        return true;
      };
      this.#ask(request, signal, { take, fail: reject });
    });
  }

  /** As `Connection.search`. */
  search(request: Search, on: SearchAnswers, signal?: AbortSignal): () => void {
    let told = on;
    let listed = false;
    const take = (answer: PositiveAnswer): boolean => {
      if (answer.type === 'RPFL' && !listed) {
        listed = true;
        told.files(answer);
        return request.ttl === 0;
      }
      if (answer.type === 'TPHF' && listed) {
        told.third(answer);
        return false;
      }
      if (answer.type !== 'ACKN' || answer.of !== 'RQFS' || !listed) throw unfit(answer, request);
      told.end(answer);
      return true;
    };
    const fail = (error: PeerError): void => {
      told = { ...IGNORE, third: (result) => on.late?.(result) };
      on.fail(error);
    };
    const giveUp = this.#ask(request, signal, { take, fail });
    return () => {
      giveUp(new PeerError('ERR_ABORTED', 'the search was given up'));
    };
  }

  /** As `Connection.requestBody`. */
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

  /** An answer has come. @throws PeerError ERR_MALFORMED when it must end the connection */
  onAnswer(answer: Answer, tag: number): void {
    const pending = this.#pending.get(tag);
    if (pending === undefined) {
      // Late: ignored, unless bytes follow whose meaning is lost.
      if (answer.type === 'ACKN' && answer.of === 'RQFH') {
        throw new PeerError('ERR_MALFORMED', 'a body that was not asked for');
      }
      if (!(answer.type === 'ERRR' && tag === 0) && !this.#pending.wasUsed(tag)) {
        throw new PeerError('ERR_MALFORMED', `${answer.type} answers nothing that was asked`);
      }
      return;
    }
    if (answer.type === 'ERRR') {
      this.#settle(pending);
      pending.fail(new PeerError(answer.code, `${this.#options.name}: ${answer.message}`));
    } else if (pending.sink !== undefined) {
      if (answer.type !== 'ACKN' || answer.of !== 'RQFH') throw unfit(answer, pending);
      const sink = pending.givenUp ? discard(answer) : pending.sink(answer);
      this.#reading = { pending, head: answer };
      this.#options.inbound.beginBody(sink);
    } else if (pending.take(answer)) {
      this.#settle(pending);
    } else {
      pending.answered = true;
      this.#progress();
    }
  }

  /** All of a body has been given to its sink. */
  onBodyEnd(): void {
    const reading = this.#reading;
    this.#reading = undefined;
    if (reading === undefined) return;
    this.#settle(reading.pending);
    reading.pending.take(reading.head);
  }

  /** Reading from the socket was paused, or resumed. */
  onPause(): void {
    // Yielding to other connections does not count as progress.
    if (this.#options.inbound.sink !== undefined) this.#progress();
    else this.#watch();
  }

  /** No answer can come any more. */
  failAll(error: PeerError): void {
    const all = this.#pending.clear();
    this.#reading = undefined;
    this.#options.deadline.stop();
    for (const pending of all) pending.fail(error);
  }

  /** @returns gives the request up, if it is still pending */
  #ask(
    request: Request,
    signal: AbortSignal | undefined,
    taker: AnswerTaker,
  ): (error: PeerError) => void {
    const error = signal?.aborted === true ? abortError(signal) : this.#options.unusable();
    if (error !== undefined) {
      taker.fail(error);
      return () => undefined;
    }
    let forget = (): void => undefined;
    const pending: Pending = this.#pending.add(request, {
      sink: taker.sink,
      take: (answer) => {
        const last = taker.take(answer);
        if (last) forget();
        return last;
      },
      fail: (reason) => {
        if (pending.givenUp) return;
        pending.givenUp = true;
        forget();
        taker.fail(reason);
      },
    });
    forget = onAbort(signal, (signal) => {
      this.#giveUp(pending, abortError(signal));
    });
    this.#watch();
    return (reason) => {
      this.#giveUp(pending, reason);
    };
  }

  /** The caller no longer waits. Unless it was never sent, its answer comes all the same. */
  #giveUp(pending: Pending, error: PeerError): void {
    if (this.#pending.get(pending.tag) !== pending) return;
    const isUnsent = this.#pending.withdraw(pending);
    const { inbound, destroy } = this.#options;
    const sink = this.#reading?.pending === pending ? inbound.sink : undefined;
    pending.fail(error);
    if (isUnsent) this.#watch();
    else if (sink === undefined) return;
    else if (sink.remaining > DISCARD_BYTES) destroy();
    else inbound.replaceSink(new DiscardSink(sink.remaining));
  }

  #settle(pending: Pending): void {
    this.#pending.settle(pending);
    this.#options.onAnswered();
    this.#progress();
  }

  /** Something came that was owed, or can be taken again. */
  #progress(): void {
    this.#options.deadline.progress();
    this.#watch();
  }

  #watch(): void {
    const { inbound, deadline } = this.#options;
    // This side cannot take more: the peer is not to blame.
    const isHeld = inbound.paused && inbound.sink !== undefined;
    if (this.#pending.isOwed && !isHeld) deadline.start();
    else deadline.stop();
  }
}

function unfit({ type }: PositiveAnswer, request: { readonly type: Request['type'] }): PeerError {
  return new PeerError('ERR_MALFORMED', `${type} does not answer ${request.type}`);
}

function discard({ size, offset, length }: FileHead): BodySink {
  const bytes = bodyBytes(size, offset, length);
  if (bytes > DISCARD_BYTES) throw new PeerError('ERR_CLOSED', 'a body that is no longer wanted');
  return new DiscardSink(bytes);
}

/** Stands for a caller that has given up. */
const IGNORE: SearchAnswers = { files: nothing, third: nothing, end: nothing, fail: nothing };

function nothing(): void {
  // The caller is not interested.
}
