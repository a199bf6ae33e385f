/** How a connection ends: when, for what reason, and what the other side is told of it. */
import { setMaxListeners } from 'node:events';
import type { Socket } from 'node:net';
import { PeerError, asError, isWireErrorCode, type ErrorCode } from '../errors.js';
import { encodeMessage, type ErrorAnswer } from '../wire/messages.js';
import type { ConnectionDeadlines } from './connection-deadlines.js';
import type { Inbound } from './inbound.js';
import type { Outbound } from './outbound.js';
import type { Requester } from './requester.js';
import type { Responder } from './responder.js';

/** The parts of a connection that have to know of its end. */
export interface Parts {
  readonly inbound: Inbound;
  readonly outbound: Outbound;
  readonly requester: Requester;
  readonly responder: Responder;
  readonly deadlines: ConnectionDeadlines;
  readonly onClose: () => void;
}

/** What a peer says before it closes a connection on which nothing was wrong. */
const FAREWELLS: ReadonlySet<ErrorCode> = new Set(['ERR_BUSY', 'ERR_FORBIDDEN']);

export class Lifecycle {
  readonly #socket: Socket;
  readonly #name: string;
  readonly #parts: () => Parts;
  readonly #closed = new AbortController();
  #peerEnded = false;
  /** Why the connection ends, if anything is wrong. */
  #error: PeerError | undefined;

  constructor(socket: Socket, name: string, parts: () => Parts) {
    this.#socket = socket;
    this.#name = name;
    this.#parts = parts;
    // Every search and every file under way listens: more than the ten at which Node warns.
    setMaxListeners(0, this.#closed.signal);
    socket.once('end', () => {
      this.#peerEnded = true;
      this.endIfDone();
    });
    socket.on('error', (cause) => {
      this.#error ??= new PeerError('ERR_CLOSED', `the connection to ${name} was lost`, { cause });
      // A TLSSocket that was sent what it cannot decrypt only says so.
      socket.destroy();
    });
    socket.once('close', () => {
      this.#onClose();
    });
  }

  /** Aborted, with a PeerError as reason, when the connection is closed. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Whether a request can be sent and answered. */
  get usable(): boolean {
    return !this.#socket.destroyed && !this.#socket.writableEnded && !this.#peerEnded;
  }

  /** Why nothing can be asked any more. */
  get reason(): PeerError {
    return this.#error ?? new PeerError('ERR_CLOSED', `the connection to ${this.#name} was closed`);
  }

  /** End the connection at once; whatever is under way fails with `error`. */
  destroy(error?: PeerError): void {
    this.#error ??= error;
    this.#parts().inbound.stop();
    this.#socket.destroy();
  }

  /** End the connection at once, and say why where nothing else is being said. */
  dismiss(error: PeerError): void {
    const { inBody, waitingBytes } = this.#parts().outbound;
    if (!inBody && waitingBytes === 0 && isWireErrorCode(error.code)) {
      const { code, message } = error;
      // The kernel takes it now, or it is lost.
      this.#socket.write(encodeMessage({ type: 'ERRR', code, message }, 0));
    }
    this.destroy(error);
  }

  /** The other side has said, in answer to nothing, what is wrong: perhaps why it is about to close the connection. */
  onUntaggedError({ code, message }: ErrorAnswer): void {
    if (FAREWELLS.has(code)) this.#error ??= new PeerError(code, `${this.#name}: ${message}`);
  }

  /** The other side sent what cannot be understood, or is wrong: nothing after it can be understood. */
  onFault(thrown: unknown): void {
    const { inbound, requester, responder } = this.#parts();
    const error = asPeerError(thrown);
    this.#error ??= error;
    inbound.stop();
    if (!requester.inBody && isWireErrorCode(error.code)) {
      // Say why, then go.
      responder.sendError(0, error);
      this.#socket.destroySoon();
    } else {
      this.#socket.destroy();
    }
    requester.failAll(error);
  }

  /** A peer that has sent its last request still gets its answers; then the connection ends. */
  endIfDone(): void {
    const { inbound, requester, responder } = this.#parts();
    // What it sent before the end waits: TLS says that it has come while reading is paused.
    if (!this.#peerEnded || inbound.paused || !inbound.drained) return;
    requester.failAll(this.reason);
    if (responder.unanswered === 0) this.#socket.end();
  }

  #onClose(): void {
    const { inbound, outbound, requester, responder, deadlines, onClose } = this.#parts();
    const error = this.reason;
    onClose();
    deadlines.close();
    inbound.stop();
    requester.failAll(error);
    this.#closed.abort(error);
    outbound.close();
    responder.close();
  }
}

export function asPeerError(thrown: unknown): PeerError {
  if (thrown instanceof PeerError) return thrown;
  const { message } = asError(thrown);
  return new PeerError('ERR_CLOSED', message, { cause: thrown });
}
