/**
 * One connection on which HTTP is spoken: requests are answered one after the other, in the limits in which those of
 * other peers are. Node's own server reads them and writes the heads of answers.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { PeerError } from '../errors.js';
import type { ByteAccount } from '../limits/byte-budget.js';
import type { RequestQuota } from '../limits/request-quota.js';
import { Deadline } from '../net/deadline.js';
import { kernelQueue } from '../net/kernel-queue.js';
import { sayLast } from '../net/refusals.js';
import { SendProgress } from '../net/send-progress.js';
import type { RawConnection } from '../serve/raw-transfer.js';

export interface HttpConnectionOptions {
  readonly account: ByteAccount;
  /** Counts the requests that are not answered, with those of other connections. */
  readonly quota: RequestQuota;
  /** Milliseconds in which the other side takes something of what waits for it. */
  readonly stallTimeout: number;
  /** Its first request has been answered well. */
  readonly onUse: () => void;
}

/** Requests that are not answered yet from which on no more are read. */
const AHEAD = 32;
/** Those that are read in one piece may be more; but not so many. */
const MAX_AHEAD = 1024;

/** How old what is known of the kernel may be, as a part of the stall timeout. */
const TABLE_AGE = 1 / 100;

export class HttpConnection implements RawConnection {
  readonly socket: Socket;
  readonly account: ByteAccount;
  readonly remoteHost: string | undefined;
  readonly #options: HttpConnectionOptions;
  readonly #closed = new AbortController();
  readonly #stalled: Deadline;
  readonly #sending: SendProgress;
  /** Resolves when all requests so far have been answered. */
  #last: Promise<void> = Promise.resolve();
  #unanswered = 0;
  #paused = false;
  #current: ServerResponse | undefined;
  /** It ends with the answer to the last request. */
  #ending = false;
  #lastUse: number | undefined;

  constructor(socket: Socket, options: HttpConnectionOptions) {
    this.socket = socket;
    this.#options = options;
    this.account = options.account;
    this.remoteHost = socket.remoteAddress;
    const { stallTimeout } = options;
    const inKernel = () => kernelQueue(socket, stallTimeout * TABLE_AGE);
    this.#sending = new SendProgress(socket, () => this.busy, inKernel);
    this.#stalled = new Deadline({
      timeout: stallTimeout,
      look: this.#sending.look,
      onExpired: () => {
        this.destroy();
      },
    });
    socket.setNoDelay(true).once('close', () => {
      this.#stalled.close();
      this.account.close();
      options.quota.forget(this.#readOn);
      options.quota.end(this.#unanswered);
      this.#unanswered = 0;
      this.#closed.abort(new PeerError('ERR_CLOSED', 'the connection was closed'));
    });
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }
  get lastUse(): number | undefined {
    return this.#lastUse;
  }
  get busy(): boolean {
    return this.#unanswered > 0;
  }

  /**
   * A request has come: answer it when those before it have been answered.
   *
   * @param answer never rejects. @returns whether it was of use
   */
  add(response: ServerResponse, answer: () => Promise<boolean>): void {
    if (this.closed.aborted) return;
    const { quota } = this.#options;
    if (this.#unanswered >= MAX_AHEAD) {
      this.destroy();
      return;
    }
    this.#unanswered++;
    quota.begin();
    if (this.#unanswered === 1) {
      this.#sending.begin();
      this.#stalled.start();
    }
    this.#pauseIfFull();
    this.#last = this.#last.then(() => this.#answer(response, answer));
  }

  /** Resolves when the kernel has all of an answer, or the connection is closed. */
  async answered(response: ServerResponse): Promise<void> {
    if (response.closed || this.closed.aborted) return;
    await new Promise<void>((resolve) => {
      response.once('close', resolve);
    });
  }

  /** What came cannot be understood, nor what comes after it: say so after the answers, and end. */
  refuse(status: string): void {
    this.#last = this.#last.then(() => {
      if (this.closed.aborted) return;
      const head = [`HTTP/1.1 ${status}`, 'X-Content-Type-Options: nosniff', 'Content-Length: 0'];
      this.socket.end(`${[...head, 'Connection: close'].join('\r\n')}\r\n\r\n`);
      this.socket.destroySoon();
    });
  }

  end(): void {
    this.#ending = true;
    if (this.#current?.headersSent === false) this.#current.shouldKeepAlive = false;
    this.#endIfDone();
  }

  dismiss(error: PeerError): void {
    if (this.#current?.headersSent === false) sayLast(this.socket, 'http', error.message);
    this.destroy();
  }

  destroy(): void {
    this.socket.destroy();
  }

  async #answer(response: ServerResponse, answer: () => Promise<boolean>): Promise<void> {
    if (this.closed.aborted) return;
    this.#current = response;
    if (this.#ending) response.shouldKeepAlive = false;
    const wasOfUse = await answer();
    await this.answered(response);
    this.#current = undefined;
    // It was closed: its requests are counted no more.
    if (this.#unanswered === 0) return;
    this.#unanswered--;
    this.#options.quota.end(1);
    if (this.#unanswered === 0) this.#stalled.stop();
    if (wasOfUse) {
      if (this.#lastUse === undefined) this.#options.onUse();
      this.#lastUse = performance.now();
    }
    this.#readOn();
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#ending && this.#unanswered === 0) this.socket.end();
  }

  #pauseIfFull(): void {
    const { quota } = this.#options;
    const mayRead = quota.allows(this.#unanswered);
    if (mayRead && this.#unanswered < AHEAD) return;
    this.#paused = true;
    this.socket.pause();
    if (!mayRead) quota.wait(this.#readOn);
  }

  readonly #readOn = (): void => {
    if (!this.#paused || this.#unanswered >= AHEAD) return;
    if (!this.#options.quota.allows(this.#unanswered)) {
      this.#options.quota.wait(this.#readOn);
      return;
    }
    this.#paused = false;
    this.socket.resume();
  };
}
