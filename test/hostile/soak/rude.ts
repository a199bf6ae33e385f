/** Peers as they should not be: broken frames, connections cut, readers that take nothing. */
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { parseAddress, type Hash } from '../../../lib/index.js';
import { encodeMessage, type Message } from '../../../lib/wire/messages.js';
import type { Counts } from './counts.js';

const ID = '5a'.repeat(32);
/** Milliseconds that a broken frame's connection is kept, if the node does not end it. */
const PATIENCE = 500;
/** Milliseconds between two small reads of a slow reader, and how often it reads. */
const SLOW_READ = 200;
const SLOW_READS = 150;

export class RudePeers {
  readonly #address: { host: string; port: number };
  readonly #random: () => number;
  readonly #counts: Counts;
  /** A large file that does not change. */
  readonly #large: Hash;
  readonly #sockets = new Set<Socket>();

  constructor(peer: string, large: Hash, random: () => number, counts: Counts) {
    this.#address = parseAddress(peer);
    this.#large = large;
    this.#random = random;
    this.#counts = counts;
  }

  /** Some frames, one of which is not as it should be. */
  async mutate(): Promise<void> {
    const socket = await this.#connect();
    const frames = Array.from({ length: 1 + this.#below(3) }, () =>
      encodeMessage(this.#message(), 1 + this.#below(10)),
    );
    const bytes = Buffer.concat(frames);
    switch (this.#below(4)) {
      case 0:
        for (let i = 0; i <= this.#below(8); i++)
          bytes[this.#below(bytes.length)] = this.#below(256);
        socket.write(bytes);
        break;
      case 1:
        socket.write(bytes.subarray(0, this.#below(bytes.length)));
        break;
      case 2:
        // A length that cannot be.
        bytes.writeUInt32BE(0xffff_ffff, 8);
        socket.write(bytes);
        break;
      default:
        socket.write(Buffer.from(bytes.map(() => this.#below(256))));
    }
    await this.#ended(socket, PATIENCE);
    this.#counts.add('broken frames');
  }

  /** Ask for a large file, or for the network's files, and be gone. */
  async cut(): Promise<void> {
    const socket = await this.#connect();
    const wanted: Message =
      this.#random() < 0.7
        ? { type: 'RQFH', hash: this.#large }
        : { type: 'RQFS', query: 'of-all', ttl: 3, queryId: this.#queryId(), timeout: 5000 };
    socket.write(encodeMessage(wanted, 1));
    let left = this.#below(3_000_000);
    socket.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left <= 0) this.#end(socket);
    });
    await this.#ended(socket, PATIENCE);
    this.#counts.add('connections cut');
  }

  /** Ask for a large file and read it slowly, for half a minute. */
  async readSlowly(): Promise<void> {
    const socket = await this.#connect();
    socket.pause();
    socket.write(encodeMessage({ type: 'RQFH', hash: this.#large }, 1));
    for (let i = 0; i < SLOW_READS && !socket.destroyed; i++) {
      await pause(SLOW_READ);
      socket.read(4096);
    }
    this.#end(socket);
    this.#counts.add('slow readers');
  }

  /** Ask for a large file and read nothing, until the node has had enough. */
  async readNothing(): Promise<void> {
    const socket = await this.#connect();
    socket.pause();
    socket.write(encodeMessage({ type: 'RQFH', hash: this.#large }, 1));
    const limit = performance.now() + 150_000;
    // A socket that is not read does not tell of its end: a write does.
    while (!socket.destroyed && performance.now() < limit) {
      await pause(5000);
      socket.write(encodeMessage({ type: 'PING', info: { version: 1 } }, 2));
    }
    if (!socket.destroyed) this.#counts.wrong('a reader that takes nothing was not dropped');
    this.#end(socket);
    this.#counts.add('readers of nothing');
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #message(): Message {
    const info = { version: 1, id: ID, port: 1 + this.#below(65_535), link: true };
    const all: Message[] = [
      { type: 'PING', info },
      { type: 'RQLT', max: this.#below(100) },
      { type: 'RQFS', query: 'of-all', ttl: this.#below(256), queryId: this.#queryId() },
      { type: 'RQFH', hash: this.#large, offset: this.#below(1000), length: this.#below(1000) },
      { type: 'RPFL', total: 1, files: [{ path: 'a', hash: ID, size: 1 }] },
      {
        type: 'TPHF',
        peer: { id: ID, host: '10.0.0.1', port: 25 },
        query: 'x',
        hops: 1,
        total: 0,
        files: [],
      },
      { type: 'ACKN', of: 'RQFH', size: 10, offset: 0, length: 10 },
      { type: 'ACKN', of: 'RQLT', peers: [{ id: ID, host: '10.0.0.1', port: 25, seen: 1 }] },
      { type: 'ERRR', code: 'ERR_BUSY', message: 'busy' },
    ];
    return all[this.#below(all.length)] ?? { type: 'RQLT' };
  }

  #queryId(): string {
    return Array.from({ length: 4 }, () =>
      this.#below(2 ** 32)
        .toString(16)
        .padStart(8, '0'),
    ).join('');
  }

  #below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  async #connect(): Promise<Socket> {
    const socket = connectSocket(this.#address);
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
    await once(socket, 'connect');
    return socket;
  }

  /** Resolves when the node has ended the connection; ended here after so long. */
  async #ended(socket: Socket, milliseconds: number): Promise<void> {
    if (!socket.destroyed) {
      socket.resume();
      const timer = setTimeout(() => {
        this.#end(socket);
      }, milliseconds);
      await once(socket, 'close');
      clearTimeout(timer);
    }
  }

  #end(socket: Socket): void {
    if (this.#random() < 0.5) socket.resetAndDestroy();
    else socket.destroy();
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
