/** A process in which clients run: eager ones that fetch and verify, and slow ones that hardly read. */
import { connect, type Peer } from '../../lib/fetch/peer.js';
import { serveCalls } from '../../test/fixtures/child.js';
import { RawReader, isFile } from '../common/raw-reader.js';
import { SlowClient } from './slow-client.js';

/** The server of the file that all want. */
export type Server =
  | { kind: 'node'; address: string; hash: string; size: number }
  | { kind: 'http'; port: number; path: string; hash: string; size: number }
  /** Sends the file to whoever connects. */
  | { kind: 'plain'; port: number; hash: string; size: number };

export interface ClientsCalls {
  /** So many clients; those of a node make their connections. */
  open(order: { server: Server; clients: number }): Promise<void>;
  /**
   * All fetch the file at once, each so many times, and see that it is right: of a node's they verify
   * every byte, of others' the first time only, and then their number and a sample.
   *
   * @returns milliseconds, by client
   */
  fetch(order: { times: number }): Promise<number[]>;
  /** Connect slow clients to a node, and have them ask for the file. Resolves when all have a first byte. */
  openSlow(order: { address: string; hash: string; clients: number }): Promise<void>;
  /** How the slow ones have fared. */
  slow(): SlowClients;
}

export interface SlowClients {
  connected: number;
  /** Bytes that the one that has fewest has read. */
  least: number;
}

/** Fetches the file once. */
type Fetch = () => Promise<void>;

let eager: readonly Fetch[] = [];
const slow: SlowClient[] = [];
let clock: NodeJS.Timeout | undefined;

serveCalls<ClientsCalls>({
  open: async ({ server, clients }) => {
    eager = await Promise.all(Array.from({ length: clients }, () => clientOf(server)));
  },
  fetch: ({ times }) => {
    const begin = performance.now();
    return Promise.all(
      eager.map(async (fetch) => {
        for (let i = 0; i < times; i++) await fetch();
        return performance.now() - begin;
      }),
    );
  },
  openSlow: async ({ address, hash, clients }) => {
    clock ??= setInterval(() => {
      for (const client of slow) client.readOn();
    }, 1000).unref();
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

async function clientOf(server: Server): Promise<Fetch> {
  const { hash, size } = server;
  if (server.kind === 'node') {
    const peer = await connect(server.address);
    return () => fetchFrom(peer, hash, size);
  }
  const { kind, port } = server;
  const ask = kind === 'http' ? `GET ${server.path} HTTP/1.1\r\nHost: localhost\r\n\r\n` : '';
  const head = kind === 'http' ? 'http' : 'none';
  const verifier = (): ReturnType<typeof isFile> => isFile(hash);
  const reader = new RawReader({ port, ask: Buffer.from(ask), head, bytes: size, verifier });
  return () => reader.read();
}

async function fetchFrom(peer: Peer, hash: string, size: number): Promise<void> {
  let bytes = 0;
  await peer.fetchTo(hash, {
    write: (chunk) => {
      bytes += chunk.length;
      return Promise.resolve();
    },
  });
  if (bytes !== size) throw new Error(`${bytes} bytes came`);
}
