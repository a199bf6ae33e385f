/** The ways to answer an incoming request. */
import type { Answer, FileHead } from '../wire/messages.js';
import type { BodyWriter } from './outbound.js';

export interface Exchange {
  /** Who asks, for messages: `host:port`. */
  readonly from: string;
  /** Aborted when the connection closes. */
  readonly closed: AbortSignal;
  /** Bytes of answers on this connection that have not gone out. */
  readonly waitingBytes: number;
  /** Send an answer; any but the head of a body. */
  send(answer: Exclude<Answer, FileHead>): void;
  /**
   * Send the head of a body and the body, when it is this request's turn. If `write` fails the
   * connection is destroyed.
   */
  sendBody(head: FileHead, write: BodyWriter): Promise<void>;
  /** The same with a body that is in memory, whole: several go out in one system call. */
  sendWhole(head: FileHead, body: Uint8Array): Promise<void>;
  /**
   * Resolves when few bodies are before this one. Requests for small files are prepared far ahead; what
   * takes memory or descriptors for longer waits for this first.
   */
  readonly near: Promise<void>;
}

/** A body's place in the order of its connection. */
export interface Place {
  /** All before it have been written. */
  turn: Promise<void>;
  /** All but a few before it have been written. */
  near: Promise<void>;
}

/** Requests for bodies of one connection: several are prepared at once, written in order. */
export class BodyQueue {
  readonly #ahead: number;
  readonly #jobs: ((place: Place) => Promise<void>)[] = [];
  /** The turns of the last jobs that began, as many as may be near. */
  readonly #turns: Promise<void>[];
  #running = 0;
  #last: Promise<void> = Promise.resolve();

  /**
   * @param ahead how many are prepared (looked up, read) at the same time
   * @param near how many of them are told that they are near
   */
  constructor(ahead: number, near: number) {
    this.#ahead = ahead;
    this.#turns = Array.from({ length: near - 1 }, () => this.#last);
  }

  /** @param job prepares, waits for its turn, writes; never rejects */
  add(job: (place: Place) => Promise<void>): void {
    this.#jobs.push(job);
    this.#pump();
  }

  #pump(): void {
    while (this.#running < this.#ahead) {
      const job = this.#jobs.shift();
      if (job === undefined) return;
      this.#running++;
      const turn = this.#last;
      this.#turns.push(turn);
      const done = job({ turn, near: this.#turns.shift() ?? turn });
      this.#last = turn.then(() => done);
      void done.then(() => {
        this.#running--;
        this.#pump();
      });
    }
  }
}
