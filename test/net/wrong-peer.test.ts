/** A peer that is named with its id must prove it, before it is asked for anything. */
import { once } from 'node:events';
import { connect as connectTls, createServer } from 'node:tls';
import t from '../fixtures/tap.js';
import { connect } from '../../lib/fetch/peer.js';
import { fetchFromMany } from '../../lib/fetch/sources/fetch-many.js';
import { formatAddress } from '../../lib/net/address.js';
import { ALPN } from '../../lib/net/tls/settings.js';
import { newKey, shownBy } from '../fixtures/certificates.js';
import { run } from '../fixtures/cli.js';
import { HELLO } from '../fixtures/messages.js';
import { connectTo, startIndexed, startNode, until } from '../fixtures/node.js';
import { RawPeer, startFake } from '../fixtures/raw.js';

const share = t.testdir({ hello: 'hello\n' });
const node = await startIndexed(t, share, { workers: false });
const at = formatAddress(node.address);
const other = '0'.repeat(64);

t.test('the right one', async (t) => {
  const peer = await connect(`${node.id.toUpperCase()}@${at}`);
  t.match(peer, { id: node.id, proven: true, name: at });
  await peer.close();
  const plain = await connectTo(t, node);
  t.match(plain, { id: node.id, proven: false });
});

t.test('another one', async (t) => {
  const refused = {
    code: 'ERR_WRONG_PEER',
    message: `${at} is another peer: ${node.id}, not ${other}`,
  };
  await t.rejects(connect(`${other}@${at}`), refused);
  await t.rejects(connect(`${other}@${at}`, { tls: false }), { code: 'ERR_USAGE' });
  await t.rejects(fetchFromMany(HELLO, [`${other}@${at}`], { write: () => undefined }), {
    message: new RegExp(other),
  });
  const { code, stderr, stdout } = await run('p2p-ping', [`${other}@${at}`]);
  t.same([code, stdout.toString(), stderr], [6, '', `p2p-ping: ${refused.message}\n`]);
});

t.test('a relay that puts itself in the middle', async (t) => {
  const read: Buffer[] = [];
  const server = createServer({ ...shownBy(newKey()), ALPNProtocols: [ALPN] }, (socket) => {
    socket.on('error', () => undefined).on('data', (chunk: Buffer) => read.push(chunk));
    const behind = connectTls({ ...node.address, ...shownBy(newKey()), rejectUnauthorized: false });
    behind.on('error', () => undefined).pipe(socket);
    socket.once('close', () => behind.destroy());
  });
  const relay = await startFake(t, (socket) => server.emit('connection', socket));
  const named = `${node.id}@${formatAddress(relay.address)}`;
  await t.rejects(connect(named), { code: 'ERR_WRONG_PEER' });
  t.same(read, [], 'it is asked for nothing');
});

t.test('a relay that hides TLS', async (t) => {
  const read: Buffer[] = [];
  const relay = await startFake(t, (socket) => {
    socket.on('data', (chunk: Buffer) => read.push(chunk)).end();
  });
  const named = `${node.id}@${formatAddress(relay.address)}`;
  await t.rejects(connect(named), { code: 'ERR_NOT_A_PEER', message: /--plain/ });
  t.notOk(Buffer.concat(read).includes('PING'), 'nothing comes in the clear');
});

t.test('an id in PING that is not the proven one', async (t) => {
  const socket = connectTls({
    ...{ ...node.address, ...shownBy(newKey()), rejectUnauthorized: false },
    ALPNProtocols: [ALPN],
  });
  await once(socket, 'secureConnect');
  t.teardown(() => socket.destroy());
  const raw = new RawPeer(socket);
  raw.send({ type: 'PING', info: { version: 1, id: node.id, port: 7000 } }, 1);
  t.match(await raw.next(), { tag: 1, message: { code: 'ERR_MALFORMED' } });
  const wrong = createServer({ ...shownBy(newKey()), ALPNProtocols: [ALPN] }, (client) => {
    const answer = { type: 'ACKN', of: 'PING', info: { version: 1, id: other } } as const;
    const peer = new RawPeer(client);
    void peer.next().then(() => peer.send({ ...answer, files: 0, bytes: 0, state: 'ready' }, 1));
  });
  const fake = await startFake(t, (client) => wrong.emit('connection', client));
  await t.rejects(connect(fake.address, { tls: true }), { code: 'ERR_NOT_A_PEER' });
});

t.test('a node joins the peer that it names, and no other', async (t) => {
  const folder = t.testdir({});
  const times = { firstList: 50, list: 50 };
  const joins = await startNode(t, folder, { workers: false, times, peers: [`${node.id}@${at}`] });
  await until(joins, () => joins.peers.length === 1);
  const warnings: string[] = [];
  const onWarning = ({ path, reason }: { path: string; reason: string }): void => {
    warnings.push(`${path}: ${reason}`);
  };
  const lost = await startNode(t, folder, { workers: false, peers: [`${other}@${at}`], onWarning });
  while (warnings.length === 0) await once(lost, 'warning');
  t.same(warnings, [`peers: ${at} is another peer: ${node.id}, not ${other}`]);
  t.same(lost.peers, []);
});
