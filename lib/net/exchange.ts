/** The ways to answer an incoming request. */
import type { ByteAccount } from '../limits/byte-budget.js';
import type { Answer, FileHead } from '../wire/messages.js';
import type { BodyWriter } from './outbound.js';

export interface Exchange {
  /** The side that asks, for messages: `host:port`. */
  readonly from: string;
  /** Aborted when the connection closes. */
  readonly closed: AbortSignal;
  /** Bytes of answers on this connection that have not gone out. */
  readonly waitingBytes: number;
  /** Bytes that this connection has in memory to be sent. */
  readonly account: ByteAccount;
  /**
   * Prepare and send an answer that may be long: after others like it, when there is room for it.
   *
   * @param job told whether there is ample room, or the answer should be short
   */
  whenRoom(job: (ample: boolean) => Promise<void>): Promise<void>;
  /** Send an answer; any but the head of a body. */
  send(answer: Exclude<Answer, FileHead>): void;
  /**
   * Send the head of a body and the body, when it is this request's turn. If `write` fails the
   * connection is destroyed.
   */
  sendBody(head: FileHead, write: BodyWriter): Promise<void>;
  /** The same with a body that is in memory, whole: several go out in one system call. */
  sendWhole(head: FileHead, body: Uint8Array): Promise<void>;
  /** Resolves when all bodies that were asked for before this one have been written. */
  readonly turn: Promise<void>;
}

/** Requests that are prepared at once for a peer that has not taken a body yet. */
const UNPROVEN_AHEAD = 4;

/** Requests for bodies of one connection: several are prepared at once, written in order. */
export class BodyQueue {
  readonly #ahead: number;
  readonly #hasRoom: () => boolean;
  readonly #jobs: ((turn: Promise<void>) => Promise<void>)[] = [];
  #running = 0;
  /** A body has gone out: the peer takes what it asks for. */
  #isTaken = false;
  #last: Promise<void> = Promise.resolve();

  /**
   * @param ahead how many are looked up and read at the same time
   * @param hasRoom whether there is memory for more than one
   */
  constructor(ahead: number, hasRoom: () => boolean) {
    this.#ahead = ahead;
    this.#hasRoom = hasRoom;
  }

  /** @param job prepares, waits for its turn, writes; never rejects */
  add(job: (turn: Promise<void>) => Promise<void>): void {
    this.#jobs.push(job);
    this.#pump();
  }

  #pump(): void {
    const most = this.#isTaken ? this.#ahead : Math.min(UNPROVEN_AHEAD, this.#ahead);
    while (this.#running === 0 || (this.#running < most && this.#hasRoom())) {
      const job = this.#jobs.shift();
      if (job === undefined) return;
      this.#running++;
      const turn = this.#last;
      const done = job(turn);
      this.#last = turn.then(() => done);
      void done.then(() => {
        this.#running--;
        this.#isTaken = true;
        this.#pump();
      });
    }
  }
}
