/** Accept connections. */
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { PeerError, isShortage, systemCode } from '../errors.js';
import { formatAddress, type PeerAddress } from './address.js';
import { acceptNext, loadAccept } from './kernel-accept.js';

/** Milliseconds until the listener opens again after no descriptor was left for a new connection. */
const PAUSE = 100;
/** Milliseconds between checks for a free descriptor: a connection that comes when there is none is not reported. */
const LOOK_EVERY = 500;
/** Connections accepted in one turn of the event loop, beside the one that libuv accepts. */
const ACCEPTS_A_TURN = 16;

export interface ListenerOptions {
  onSocket: (socket: Socket) => void;
  /** The process has no descriptor left. @returns whether some have been closed */
  onShortage: () => boolean;
}

/**
 * Listens, and hands every socket over. Lives on when the process has no descriptor left: libuv then
 * accepts and closes what comes, with a descriptor that it keeps for that; where it lacks that one, too,
 * it would try again without end.
 */
export class Listener {
  readonly #options: ListenerOptions;
  readonly #look: NodeJS.Timeout;
  /** Where it listens. */
  readonly address: PeerAddress;
  /** Those that the server does not know of. */
  readonly #sockets: Set<Socket>;
  #server: Server;
  #pause: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(
    options: ListenerOptions,
    sockets: Set<Socket>,
    server: Server,
    address: PeerAddress,
  ) {
    this.#options = options;
    this.#sockets = sockets;
    this.#server = server;
    this.address = address;
    this.#use(server);
    this.#look = setInterval(this.#onLook, LOOK_EVERY).unref();
  }

  /**
   * @param address port 0 picks a free one
   * @throws PeerError ERR_USAGE when it cannot be listened on
   */
  static async open(address: PeerAddress, options: ListenerOptions): Promise<Listener> {
    const sockets = new Set<Socket>();
    void loadAccept();
    let server = newServer(options.onSocket, sockets);
    try {
      await listening(server, address);
    } catch (error) {
      // A machine without IPv6 has no "::": what is meant is every address there is.
      if (address.host !== '::' || !isNoIpv6(error)) throw refused(address, error);
      server = newServer(options.onSocket, sockets);
      await listening(server, { ...address, host: '0.0.0.0' }).catch((second: unknown) => {
        throw refused(address, second);
      });
    }
    const bound = server.address() as AddressInfo;
    return new Listener(options, sockets, server, { host: bound.address, port: bound.port });
  }

  /** No new connections. Resolves when those that were accepted have ended. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#look);
    clearTimeout(this.#pause);
    if (this.#server.listening) {
      const closed = once(this.#server, 'close');
      this.#server.close();
      await closed;
    }
    await Promise.all(
      Array.from(
        this.#sockets,
        (socket) => new Promise((resolve) => socket.once('close', resolve)),
      ),
    );
  }

  /** An accept has failed. */
  readonly fail = (error: Error): void => {
    if (isShortage(systemCode(error) ?? '') && this.#options.onShortage()) return;
    // Accepting would be tried again at once until it succeeds, and nothing else happen: stop it.
    this.#server.close();
    this.#reopenLater();
  };

  #use(server: Server): void {
    this.#server = server;
    server.on('error', this.fail);
  }

  #reopenLater(): void {
    this.#pause = setTimeout(() => {
      const server = newServer(this.#options.onSocket, this.#sockets);
      listening(server, this.address).then(
        () => {
          if (this.#closed) server.close();
          else this.#use(server);
        },
        () => {
          if (!this.#closed) this.#reopenLater();
        },
      );
    }, PAUSE);
  }

  readonly #onLook = (): void => {
    try {
      closeSync(openSync('/', 'r'));
    } catch (error) {
      if (isShortage(systemCode(error) ?? '')) this.#options.onShortage();
    }
  };
}

/** @param sockets gets those that the server does not know of, while they are open */
function newServer(onSocket: (socket: Socket) => void, sockets: Set<Socket>): Server {
  // Half open: a client that sends a request and ends (a pipe into netcat) still gets the answer.
  const server = createServer({ allowHalfOpen: true }, (first) => {
    onSocket(first);
    for (let i = 0; i < ACCEPTS_A_TURN; i++) {
      const socket = acceptNext(server);
      if (socket === undefined) return;
      sockets.add(socket);
      socket.once('close', () => {
        sockets.delete(socket);
      });
      onSocket(socket);
    }
  });
  return server;
}

function listening(server: Server, { host, port }: PeerAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function isNoIpv6(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL';
}

const REASONS = new Map([
  ['EADDRINUSE', 'the port is in use'],
  ['EACCES', 'not allowed to use this port'],
  ['EADDRNOTAVAIL', 'this machine does not have that address'],
  ['ENOTFOUND', 'no such host'],
]);

function refused(address: PeerAddress, error: unknown): PeerError {
  const code = systemCode(error) ?? 'unknown';
  const why = REASONS.get(code) ?? code;
  const kind = code === 'EADDRINUSE' ? 'ERR_IN_USE' : 'ERR_USAGE';
  return new PeerError(kind, `cannot listen on ${formatAddress(address)}: ${why}`, {
    cause: error,
  });
}
