/**
 * Requests that wait for their answers, by tag. The other side takes 256 at once (PROTOCOL.md, section 2); the
 * rest wait here until it has answered others. A request that was given up counts until then, as it does there.
 */
import type { PeerError } from '../errors.js';
import { MAX_UNANSWERED } from '../wire/limits.js';
import { encodeMessage, type Answer, type ErrorAnswer, type FileHead } from '../wire/messages.js';
import type { Request } from '../wire/messages.js';
import type { BodySink } from './body-sink.js';

export type PositiveAnswer = Exclude<Answer, ErrorAnswer>;

/** What becomes of the answers to a request. */
export interface AnswerTaker {
  /** An answer has come; for RQFH: all of the body has come. @returns whether it was the last */
  take(answer: PositiveAnswer): boolean;
  /** For RQFH: makes the sink for the body. */
  sink?: ((head: FileHead) => BodySink) | undefined;
  /** No more answers come, or are wanted. Whatever still comes goes to `take`. */
  fail(error: PeerError): void;
}

export interface Pending extends AnswerTaker {
  readonly tag: number;
  readonly type: Request['type'];
  /** It has its first answer; how long the others may take is for the caller to say. */
  answered: boolean;
  /** `fail` was called: the answers only show when the other side is done with it. */
  givenUp: boolean;
}

export class PendingRequests {
  readonly #send: (frame: Buffer) => void;
  readonly #all = new Map<number, Pending>();
  /** Frames of those that have not been sent. */
  readonly #unsent = new Map<number, Buffer>();
  #nextTag = 1;
  /** Tags have begun again from 1. */
  #allUsed = false;

  constructor(send: (frame: Buffer) => void) {
    this.#send = send;
  }

  get(tag: number): Pending | undefined {
    return this.#all.get(tag);
  }

  /** Send a request, now or when the other side has answered others. */
  add(request: Request, taker: AnswerTaker): Pending {
    const tag = this.#takeTag();
    const { type } = request;
    const pending = { ...taker, tag, type, answered: false, givenUp: false };
    this.#unsent.set(tag, encodeMessage(request, tag));
    this.#all.set(tag, pending);
    this.#sendNext();
    return pending;
  }

  /** The other side is done with it. */
  settle({ tag }: Pending): void {
    this.#all.delete(tag);
    this.#sendNext();
  }

  /** It is not wanted any more. @returns whether it was never sent, and is forgotten */
  withdraw({ tag }: Pending): boolean {
    return this.#unsent.delete(tag) && this.#all.delete(tag);
  }

  /** Forget all. @returns what was pending */
  clear(): Pending[] {
    const all = [...this.#all.values()];
    this.#all.clear();
    this.#unsent.clear();
    return all;
  }

  /** Whether the other side owes the first answer to any. */
  get isOwed(): boolean {
    for (const { answered } of this.#all.values()) if (!answered) return true;
    return false;
  }

  /** Whether a request with this tag was ever made here. */
  wasUsed(tag: number): boolean {
    return tag !== 0 && (this.#allUsed || tag < this.#nextTag);
  }

  #sendNext(): void {
    for (const [tag, frame] of this.#unsent) {
      if (this.#all.size - this.#unsent.size >= MAX_UNANSWERED) return;
      this.#unsent.delete(tag);
      this.#send(frame);
    }
  }

  #takeTag(): number {
    let tag = this.#nextTag;
    while (tag === 0 || this.#all.has(tag)) tag = (tag + 1) >>> 0;
    this.#nextTag = (tag + 1) >>> 0;
    this.#allUsed ||= this.#nextTag < tag;
    return tag;
  }
}
