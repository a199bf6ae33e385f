/** A side that ends its half after its last request gets all its answers, whichever side made the connection. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { Connection, type RequestHandler } from '../../lib/net/connection.js';
import { dial } from '../../lib/net/dialer.js';
import { Listener } from '../../lib/net/listener.js';
import type { FileHead } from '../../lib/wire/messages.js';
import { HELLO } from '../fixtures/messages.js';
import { RawPeer, startFake } from '../fixtures/raw.js';

const SMALL = Buffer.from('hello\n');
/** More than the kernel takes at once. */
const LARGE = Buffer.alloc(20 * 2 ** 20, 'x');

/** Answers a page with nothing on it, small bodies whole, large ones piece by piece; each a little later. */
function handlerOf(answered: () => void): RequestHandler {
  return async (request, exchange) => {
    await new Promise(setImmediate);
    if (request.type === 'RQFS') exchange.send({ type: 'RPFL', total: 0, files: [] });
    if (request.type !== 'RQFH') return;
    const body = request.length === 1 ? LARGE : SMALL;
    const size = body.length;
    const head: FileHead = { type: 'ACKN', of: 'RQFH', size, offset: 0, length: size };
    if (body === SMALL) await exchange.sendWhole(head, body);
    else {
      await exchange.sendBody(head, async (socket) => {
        for (let at = 0; at < size; at += 2 ** 20) {
          await new Promise((done) => socket.write(body.subarray(at, at + 2 ** 20), done));
        }
      });
    }
    answered();
  };
}

/** Asks for much, ends its half, and takes all of it. */
async function askAndEnd(t: Test, peer: RawPeer): Promise<void> {
  for (let tag = 1; tag <= 50; tag++) peer.send({ type: 'RQFH', hash: HELLO }, tag);
  peer.send({ type: 'RQFH', hash: HELLO, length: 1 }, 51).send({ type: 'RQFH', hash: HELLO }, 52);
  peer.send({ type: 'RQFS', query: '', ttl: 0 }, 53);
  peer.socket.end();
  let bodies = 0;
  let pages = 0;
  for (let got = await peer.next(); got !== undefined; got = await peer.next()) {
    if (got.message.type === 'RPFL') pages++;
    if (got.message.type !== 'ACKN' || got.message.of !== 'RQFH') continue;
    peer.expectBody(got.message.length);
    if ((await peer.body()).length === got.message.length) bodies++;
  }
  t.same({ bodies, pages }, { bodies: 52, pages: 1 });
}

const times = { connectTimeout: 10_000, answerTimeout: 10_000 };

t.test('the side that was dialled', async (t) => {
  let answered = 0;
  const handler = handlerOf(() => answered++);
  const listener = await Listener.open(
    { host: '127.0.0.1', port: 0 },
    {
      onSocket: (socket) => {
        new Connection(socket, { handler, name: 'peer', ...times }).readEvents();
      },
      onShortage: () => false,
    },
  );
  const peer = await RawPeer.to(t, listener.address);
  await askAndEnd(t, peer);
  t.equal(answered, 52);
  // Resolves when the connection is closed, too.
  await listener.close();
});

t.test('the side that dialled', async (t) => {
  let asked: Promise<void> | undefined;
  const { address } = await startFake(t, (socket) => {
    socket.allowHalfOpen = true;
    asked = askAndEnd(t, new RawPeer(socket));
  });
  const connection = await dial(address, { handler: handlerOf(() => undefined), ...times });
  if (!connection.closed.aborted) await once(connection.closed, 'abort');
  await asked;
});

t.test('nothing is owed', async (t) => {
  let accepted: Socket | undefined;
  const { address } = await startFake(t, (socket) => {
    socket.allowHalfOpen = true;
    accepted = socket;
    socket.resume().end();
  });
  const connection = await dial(address, { handler: () => undefined, ...times });
  if (!connection.closed.aborted) await once(connection.closed, 'abort');
  t.equal(connection.usable, false, 'closed at once');
  if (accepted?.readableEnded === false) await once(accepted, 'end');
});

t.test('it has ended its half, and owes answers', async (t) => {
  const { address } = await startFake(t, (socket) => {
    const peer = new RawPeer(socket);
    socket.allowHalfOpen = true;
    void peer.next().then((got) => {
      // Its own request keeps the connection open.
      if (got?.message.type === 'PING') peer.send({ type: 'RQLT' }, 1).socket.end();
    });
  });
  let answer: () => void = () => undefined;
  const connection = await dial(address, {
    handler: () => new Promise((resolve) => (answer = resolve)),
    ...times,
    answerTimeout: 50,
  });
  const ping = connection.request({ type: 'PING', info: { version: 1 } });
  await t.rejects(ping, { code: 'ERR_CLOSED' }, 'they cannot come any more');
  // A deadline that begins later, and expires.
  const other = await dial(address, { handler: () => undefined, ...times, answerTimeout: 100 });
  await t.rejects(other.request({ type: 'RQLT' }), { code: 'ERR_TIMED_OUT' });
  t.equal(connection.closed.aborted, false, 'nor are they waited for');
  answer();
  await once(connection.closed, 'abort');
  t.match(connection.closed.reason, { code: 'ERR_CLOSED' });
});
