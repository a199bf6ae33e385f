/**
 * The asking half of a connection: requests with their tags, the answers matched to them, the bodies
 * handed to their sinks.
 */
import { PeerError, abortError } from '../errors.js';
import { bodyBytes } from '../wire/body.js';
import { MAX_UNANSWERED } from '../wire/limits.js';
import {
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
import type { Inbound } from './inbound.js';
import type { Outbound } from './outbound.js';

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

/** What the asking half needs of its connection. */
export interface RequesterOptions {
  /** The other side, for messages: `host:port`. */
  readonly name: string;
  /** Milliseconds without a byte from the other side, while it owes an answer, until it is given up. */
  readonly answerTimeout: number;
  readonly inbound: Inbound;
  readonly outbound: Outbound;
  /** @returns why no request can be sent any more; undefined while one can */
  readonly unusable: () => PeerError | undefined;
  /** The other side has answered a request in full. */
  readonly onAnswered: () => void;
  /** The other side owes an answer and has sent nothing of it for so many milliseconds. */
  readonly onSilence: (ms: number) => void;
  /** The connection must end: the rest of a body is more than is worth reading. */
  readonly destroy: () => void;
}

type Acceptable = Exclude<Answer, ErrorAnswer>;

/** A request that waits for its answer. */
interface Pending {
  readonly tag: number;
  readonly type: Request['type'];
  /** An answer has come; for RQFH: all of the body has come. @returns whether it was the last */
  take(answer: Acceptable): boolean;
  /** For RQFH: makes the sink for the body. */
  sink?: ((head: FileHead) => BodySink) | undefined;
  fail(error: PeerError): void;
  /** It has its first answer; how long the others may take is for the caller to say. */
  answered: boolean;
}

/** An unwanted body of at most this many bytes is read to its end; a longer one costs the connection. */
const DISCARD_BYTES = 1024 * 1024;

export class Requester {
  readonly #options: RequesterOptions;
  readonly #answers: AnswerWatch;
  readonly #pending = new Map<number, Pending>();
  /** Requests that wait until fewer are unanswered, by tag. */
  readonly #backlog = new Map<number, Buffer>();
  /** The request whose body is being read. */
  #reading: { pending: Pending; head: FileHead } | undefined;
  #nextTag = 1;
  /** Tags have begun again from 1. */
  #allUsed = false;

  constructor(options: RequesterOptions) {
    this.#options = options;
    const { answerTimeout, inbound, onSilence } = options;
    this.#answers = new AnswerWatch(answerTimeout, {
      owed: () => this.#isOwed(),
      bodyLeft: () => inbound.sink?.remaining ?? 0,
      onSilence: () => {
        onSilence(answerTimeout);
      },
    });
  }

  /** A body is being received: nothing else can come before its end. */
  get inBody(): boolean {
    return this.#reading !== undefined;
  }

  isAwaited(tag: number): boolean {
    return this.#pending.has(tag);
  }

  /** As `Connection.request`. */
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

  /** As `Connection.search`. */
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
      this.#settle(tag);
      pending.fail(new PeerError(answer.code, `${this.#options.name}: ${answer.message}`));
    } else if (pending.sink !== undefined) {
      if (answer.type !== 'ACKN' || answer.of !== 'RQFH') throw unfit(answer, pending);
      const sink = pending.sink(answer);
      this.#reading = { pending, head: answer };
      this.#options.inbound.beginBody(sink);
    } else if (pending.take(answer)) {
      this.#settle(tag);
    } else {
      pending.answered = true;
      this.#answers.update();
    }
  }

  /** All of a body has been given to its sink. */
  onBodyEnd(): void {
    const reading = this.#reading;
    this.#reading = undefined;
    if (reading === undefined) return;
    this.#settle(reading.pending.tag);
    reading.pending.take(reading.head);
  }

  /** Reading from the socket was paused, or resumed. */
  onPause(): void {
    // Yielding to other connections does not count as progress.
    if (this.#options.inbound.sink !== undefined) this.#answers.update();
    else this.#answers.asked();
  }

  /** No answer can come any more. */
  failAll(error: PeerError): void {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    this.#backlog.clear();
    this.#reading = undefined;
    for (const pending of all) pending.fail(error);
  }

  /** The connection is closed. */
  close(error: PeerError): void {
    this.#answers.stop();
    this.failAll(error);
  }

  /** @returns gives the request up, if it is still pending */
  #ask(
    request: Request,
    signal: AbortSignal | undefined,
    pending: Pick<Pending, 'take' | 'sink' | 'fail'>,
  ): (error: PeerError) => void {
    const error = signal?.aborted === true ? abortError(signal) : this.#options.unusable();
    if (error !== undefined) {
      pending.fail(error);
      return nothing;
    }
    const tag = this.#takeTag();
    const onAbort = (): void => {
      if (signal !== undefined) this.#giveUp(tag, abortError(signal));
    };
    const asked: Pending = {
      tag,
      type: request.type,
      answered: false,
      sink: pending.sink,
      take: (answer) => {
        const last = pending.take(answer);
        if (last) signal?.removeEventListener('abort', onAbort);
        return last;
      },
      fail: (reason) => {
        signal?.removeEventListener('abort', onAbort);
        pending.fail(reason);
      },
    };
    this.#pending.set(tag, asked);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#answers.asked();
    const frame = encodeMessage(request, tag);
    // More than the other side takes at once wait here.
    if (this.#pending.size > MAX_UNANSWERED) this.#backlog.set(tag, frame);
    else this.#options.outbound.frame(frame);
    return (reason) => {
      if (this.#pending.get(tag) === asked) this.#giveUp(tag, reason);
    };
  }

  #sendBacklog(): void {
    for (const [tag, frame] of this.#backlog) {
      if (this.#pending.size - this.#backlog.size >= MAX_UNANSWERED) return;
      this.#backlog.delete(tag);
      this.#options.outbound.frame(frame);
    }
  }

  #takeTag(): number {
    let tag = this.#nextTag;
    while (tag === 0 || this.#pending.has(tag)) tag = (tag + 1) >>> 0;
    this.#nextTag = (tag + 1) >>> 0;
    this.#allUsed ||= this.#nextTag < tag;
    return tag;
  }

  /** Whether a request with this tag was ever made here. */
  #wasUsed(tag: number): boolean {
    return tag !== 0 && (this.#allUsed || tag < this.#nextTag);
  }

  /** The caller no longer waits for `tag`. */
  #giveUp(tag: number, error: PeerError): void {
    const pending = this.#pending.get(tag);
    if (pending === undefined) return;
    this.#pending.delete(tag);
    if (this.#backlog.delete(tag)) {
      // It was never sent.
      pending.fail(error);
      return;
    }
    const { inbound, destroy } = this.#options;
    const sink = this.#reading?.pending === pending ? inbound.sink : undefined;
    if (pending.type === 'RQFH') {
      if (sink !== undefined && sink.remaining > DISCARD_BYTES) {
        this.#reading = undefined;
        pending.fail(error);
        destroy();
        return;
      }
      // Its body comes all the same, and must be read past.
      const unwanted = {
        tag,
        type: pending.type,
        answered: false,
        sink: discard,
        take: () => true,
        fail: nothing,
      };
      this.#pending.set(tag, unwanted);
      if (sink !== undefined && this.#reading !== undefined) {
        this.#reading = { pending: unwanted, head: this.#reading.head };
        inbound.replaceSink(new DiscardSink(sink.remaining));
      }
    }
    pending.fail(error);
    this.#answers.asked();
  }

  #settle(tag: number): void {
    this.#pending.delete(tag);
    this.#options.onAnswered();
    this.#sendBacklog();
    this.#answers.update();
  }

  /** Time runs while the other side owes something, unless it is this side which cannot take it. */
  #isOwed(): boolean {
    const { inbound } = this.#options;
    if (inbound.paused && inbound.sink !== undefined) return false;
    for (const { answered } of this.#pending.values()) if (!answered) return true;
    return false;
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
  // The caller is not interested.
}
