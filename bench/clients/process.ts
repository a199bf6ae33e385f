/** A process in which clients run: eager ones that fetch and verify, and slow ones that hardly read. */
import { once } from 'node:events';
import { Socket, type OnReadOpts, type SocketConstructorOpts } from 'node:net';
import { connect, type Peer } from '../../lib/client.js';
import { parseAddress } from '../../lib/net/address.js';
import { encodeMessage } from '../../lib/wire/messages.js';
import { serveCalls } from '../common/child.js';

export interface ClientsCalls {
  /** Make connections, one for each client. */
  open(order: { address: string; clients: number }): Promise<void>;
  /**
   * All fetch the file at once, each so many times, and verify it.
   *
   * @returns milliseconds, by client
   */
  fetch(order: { hash: string; size: number; times: number }): Promise<number[]>;
  /** Connect slow clients, and have them ask for the file. Resolves when all have got a first byte. */
  openSlow(order: { address: string; hash: string; clients: number }): Promise<void>;
  /** How the slow ones have fared. */
  slow(): SlowClients;
}

export interface SlowClients {
  connected: number;
  /** Bytes that the one that has fewest has read. */
  least: number;
}

/** Bytes that a slow client reads every second. */
const SLOW_BYTES = 1024;

let peers: Peer[] = [];

serveCalls<ClientsCalls>({
  open: async ({ address, clients }) => {
    peers = await Promise.all(Array.from({ length: clients }, () => connect(address)));
  },
  fetch: async ({ hash, size, times }) => {
    const begin = performance.now();
    return Promise.all(
      peers.map(async (peer) => {
        let bytes = 0;
        const write = (chunk: Uint8Array): Promise<void> => {
          bytes += chunk.length;
          return Promise.resolve();
        };
        for (let i = 0; i < times; i++) await peer.fetchTo(hash, { write });
        if (bytes !== times * size) throw new Error(`${bytes} bytes came`);
        return performance.now() - begin;
      }),
    );
  },
  openSlow: async ({ address, hash, clients }) => {
    const clock = setInterval(() => {
      for (const client of slow) client.readOn();
    }, 1000);
    clock.unref();
    for (let i = 0; i < clients; i++) {
      const client = new SlowClient();
      slow.push(client);
      await client.ask(address, hash);
    }
  },
  slow: () => {
    const all = slow.map(({ received }) => received);
    const longest = all.reduce((one, other) => (other.length > one.length ? other : one));
    // The same question has the same answer: each is the beginning of the longest.
    if (!all.every((bytes) => bytes.equals(longest.subarray(0, bytes.length)))) {
      throw new Error('a slow client got other bytes');
    }
    return {
      connected: slow.filter(({ connected }) => connected).length,
      least: Math.min(...all.map(({ length }) => length)),
    };
  },
});

const slow: SlowClient[] = [];

/** Reads 1 KiB a second of what it asked for. */
class SlowClient {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];

  constructor() {
    const onread: OnReadOpts = {
      buffer: Buffer.alloc(SLOW_BYTES),
      callback: (n, memory) => {
        this.#chunks.push(Buffer.from(memory.subarray(0, n)));
        this.#socket.emit('first');
        return false;
      },
    };
    const options: SocketConstructorOpts & { onread: OnReadOpts } = { onread };
    this.#socket = new Socket(options);
    this.#socket.on('error', () => undefined);
  }

  get connected(): boolean {
    return !this.#socket.destroyed;
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  async ask(address: string, hash: string): Promise<void> {
    this.#socket.connect({ ...parseAddress(address) });
    const begun = Promise.race([once(this.#socket, 'first'), once(this.#socket, 'close')]);
    this.#socket.write(encodeMessage({ type: 'RQFH', hash }, 1));
    await begun;
    if (this.#chunks.length === 0) throw new Error('a slow client was refused');
  }

  readOn(): void {
    this.#socket.resume();
  }
}
