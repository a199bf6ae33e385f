/** The accepting side of TLS, on connections that others have accepted. */
import type { KeyObject } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { PeerId } from '../../wire/messages.js';
import { provenId } from './proven-id.js';
import { tlsSettings } from './settings.js';

type OnSecure = (socket: TLSSocket, id: PeerId) => void;

export class TlsServer {
  /** Listens nowhere: it is given its connections. */
  readonly #server: Server;
  /** Connections whose handshake is under way, by their ends. */
  readonly #waiting = new Map<string, OnSecure>();

  constructor(privateKey: KeyObject) {
    this.#server = createServer(tlsSettings(privateKey), (secure) => {
      this.#onSecure(secure);
    });
    // The connection ends, which is told by the socket beneath.
    this.#server.on('tlsClientError', (_error, secure) => secure.destroy());
  }

  /**
   * Begin the handshake. Whoever gave the socket ends it when that takes too long, or fails: it is then closed.
   *
   * @param socket nothing has been read of it, or what was is put back
   * @param onSecure called when the other side has proven its id
   */
  accept(socket: Socket, onSecure: OnSecure): void {
    const ends = endsOf(socket);
    this.#waiting.set(ends, onSecure);
    socket.once('close', () => {
      if (this.#waiting.get(ends) === onSecure) this.#waiting.delete(ends);
    });
    this.#server.emit('connection', socket);
  }

  #onSecure(secure: TLSSocket): void {
    const ends = endsOf(secure);
    const onSecure = this.#waiting.get(ends);
    this.#waiting.delete(ends);
    let id: PeerId;
    try {
      id = provenId(secure, ends);
    } catch {
      secure.destroy();
      return;
    }
    if (onSecure === undefined) secure.destroy();
    else onSecure(secure, id);
  }
}

/** What tells one connection from all others that are open. */
function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return [localAddress, localPort, remoteAddress, remotePort].join(' ');
}
