/** A node and its many clients: turns, limits, clients that take nothing, and the end. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t from '../fixtures/tap.js';
import { VirtualClock } from '../fixtures/virtual-clock.js';
import { connect } from '../../lib/fetch/peer.js';
import type { PeerNode } from '../../lib/node.js';
import { RateLimiter } from '../../lib/limits/rate-limiter.js';
import { bodyBytes } from '../../lib/wire/body.js';
import { writeLarge } from '../fixtures/bytes.js';
import { bytesOf, connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { RawPeer } from '../fixtures/raw.js';

const SIZE = 12 * 2 ** 20;
const BODY = bodyBytes(SIZE, 0, SIZE);

interface Test {
  testdir(): string;
  teardown(end: () => Promise<void>): void;
}

/** A node with one file that does not fit into the buffers of a connection. */
async function withLarge(
  t: Test,
  options: Parameters<typeof startIndexed>[2] = {},
): Promise<{ node: PeerNode; hash: string; content: Buffer }> {
  const folder = t.testdir();
  writeLarge(join(folder, 'large'), SIZE);
  const node = await startIndexed(t, folder, { workers: false, ...options });
  const client = await connectTo(t, node);
  const [found] = await listOf(client.search(''));
  await client.close();
  return { node, hash: found?.hash ?? '', content: readFileSync(join(folder, 'large')) };
}

/** A peer at an address of its own: 127.0.0.N. */
async function rawFrom(t: Test, node: PeerNode, n: number): Promise<RawPeer> {
  const socket = connectSocket({ ...node.address, localAddress: `127.0.0.${n}` });
  await once(socket, 'connect');
  t.teardown(() => {
    socket.destroy();
    return Promise.resolve();
  });
  return new RawPeer(socket);
}

/** Ask for a file without reading what comes. Resolves when the request has been dealt with. */
async function askFor(peer: RawPeer, hash: string): Promise<void> {
  peer.send({ type: 'RQFH', hash }, 1).send({ type: 'PING', info: { version: 1 } }, 2);
  await peer.next();
}

/** Take a file that is given at once, but none of its body. */
async function hold(peer: RawPeer, hash: string): Promise<void> {
  peer.send({ type: 'RQFH', hash }, 1);
  const answer = await peer.next();
  if (answer?.message.type !== 'ACKN') throw new Error('refused');
  peer.expectBody(BODY);
  peer.socket.pause();
}

t.test('one transfer at once: the others wait, and are answered meanwhile', async (t) => {
  const { node, hash } = await withLarge(t, { maxUploads: 1 });
  const first = await rawFrom(t, node, 2);
  await hold(first, hash);
  t.match(node.stats, { uploads: 1, waitingUploads: 0 });
  const second = await rawFrom(t, node, 3);
  second.send({ type: 'RQFH', hash }, 1).send({ type: 'PING', info: { version: 1 } }, 2);
  t.match(await second.next(), { tag: 2, message: { of: 'PING' } });
  second.send({ type: 'RQFS', query: 'large', ttl: 0 }, 3);
  t.match(await second.next(), { tag: 3, message: { type: 'RPFL', total: 1 } });
  second.send({ type: 'RQFH', hash: 'ab'.repeat(32) }, 4);
  t.match(await second.next(), { tag: 4, message: { code: 'ERR_NOT_FOUND' } }, 'no need to wait');
  t.match(node.stats, { uploads: 1, waitingUploads: 1 });
  first.socket.destroy();
  t.match(await second.next(), { tag: 1, message: { of: 'RQFH', size: SIZE } });
  second.expectBody(BODY);
  t.equal((await second.body()).length, BODY);
  t.match(node.stats, { waitingUploads: 0 });
});

t.test('no more of one client than so many wait; another does all the same', async (t) => {
  const { node, hash } = await withLarge(t, { maxUploads: 1 });
  await hold(await rawFrom(t, node, 2), hash);
  for (let i = 0; i < 64; i++) await askFor(await rawFrom(t, node, 2), hash);
  t.match(node.stats, { uploads: 1, waitingUploads: 64 });
  const busy = await rawFrom(t, node, 2);
  busy.send({ type: 'RQFH', hash }, 1);
  t.match(await busy.next(), { tag: 1, message: { code: 'ERR_BUSY' } });
  await askFor(await rawFrom(t, node, 3), hash);
  t.match(node.stats, { uploads: 1, waitingUploads: 65 });
});

t.test('a rate for sending and one for receiving: the bytes are the same', async (t) => {
  const { node, hash, content } = await withLarge(t, { upLimit: 100_000_000 });
  const peer = await connectTo(t, node);
  const range = { offset: 1_000_000, length: 2_000_000 };
  const expected = content.subarray(1_000_000, 3_000_000);
  t.ok((await bytesOf(peer.fetch(hash, range))).equals(expected));
  const limit = new RateLimiter(20_000_000);
  t.ok((await bytesOf(peer.fetch(hash, { ...range, limit }))).equals(expected));
  t.ok((await bytesOf(peer.fetch(hash, { length: 10, limit }))).equals(content.subarray(0, 10)));
});

