/** In a process of its own: neighbours of a node that answer its searches as they should not, and floods. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { provableId } from '../../fixtures/certificates.js';
import { serveCalls } from '../../fixtures/child.js';
import { parseAddress } from '../../../lib/index.js';
import { encodeMessage } from '../../../lib/wire/messages.js';
import { serveAs, type ReceivedSearch } from '../../fixtures/fake-neighbour.js';
import { fileList, searchEnd, someFiles, third } from '../../fixtures/search.js';
import { connect, createServer } from '../../fixtures/socket.js';

/** How searches are answered. */
export type Abuse =
  'politely' | 'unasked' | 'stray' | 'large' | 'for others' | 'colliding' | 'endless';

let abuse: Abuse = 'politely';
let dials = 0;
let searches = 0;
/** To all that are honest: ahead of a search comes another with its id. */
let others: Socket[] = [];

function bare(host: string, address: string, id?: string): Socket {
  const socket = connect({ ...parseAddress(address), localAddress: host }, id);
  socket.on('error', () => undefined);
  return socket.resume();
}

/** The frames of an answer, made once: only the tag differs. */
const made = new Map<string, { bytes: Buffer; tags: number[] }>();

function framesOf(key: string, make: () => Buffer[], tag: number): Buffer {
  let known = made.get(key);
  if (known === undefined) {
    const frames = make();
    let at = 0;
    const tags = frames.map((frame) => (at += frame.length) - frame.length + 4);
    known = { bytes: Buffer.concat(frames), tags };
    made.set(key, known);
  }
  for (const at of known.tags) known.bytes.writeUInt32BE(tag, at);
  return Buffer.from(known.bytes);
}

const long = (count: number, bytes: number): ReturnType<typeof someFiles> =>
  someFiles(count).map((file) => ({ ...file, path: file.path.padEnd(bytes, 'x') }));

const ANSWERS: Record<Abuse, (asked: ReceivedSearch, query: string) => unknown> = {
  politely: ({ peer, tag }) => peer.send(fileList(0), tag).send(searchEnd(), tag),
  endless: ({ peer, tag }) => peer.send(fileList(0), tag),
  unasked: ({ peer, tag }, query) => peer.send(third(1, { query }), tag + 100_000),
  stray: ({ peer, tag }) => {
    peer.send(fileList(0), tag);
    for (let i = 0; i < 20; i++) peer.send(third(i, { query: 'something else' }), tag);
    peer.send(searchEnd(), tag);
  },
  large: ({ peer, tag }, query) => {
    const frames = (): Buffer[] => [
      encodeMessage({ type: 'RPFL', total: 1000, files: long(1000, 900) }, 1),
      ...Array.from({ length: 50 }, (_, i) =>
        encodeMessage(third(1000 + i, { query, files: long(1000, 900) }), 1),
      ),
      encodeMessage(searchEnd(), 1),
    ];
    peer.raw(framesOf('large', frames, tag));
  },
  'for others': ({ peer, tag }, query) => {
    const frames = (): Buffer[] => [
      encodeMessage(fileList(0), 1),
      ...Array.from({ length: 2000 }, (_, i) =>
        encodeMessage(third(1000 + i, { query, files: someFiles(100) }), 1),
      ),
      encodeMessage(searchEnd(), 1),
    ];
    peer.raw(framesOf('others', frames, tag));
  },
  colliding: (asked) => {
    const { queryId } = asked.search;
    for (const socket of others) {
      const other = { type: 'RQFS', query: 'nothing', ttl: 7, queryId, timeout: 1000 } as const;
      socket.write(encodeMessage(other, 1));
    }
    ANSWERS.politely(asked, '');
  },
};

const calls = {
  /** One neighbour at `host`. Resolves when the node has sent it a search, or a PING that keeps the link. */
  async link({ node, host, n }: { node: string; host: string; n: number }): Promise<void> {
    const id = provableId(n);
    const serve = serveAs(id, (asked) => {
      searches++;
      ANSWERS[abuse](asked, asked.search.query ?? '');
    });
    const server = createServer((socket) => {
      dials++;
      socket.on('error', () => undefined);
      serve(socket);
    }, id);
    server.listen(0, host);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const dialled = once(server, 'connection');
    const greeting = bare(host, node, id);
    greeting.write(encodeMessage({ type: 'PING', info: { version: 1, id, host, port } }, 1));
    await dialled;
    greeting.destroy();
  },

  behave({ as, honest }: { as: Abuse; honest: string[] }): Promise<void> {
    abuse = as;
    for (const socket of others) socket.destroy();
    others = honest.map((address) => bare('127.0.0.77', address));
    return Promise.resolve();
  },

  /** Send searches from some addresses, as fast as they are taken, for so long. @returns how many, and connections ended by the node */
  async flood({
    node,
    hosts,
    connections,
    milliseconds,
    ttl,
    timeout,
  }: {
    node: string;
    hosts: string[];
    connections: number;
    milliseconds: number;
    ttl: number;
    timeout: number;
  }): Promise<{ sent: number; ended: number }> {
    const end = performance.now() + milliseconds;
    let [sent, ended] = [0, 0];
    const one = async (host: string): Promise<void> => {
      while (performance.now() < end) {
        const socket = bare(host, node);
        const gone = once(socket, 'close').catch(() => undefined);
        await Promise.race([once(socket, 'connect').catch(() => undefined), gone]);
        while (!socket.destroyed && performance.now() < end) {
          const frames = Array.from({ length: 20 }, (_, i) => {
            const queryId = randomBytes(16).toString('hex');
            const search = { type: 'RQFS', query: 'honest', ttl, queryId, timeout } as const;
            return encodeMessage(search, 1 + i);
          });
          sent += frames.length;
          if (!socket.write(Buffer.concat(frames)))
            await Promise.race([once(socket, 'drain').catch(() => undefined), gone]);
          // As much as a peer far away can send: 4,000 a second on each connection.
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        if (socket.destroyed) ended++;
        socket.destroy();
      }
    };
    await Promise.all(
      Array.from({ length: connections }, (_, i) => one(hosts[i % hosts.length] ?? '')),
    );
    return { sent, ended };
  },

  counts(): Promise<{ dials: number; searches: number }> {
    return Promise.resolve({ dials, searches });
  },
};

export type AbuserCalls = typeof calls;

serveCalls(calls);
