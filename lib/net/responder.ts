/** The answering half of a connection: hands requests to the handler, and sends what it answers. */
import { PeerError, asError, isEnding, isWireErrorCode } from '../errors.js';
import { RequestQuota } from '../limits/request-quota.js';
import type { ByteAccount } from '../limits/byte-budget.js';
import type { RequestId } from '../wire/frame.js';
import { MAX_ANSWER_BYTES, MAX_UNANSWERED } from '../wire/limits.js';
import {
  decodeMessage,
  encodeMessage,
  type Answer,
  type FileHead,
  type Request,
} from '../wire/messages.js';
import { BodyQueue, type Exchange } from './exchange.js';
import type { BodyWriter, Outbound } from './outbound.js';

/** What the answering half needs of its connection. */
export interface ResponderOptions {
  /** The other side, for messages: `host:port`. */
  readonly name: string;
  readonly outbound: Outbound;
  readonly account: ByteAccount;
  /** On whose behalf it asks: see `clientOf`. */
  readonly client: string;
  /** Aborted when the connection is closed. */
  readonly closed: AbortSignal;
  readonly handler: (request: Request, exchange: Exchange) => Promise<void> | void;
  readonly quota: RequestQuota;
  /** A request of the other side was answered well. */
  readonly onServed: (type: Request['type']) => void;
  /** A request was answered, well or not: nothing of it is left. */
  readonly onDone: () => void;
  readonly onInternalError: ((error: Error) => void) | undefined;
  /** The connection must end: part of a body was sent and the rest cannot be. */
  readonly destroy: (error: unknown) => void;
}

/** Answers that are prepared while earlier ones are written, as far as the budget goes. */
const PREPARED = 64;
/** Bytes that are reserved for a long answer while it is prepared. */
const LONG_ANSWER_BYTES = 128 * 1024;

const NOW = Promise.resolve();

export class Responder {
  readonly #options: ResponderOptions;
  readonly #bodies = new BodyQueue(PREPARED, () => this.#options.account.room > 0);
  /** Answers that may be long: several are prepared at once only while there is room for the longest. */
  readonly #long = new BodyQueue(PREPARED, () => this.#options.account.room >= MAX_ANSWER_BYTES);
  #unanswered = 0;
  /** Counts the bytes of requests that were read and wait. */
  #kept: ByteAccount | undefined;
  #keptBytes = 0;

  constructor(options: ResponderOptions) {
    this.#options = options;
  }

  /** Requests of the other side that are not answered yet. */
  get unanswered(): number {
    return this.#unanswered;
  }

  /** Whether one more may come. */
  get hasRoom(): boolean {
    return this.#options.quota.allows(this.#unanswered);
  }

