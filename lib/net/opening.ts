/** The beginning of a connection that was accepted: what the other side speaks, and the handshake of TLS. */
import type { Socket } from 'node:net';
import type { PeerId } from '../wire/messages.js';
import { Deadline } from './deadline.js';
import { onLanguage, type Language } from './language.js';
import { sayLast } from './refusals.js';
import type { TlsServer } from './tls/server.js';

export interface OpeningOptions {
  /** Milliseconds that it may take, if it may not take for ever. */
  timeout: number | undefined;
  /** Called for a connection that needs it; undefined: there is no room for a handshake. */
  tls: () => Promise<TlsServer> | undefined;
  /**
   * The connection can be used, and is paused.
   *
   * @param socket TLS's own, or the one that was given
   * @param provenId of the other side, over TLS
   */
  onOpen: (socket: Socket, provenId: PeerId | undefined) => void;
  /** It speaks HTTP, and is paused. @default then it is taken for one that sends frames */
  onHttp?: (() => void) | undefined;
  /** It has ended before that. */
  onEnd: () => void;
}

/** A connection of which it is not known yet what it speaks, or whose handshake is under way. */
export class Opening {
  readonly #socket: Socket;
  readonly #options: OpeningOptions;
  readonly #deadline: Deadline | undefined;
  #language: Language = 'frames';

  constructor(socket: Socket, options: OpeningOptions) {
    this.#socket = socket;
    this.#options = options;
    const { timeout } = options;
    if (timeout !== undefined) {
      const onExpired = (): void => {
        socket.destroy();
      };
      this.#deadline = new Deadline({ timeout, onExpired });
      this.#deadline.start();
    }
    socket.on('error', ignore).once('end', this.#onEnd).once('close', this.#onClose);
    onLanguage(socket, (language) => {
      this.#language = language;
      if (language === 'tls') void this.#secure();
      else if (language === 'http' && options.onHttp !== undefined) this.#openHttp(options.onHttp);
      else this.#open(socket);
    });
  }

  /** What the other side understands now; undefined in a handshake. */
  get language(): Language | undefined {
    return this.#language === 'tls' ? undefined : this.#language;
  }

  async #secure(): Promise<void> {
    this.#socket.off('end', this.#onEnd);
    const tls = await this.#options.tls();
    if (this.#socket.destroyed) return;
    if (tls === undefined) {
      sayLast(this.#socket, 'tls', '');
      return;
    }
    // That the other side goes in the middle of the handshake must end it; later a half may stay open.
    this.#socket.allowHalfOpen = false;
    tls.accept(this.#socket, (secure, id) => {
      secure.allowHalfOpen = true;
      this.#open(secure.pause(), id);
    });
  }

  #open(socket: Socket, provenId?: PeerId): void {
    this.#leave();
    if (provenId === undefined) this.#socket.off('error', ignore);
    this.#options.onOpen(socket, provenId);
  }

  #openHttp(onHttp: () => void): void {
    this.#leave();
    onHttp();
  }

  #leave(): void {
    this.#deadline?.close();
    this.#socket.off('end', this.#onEnd).off('close', this.#onClose);
  }

  /** Nothing was asked: nothing has to be answered. */
  readonly #onEnd = (): void => {
    this.#socket.destroy();
  };

  readonly #onClose = (): void => {
    this.#deadline?.close();
    this.#options.onEnd();
  };
}

function ignore(): void {
  // That it is closed is told, too.
}
