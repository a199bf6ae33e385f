/** What one connection may cost: time for a body, memory for an answer, requests at once, a place. */
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import t from '../fixtures/tap.js';
import type { PeerError } from '../../lib/errors.js';
import { connect, type Peer } from '../../lib/fetch/peer.js';
import { Connection, type RequestHandler } from '../../lib/net/connection.js';
import { loadAccept } from '../../lib/net/kernel-accept.js';
import { Listener } from '../../lib/net/listener.js';
import { RequestQuota } from '../../lib/limits/request-quota.js';
import { FrameDecoder } from '../../lib/wire/frame.js';
import type { Message } from '../../lib/wire/messages.js';
import { HELLO, ID } from '../fixtures/messages.js';
import { bytesOf, connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { RawPeer, startFake } from '../fixtures/raw.js';

const pong: Message = {
  type: 'ACKN',
  of: 'PING',
  info: { version: 1, id: ID },
  files: 0,
  bytes: 0,
  state: 'ready',
};

t.test('a body that comes byte by byte is given up', async (t) => {
  const head: Message = { type: 'ACKN', of: 'RQFH', size: 200_000, offset: 0, length: 200_000 };
  const { address } = await startFake(t, (socket) => {
    const peer = new RawPeer(socket);
    void (async () => {
      for (let asked = await peer.next(); asked !== undefined; asked = await peer.next()) {
        peer.send(asked.message.type === 'PING' ? pong : head, asked.tag);
        if (asked.message.type === 'PING') continue;
        const timer = setInterval(() => peer.raw('x'), 10);
        socket.once('close', () => {
          clearInterval(timer);
        });
      }
    })();
  });
  const peer = await connect(address, { answerTimeout: 150 });
  t.teardown(() => peer.close());
  // What else is asked meanwhile changes nothing.
  const asking = setInterval(() => {
    peer.ping().catch(() => undefined);
  }, 50);
  t.teardown(() => {
    clearInterval(asking);
  });
  await t.rejects(bytesOf(peer.fetch(HELLO)), { code: 'ERR_TIMED_OUT' });
});

t.test('a long answer that nobody waits for is skipped', (t) => {
  const long = Buffer.alloc(12 + 70_000, 0xff);
  long.write('RPFL');
  long.writeUInt32BE(7, 4);
  long.writeUInt32BE(70_000, 8);
  const decode = (isAwaited: boolean): unknown => {
    const decoder = new FrameDecoder((tag) => isAwaited && tag === 7);
    decoder.write(long.subarray(0, 50_000));
    return decoder.write(long.subarray(50_000)).frame;
  };
  t.match(decode(true), { id: 'RPFL', tag: 7, skipped: false, payload: long.subarray(12) });
  t.same(decode(false), { id: 'RPFL', tag: 7, skipped: true, payload: new Uint8Array(0) });
  t.end();
});

t.test('too many requests of all connections', async (t) => {
  const quota = new RequestQuota(10);
  let go: () => void = () => undefined;
  const wait = new Promise<void>((resolve) => (go = resolve));
  const { address } = await startFake(t, (socket) => {
    const handler: RequestHandler = async (_request, exchange) => {
      await wait;
      exchange.send(pong);
    };
    new Connection(socket, { handler, name: 'peer', answerTimeout: 30_000, quota }).readEvents();
  });
  const many = await RawPeer.to(t, address);
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  for (let tag = 1; tag <= 11; tag++) many.send({ type: 'RQLT' }, tag);
  while (quota.inFlight < 10) await turn();
  const other = await RawPeer.to(t, address);
  for (let tag = 1; tag <= 5; tag++) other.send({ type: 'RQLT' }, tag);
  while (quota.inFlight < 12) await turn();
  for (let i = 0; i < 100; i++) await turn();
  t.equal(quota.inFlight, 12, 'some are always taken, the others wait unread');
  const closed = once(many.socket, 'close');
  many.socket.destroy();
  await closed;
  go();
  // Those of a connection that is gone, too.
  while (quota.inFlight > 0) await turn();
  for (let tag = 1; tag <= 5; tag++) t.match(await other.next(), { tag }, 'answered in the end');
});

t.test('what a closed connection asked for is dropped', async (t) => {
  let begun = 0;
  let enough: () => void = () => undefined;
  const busy = new Promise<void>((resolve) => (enough = resolve));
  let accepted: Connection | undefined;
  const { address } = await startFake(t, (socket) => {
    const handler: RequestHandler = async (_request, { closed }) => {
      if (++begun === 4) enough();
      if (!closed.aborted) await once(closed, 'abort');
      closed.throwIfAborted();
    };
    accepted = new Connection(socket, { handler, name: 'peer', answerTimeout: 30_000 });
    accepted.readEvents();
  });
  const peer = await RawPeer.to(t, address);
  for (let tag = 1; tag <= 256; tag++) peer.send({ type: 'RQFH', hash: HELLO }, tag);
  await busy;
  peer.socket.destroy();
  while (accepted?.closed.aborted !== true || accepted.busy) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(begun, 4, 'those that run are told; those that wait never begin');
});

t.test('a full house', async (t) => {
  const node = await startIndexed(t, t.testdir({ hello: 'hello\n' }), {
    maxConnections: 3,
    maxPerClient: 2,
    maxPending: 3,
  });
  const first = await connectTo(t, node);
  t.equal((await listOf(first.search('hello'))).length, 1);
  const idle = await RawPeer.to(t, node.address);
  idle.send({ type: 'PING', info: { version: 1, id: ID } }, 1);
  await idle.next();
  // Refused as long as that is new.
  const isBusy = (error: PeerError): undefined => void t.equal(error.code, 'ERR_BUSY');
  let second: Peer | undefined;
  while (second === undefined) second = await connectTo(t, node).catch(isBusy);
  t.match(await idle.next(), { tag: 0, message: { type: 'ERRR', code: 'ERR_BUSY' } });
  t.equal(await idle.next(), undefined, 'the one that was of no use is evicted');
  t.equal((await second.ping()).files, 1);
  t.equal((await first.ping()).files, 1);
  t.match(node.stats, { openConnections: 2, evicted: 1 });
});

t.test('refused, and told why', async (t) => {
  const node = await startIndexed(t, t.testdir({ long: 'x'.repeat(100_000) }), {
    maxPerClient: 1,
    upLimit: 1000,
  });
  const busy = await RawPeer.to(t, node.address);
  busy.send({ type: 'RQFS', query: 'long', ttl: 0 }, 1);
  const listed = await busy.next();
  if (listed?.message.type !== 'RPFL') throw new Error();
  // At 1,000 bytes a second it takes longer than this test.
  busy.send({ type: 'RQFH', hash: listed.message.files[0]?.hash ?? '' }, 2);
  while (node.stats.bytesRead === 0) await new Promise((resolve) => setImmediate(resolve));
  await t.rejects(connect(node.address), { code: 'ERR_BUSY', message: /too many connections/ });
  t.match(node.stats, { openConnections: 1, evicted: 0, refused: 1 });
});

t.test('an accept that fails', async (t) => {
  let shortages = 0;
  let frees = true;
  const listener = await Listener.open(
    { host: '127.0.0.1', port: 0 },
    {
      onSocket: (socket) => socket.end('here'),
      onShortage: () => {
        shortages++;
        return frees;
      },
    },
  );
  t.teardown(() => listener.close());
  const answer = async (): Promise<string> => {
    const socket = connectSocket(listener.address);
    return (await bytesOf(socket)).toString();
  };
  t.equal(await answer(), 'here');
  const fail = (): void => {
    listener.fail(Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' }));
  };
  fail();
  t.equal(await answer(), 'here', 'goes on when there is room');
  frees = false;
  fail();
  t.equal(shortages, 2);
  await t.rejects(answer(), { code: 'ECONNREFUSED' }, 'stops when there is none');
  for (;;) {
    // On the same port, a moment later.
    const said = await answer().catch(() => undefined);
    if (said === 'here') break;
  }
});

t.test(
  'many that connect at once are not accepted one in each turn of the event loop',
  async (t) => {
    const isMissing = (await loadAccept()) === undefined;
    const COUNT = 200;
    const accepted: Socket[] = [];
    const listener = await Listener.open(
      { host: '127.0.0.1', port: 0 },
      { onSocket: (socket) => accepted.push(socket), onShortage: () => false },
    );
    const clients = Array.from({ length: COUNT }, () => connectSocket(listener.address));
    let turns = 0;
    while (accepted.length < COUNT) {
      turns++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (!isMissing) t.ok(turns < COUNT / 2, `${turns} turns`);
    t.equal(new Set(accepted.map(({ remotePort }) => remotePort)).size, COUNT);
    // Each is like any other: half open, and waited for at the end.
    const [last] = accepted.slice(-1);
    const client = clients.find(({ localPort }) => localPort === last?.remotePort);
    client?.end('asked');
    last?.resume().once('end', () => last.end('answered'));
    if (client !== undefined) t.equal((await bytesOf(client)).toString(), 'answered');
    let open = COUNT;
    for (const socket of accepted) socket.once('close', () => open--);
    const closed = listener.close();
    for (const socket of accepted) socket.destroy();
    await closed;
    t.ok(
      accepted.every((socket) => socket.closed),
      'it is closed when the last of them is',
    );
    for (const socket of clients) socket.destroy();
  },
);