  /** So many bytes of requests wait. @returns whether there is memory for them */
  keep(bytes: number): boolean {
    this.#kept?.give(this.#keptBytes);
    this.#keptBytes = 0;
    if (bytes === 0) return true;
    const { quota, client } = this.#options;
    this.#kept ??= quota.bytes.account(client);
    if (!this.#kept.take(bytes)) return false;
    this.#keptBytes = bytes;
    return true;
  }

  /** The connection is closed. */
  close(): void {
    this.#kept?.close();
  }

  /** A request has come. @throws PeerError ERR_MALFORMED when it must end the connection */
  onRequest(id: RequestId, payload: Uint8Array, tag: number): void {
    const { quota } = this.#options;
    if (tag === 0) throw new PeerError('ERR_MALFORMED', 'a request has a tag from 1 up');
    if (this.#unanswered >= MAX_UNANSWERED) {
      this.sendError(tag, new PeerError('ERR_BUSY', `${MAX_UNANSWERED} requests are unanswered`));
      return;
    }
    if (!this.hasRoom) {
      this.sendError(tag, new PeerError('ERR_BUSY', 'too many requests of all peers'));
      return;
    }
    let request: Request;
    try {
      request = decodeMessage(id, payload);
    } catch (error) {
      // The frame was whole: what comes after it can be understood.
      this.sendError(tag, error);
      return;
    }
    this.#unanswered++;
    quota.begin();
    if (request.type === 'RQFH') {
      this.#bodies.add((turn) => this.#handle(request, tag, turn));
    } else {
      void this.#handle(request, tag, NOW);
    }
  }

  async #handle(request: Request, tag: number, turn: Promise<void>): Promise<void> {
    const { closed, handler, onServed, onDone, destroy } = this.#options;
    const exchange = new ResponderExchange(this.#options, this.#long, {
      tag,
      turn,
      onAnswered: this.#onAnswered,
    });
    try {
      closed.throwIfAborted();
      await handler(request, exchange);
      onServed(request.type);
    } catch (error) {
      if (exchange.inBody) destroy(error);
      else if (!closed.aborted) this.sendError(tag, error);
    } finally {
      exchange.end();
      onDone();
    }
  }

  readonly #onAnswered = (): void => {
    this.#unanswered--;
    this.#options.quota.end(1);
  };

  /**
   * Send ERRR: a PeerError with a wire code under that code, that something is being closed as busy, everything else as
   * internal, without its text.
   */
  sendError(tag: number, thrown: unknown): void {
    const error = isEnding(thrown) ? new PeerError('ERR_BUSY', 'this peer is closing') : thrown;
    const known = error instanceof PeerError && isWireErrorCode(error.code) ? error : undefined;
    if (known === undefined) this.#options.onInternalError?.(asError(thrown));
    const { code, message } = known ?? { code: 'ERR_INTERNAL', message: 'internal error' };
    if (!isWireErrorCode(code)) return;
    this.#options.outbound.frame(encodeMessage({ type: 'ERRR', code, message }, tag));
  }
}

interface Answered {
  tag: number;
  turn: Promise<void>;
  /** Called once: the other side may ask for something else. */
  onAnswered: () => void;
}

/** A class, as one is kept for each unanswered request: closures would take several times the memory. */
class ResponderExchange implements Exchange {
  readonly turn: Promise<void>;
  readonly #options: ResponderOptions;
  readonly #long: BodyQueue;
  readonly #tag: number;
  /** Undefined once it was called. */
  #onAnswered: (() => void) | undefined;
  #inBody = false;

  constructor(options: ResponderOptions, long: BodyQueue, { tag, turn, onAnswered }: Answered) {
    this.turn = turn;
    this.#options = options;
    this.#long = long;
    this.#tag = tag;
    this.#onAnswered = onAnswered;
  }

  get from(): string {
    return this.#options.name;
  }
  get closed(): AbortSignal {
    return this.#options.closed;
  }
  get account(): ByteAccount {
    return this.#options.account;
  }
  get waitingBytes(): number {
    return this.#options.outbound.waitingBytes;
  }

  /** Whether part of a body was sent, and the rest was not. */
  get inBody(): boolean {
    return this.#inBody;
  }

  send(answer: Exclude<Answer, FileHead>): void {
    this.#options.outbound.frame(encodeMessage(answer, this.#tag));
  }

  whenRoom(job: (ample: boolean) => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#long.add(() => this.#whenRoom(job).then(resolve, reject));
    });
  }

  async sendWhole(head: FileHead, body: Uint8Array): Promise<void> {
    const { outbound, closed } = this.#options;
    await this.turn;
    closed.throwIfAborted();
    await outbound.whole(encodeMessage(head, this.#tag), body);
    this.end();
  }

  async sendBody(head: FileHead, write: BodyWriter): Promise<void> {
    const { outbound, closed } = this.#options;
    await this.turn;
    closed.throwIfAborted();
    this.#inBody = true;
    await outbound.frameAndBody(encodeMessage(head, this.#tag), write);
    this.#inBody = false;
    this.end();
  }

  /** Once the last byte is out, the other side may ask again: whatever is still tidied up here. */
  end(): void {
    this.#onAnswered?.();
    this.#onAnswered = undefined;
  }

  async #whenRoom(job: (ample: boolean) => Promise<void>): Promise<void> {
    const { outbound, account, closed } = this.#options;
    closed.throwIfAborted();
    await outbound.room();
    closed.throwIfAborted();
    const reserved = account.take(LONG_ANSWER_BYTES) ? LONG_ANSWER_BYTES : 0;
    try {
      await job(reserved > 0);
    } finally {
      account.give(reserved);
    }
  }
}
