/**
 * A TCP relay that keeps all that passes for a while, in both directions: every piece comes out as it was
 * read, in order, its own delay later. To connect takes no time.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { PeerAddress } from '../../lib/net/address.js';
import type { DelayLine } from './delay-line.js';

/** Told of the bytes of one connection when they come in. */
export interface Watcher {
  /** From the side that made the connection. */
  forth(chunk: Buffer): void;
  /** To the side that made it. */
  back(chunk: Buffer): void;
}

/** Bytes that wait to go out at which no more are taken in. */
const HIGH_WATER = 1024 * 1024;

export class DelayingRelay {
  readonly #line: DelayLine;
  readonly #watch: () => Watcher;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #target: PeerAddress | undefined;

  /** @param watch called for each connection */
  constructor(line: DelayLine, watch: () => Watcher) {
    this.#line = line;
    this.#watch = watch;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#accept(socket);
    });
  }

  /** Listen, on a free port of loopback. */
  async listen(host = '127.0.0.1'): Promise<PeerAddress> {
    this.#server.listen(0, host);
    await once(this.#server, 'listening');
    return { host, port: (this.#server.address() as AddressInfo).port };
  }

  /** Where connections lead. Until this is known they are refused. */
  aim(target: PeerAddress): void {
    this.#target = target;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    if (this.#target === undefined) {
      client.destroy();
      return;
    }
    const peer = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const watcher = this.#watch();
    this.#pass(client, peer, (chunk) => {
      watcher.forth(chunk);
    });
    this.#pass(peer, client, (chunk) => {
      watcher.back(chunk);
    });
  }

  #pass(from: Socket, to: Socket, onChunk: (chunk: Buffer) => void): void {
    this.#sockets.add(from);
    from.on('data', (chunk: Buffer) => {
      onChunk(chunk);
      this.#line.pass(() => {
        if (to.writable) to.write(chunk);
        if (to.writableLength > HIGH_WATER) from.pause();
      });
    });
    to.on('drain', () => {
      from.resume();
    });
    from.on('end', () => {
      this.#line.pass(() => {
        to.end();
      });
    });
    // The close that follows says all there is to say.
    from.on('error', () => undefined);
    from.once('close', () => {
      this.#sockets.delete(from);
      this.#line.pass(() => {
        to.destroySoon();
      });
    });
  }
}
