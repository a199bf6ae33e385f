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
}

/** Requests for bodies of one connection: several are prepared at once, written in order. */
export class BodyQueue {
  readonly #ahead: number;
  readonly #jobs: ((turn: Promise<void>) => Promise<void>)[] = [];
  #running = 0;
  #last: Promise<void> = Promise.resolve();

  /** @param ahead how many are prepared (opened, looked up) at the same time */
  constructor(ahead: number) {
    this.#ahead = ahead;
  }

  /** @param job prepares, waits for its turn, writes; never rejects */
  add(job: (turn: Promise<void>) => Promise<void>): void {
    this.#jobs.push(job);
    this.#pump();
  }

  #pump(): void {
    while (this.#running < this.#ahead) {
      const job = this.#jobs.shift();
      if (job === undefined) return;
      this.#running++;
      const turn = this.#last;
      const done = job(turn);
      this.#last = Promise.all([turn, done]).then(() => undefined);
      void done.then(() => {
        this.#running--;
        this.#pump();
      });
    }
  }
}
