/**
 * A TCP relay in front of a peer that makes it a worse one: it lets only so many bytes a second out of it,
 * alters some of them, or stops in the middle. All connections through it share its rate, as on a real link.
 */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { PeerAddress } from '../../lib/net/address.js';

export interface Faults {
  /** Bytes a second that the peer sends at most. @default all it can */
  rate?: number | undefined;
  /** Alter a byte of a body here and there: one in so many. @default none */
  lieEvery?: number | undefined;
  /** Bytes, of all connections together, after which nothing comes from the peer. @default all come */
  stallAfter?: number | undefined;
}

const HOST = '127.0.0.1';
/** Milliseconds that may be made up for when the process was busy. */
const BURST = 20;
/** The begin of a connection is left as it is: it is no body. Bytes. */
const GREETING = 1024;

export class ThrottledRelay {
  readonly #target: PeerAddress;
  readonly #faults: Faults;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Those that wait for the stall to end. */
  readonly #held: (() => void)[] = [];
  #stalls: boolean;
  #passed = 0;
  #connections = 0;
  /** When the next byte may pass, in milliseconds. */
  #due = 0;

  constructor(target: PeerAddress, faults: Faults = {}) {
    this.#target = target;
    this.#faults = faults;
    this.#stalls = faults.stallAfter === 0;
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.#accept(socket);
    });
  }

  /** Bytes that the peer sent through it. */
  get passed(): number {
    return this.#passed;
  }

  /** Connections that were made to it. */
  get connections(): number {
    return this.#connections;
  }

  /** Listen, on a free port of loopback. */
  async listen(): Promise<PeerAddress> {
    this.#server.listen(0, HOST);
    await once(this.#server, 'listening');
    return { host: HOST, port: (this.#server.address() as AddressInfo).port };
  }

  /** Nothing comes from the peer from now on. */
  stall(): void {
    this.#stalls = true;
  }

  /** All comes again. */
  go(): void {
    this.#stalls = false;
    for (const resume of this.#held.splice(0)) resume();
  }

  /** End all connections; new ones are still accepted. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    this.cut();
    await once(this.#server, 'close');
  }

  #accept(client: Socket): void {
    this.#connections++;
    const peer = connect({ ...this.#target, noDelay: true });
    let at = 0;
    peer.on('data', (chunk: Buffer) => {
      this.#passed += chunk.length;
      const isFree = client.write(this.#altered(chunk, at));
      at += chunk.length;
      const { stallAfter = Infinity } = this.#faults;
      if (this.#passed - chunk.length < stallAfter && this.#passed >= stallAfter) this.stall();
      this.#hold(peer, chunk.length, isFree ? undefined : once(client, 'drain'));
    });
    client.pipe(peer);
    for (const [one, other] of [
      [client, peer],
      [peer, client],
    ] as const) {
      this.#sockets.add(one);
      // The close that follows says all there is to say.
      one.on('error', () => undefined);
      one.once('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
  }

  /** Read no more of the peer until it is time, and there is room. */
  #hold(peer: Socket, bytes: number, room: Promise<unknown> | undefined): void {
    const now = performance.now();
    const { rate = Infinity } = this.#faults;
    this.#due = Math.max(this.#due, now - BURST) + (bytes / rate) * 1000;
    const wait = this.#due - now;
    const resume = (): void => {
      if (this.#stalls) this.#held.push(resume);
      else peer.resume();
    };
    if (wait < 1 && room === undefined && !this.#stalls) return;
    peer.pause();
    const afterRoom = (): void => {
      if (wait < 1) resume();
      else setTimeout(resume, wait);
    };
    if (room === undefined) afterRoom();
    // A connection that has ended has room no more.
    else void room.then(afterRoom, () => undefined);
  }

  #altered(chunk: Buffer, at: number): Buffer {
    const { lieEvery } = this.#faults;
    if (lieEvery === undefined) return chunk;
    const place = Math.max(GREETING, Math.ceil(at / lieEvery) * lieEvery) - at;
    if (place >= chunk.length) return chunk;
    const altered = Buffer.from(chunk);
    altered[place] = (altered[place] ?? 0) ^ 1;
    return altered;
  }
}