t.test('what is received, by a clock of its own', async (t) => {
  const { node, hash, content } = await withLarge(t);
  const peer = await connectTo(t, node);
  const clock = new VirtualClock();
  const limit = new RateLimiter(1_000_000, clock);
  const length = 2_000_000;
  const got: Buffer[] = [];
  const over = new AbortController();
  const fetched = peer
    .fetchTo(
      hash,
      {
        write: (bytes) => {
          got.push(Buffer.from(bytes));
          return Promise.resolve();
        },
      },
      { length, limit },
    )
    .finally(() => {
      over.abort();
    });
  while (!over.signal.aborted) {
    clock.run(clock.now() + 1);
    await turn();
  }
  await fetched;
  t.ok(Buffer.concat(got).equals(content.subarray(0, length)));
  const least = ((length - limit.burst) / 1_000_000) * 1000;
  t.ok(clock.now() >= least, `${clock.now()} ms`);
  const gone = new AbortController();
  const given = peer.fetchTo(
    hash,
    { write: () => Promise.resolve() },
    { limit, signal: gone.signal },
  );
  await peer.ping();
  gone.abort();
  await t.rejects(given, { code: 'ERR_ABORTED' });
});

t.test('a client that takes nothing is dropped, one that asks nothing is not', async (t) => {
  const sockets: Socket[] = [];
  const onSocket = (message: unknown): void => {
    sockets.push((message as { socket: Socket }).socket);
  };
  const { node, hash } = await withLarge(t, { stallTimeout: 200, maxUploads: 1 });
  subscribe('net.server.socket', onSocket);
  t.teardown(() => {
    unsubscribe('net.server.socket', onSocket);
    return Promise.resolve();
  });
  const idle = await RawPeer.to(t, node.address);
  const deaf = await RawPeer.to(t, node.address);
  await hold(deaf, hash);
  // It does send something, all the time.
  const timer = setInterval(() => deaf.send({ type: 'PING', info: { version: 1 } }, 9), 20);
  const [, socket] = sockets;
  if (socket === undefined) throw new Error('no connection');
  await once(socket, 'close');
  clearInterval(timer);
  idle.send({ type: 'RQFH', hash, length: 1 }, 1);
  t.match(await idle.next(), { message: { of: 'RQFH', length: 1 } }, 'and its place is free');
  idle.expectBody(bodyBytes(SIZE, 0, 1));
  t.equal((await idle.body()).length, bodyBytes(SIZE, 0, 1));
});

t.test('the end: what is under way goes on, nothing new begins', async (t) => {
  const { node, hash, content } = await withLarge(t);
  const { address } = node;
  const idle = await rawFrom(t, node, 2);
  idle.send({ type: 'PING', info: { version: 1 } }, 1);
  await idle.next();
  const peer = await connectTo(t, node);
  const stream = peer.fetch(hash);
  await once(stream, 'readable');
  const raw = await rawFrom(t, node, 3);
  await hold(raw, hash);
  t.equal(node.stats.uploads, 2);
  const closed = node.close({ grace: 600_000 });
  t.equal(await idle.next(), undefined, 'a connection without a transfer ends');
  await t.rejects(connect(address), { code: 'ERR_UNREACHABLE' }, 'no new ones');
  raw.send({ type: 'RQFH', hash }, 2);
  raw.send({ type: 'PING', info: { version: 1 } }, 3);
  raw.socket.resume();
  t.equal((await raw.body()).length, BODY);
  const answers = [await raw.next(), await raw.next()].map((answer) => answer?.tag);
  t.same(answers.sort(), [2, 3], 'answered both');
  t.equal(await raw.next(), undefined, 'and then the end');
  raw.socket.end();
  t.ok((await bytesOf(stream)).equals(content));
  await closed;
  t.equal(node.stats.openConnections, 0);
});

t.test('the end: another file gets ERR_BUSY', async (t) => {
  const { node, hash } = await withLarge(t);
  const raw = await rawFrom(t, node, 2);
  await hold(raw, hash);
  const closed = node.close({ grace: 600_000 });
  raw.send({ type: 'RQFH', hash }, 2);
  raw.socket.resume();
  await raw.body();
  t.match(await raw.next(), { tag: 2, message: { code: 'ERR_BUSY', message: /closing/ } });
  t.equal(await raw.next(), undefined);
  raw.socket.end();
  await closed;
});

t.test('the end: at once when it is asked for again, or the time is over', async (t) => {
  for (const again of [true, false]) {
    const { node, hash } = await withLarge(t);
    const raw = await rawFrom(t, node, 2);
    await hold(raw, hash);
    const closed = node.close({ grace: again ? 600_000 : 1000 });
    if (again) await node.close();
    await closed;
    raw.socket.resume();
    await once(raw.socket, 'close');
    t.ok((await raw.body()).length < BODY, 'cut off');
  }
});
