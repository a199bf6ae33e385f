/** Peers that connect and say nothing, or a byte now and then, are gone in time; honest ones stay. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import t from '../fixtures/tap.js';
import { formatAddress, type PeerAddress } from '../../lib/net/address.js';
import { FIRST_FRAME_TIMEOUT, FRAME_TIMEOUT } from '../../lib/net/connection-deadlines.js';
import { encodeMessage } from '../../lib/wire/messages.js';
import { run } from '../fixtures/cli.js';
import { ID } from '../fixtures/messages.js';
import { connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { connect } from '../fixtures/socket.js';
import { ThrottledRelay } from '../fixtures/throttled-relay.js';
import { FULL, size } from './sizes.js';

/** Connections of each kind; milliseconds between two bytes; and until frames must be there. */
const MANY = size(40, 1000);
const BYTE_EVERY = size(100, 5000);
const FIRST = size(400, FIRST_FRAME_TIMEOUT);
const EACH = size(400, FRAME_TIMEOUT);

const PING = encodeMessage({ type: 'PING', info: { version: 1, id: ID } }, 1);
/** A search that announces as much as a request may have. */
const LARGE = Buffer.from('525146530000000200010000', 'hex');

/** A request whose head does not end. */
const HTTP = Buffer.from(`GET / HTTP/1.1\r\n${'X: a\r\n'.repeat(1000)}`);

/** Sends what a kind of peer sends; `drip` sends the rest byte by byte. */
interface Kind {
  begin: (socket: Socket) => void;
  drip?: Buffer;
}

const KINDS: Record<string, Kind> = {
  'says nothing': { begin: () => undefined },
  'sends PING a byte at a time': { begin: () => undefined, drip: PING },
  'sends a large search a byte at a time': { begin: () => undefined, drip: LARGE },
  'says PING, then begins a search and stops': {
    begin: (socket) => socket.write(Buffer.concat([PING, LARGE])),
  },
  'says PING, then a large search a byte at a time': {
    begin: (socket) => socket.write(PING),
    drip: LARGE,
  },
  'sends half a PING and ends its half': { begin: (socket) => socket.end(PING.subarray(0, 20)) },
  'asks by HTTP a byte at a time': { begin: () => undefined, drip: HTTP },
  'asks by HTTP, then again a byte at a time': {
    begin: (socket) => socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'),
    drip: HTTP,
  },
  'ends its half at once': { begin: (socket) => socket.end() },
};

for (const [name, kind] of Object.entries(KINDS)) {
  t.test(`${MANY} connections: ${name}`, async (t) => {
    const node = await startIndexed(t, t.testdir({ hello: 'hello\n' }), {
      firstFrameTimeout: FIRST,
      frameTimeout: EACH,
    });
    const honest = await connectTo(t, node);
    const begin = performance.now();
    const attackers = await Promise.all(
      Array.from({ length: MANY }, () => attack(node.address, kind)),
    );
    await Promise.all(attackers.map(({ closed }) => closed));
    if (FULL) t.comment(`gone after ${((performance.now() - begin) / 1000).toFixed(1)} s`);
    t.equal(
      (await listOf(honest.search('hello'))).length,
      1,
      'a client that is idle between frames stays',
    );
    t.equal(node.stats.openConnections, 1);
  });
}

const skip = FULL ? false : 'takes 30 s';
t.test('p2p-fetch gives up on a peer that stops in the middle of a file', { skip }, async (t) => {
  const folder = t.testdir({ large: Buffer.alloc(2_000_000) });
  const node = await startIndexed(t, folder, { workers: false });
  const [file] = await listOf((await connectTo(t, node)).search(''));
  await Promise.all(
    ['--plain', '--tls'].map(async (language) => {
      const relay = new ThrottledRelay(node.address, { stallAfter: 1_000_000 });
      const address = formatAddress(await relay.listen());
      const begin = performance.now();
      const { code, stderr } = await run('p2p-fetch', [address, file?.hash ?? '', language]);
      await relay.close();
      t.equal(code, 4, `${language}: ${stderr}`);
      t.match(stderr, /^p2p-fetch: .*30 s/);
      t.ok(performance.now() - begin < 60_000);
    }),
  );
});

/** Begins as its kind does. @returns `closed` resolves when the other side has had enough */
async function attack(
  address: PeerAddress,
  { begin, drip }: Kind,
): Promise<{ closed: Promise<void> }> {
  const socket = connect({ ...address, allowHalfOpen: true });
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  // What comes is of no interest, but that it ends is seen only by a reader.
  socket.resume();
  socket.once('end', () => socket.destroy());
  begin(socket);
  let next = 0;
  const timer = setInterval(() => {
    if (drip === undefined || socket.destroyed) return;
    socket.write(Uint8Array.of(drip[next++] ?? 0));
  }, BYTE_EVERY);
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      clearInterval(timer);
      resolve();
    });
  });
  return { closed };
}
