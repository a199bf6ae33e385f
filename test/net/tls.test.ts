/** TLS on a node's port: beside the protocol in the clear, with proven ids, and nothing else is taken for it. */
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { join } from 'node:path';
import {
  connect as connectTls,
  createServer,
  type ConnectionOptions,
  type TLSSocket,
} from 'node:tls';
import t, { type Test } from '../fixtures/tap.js';
import { connect } from '../../lib/fetch/peer.js';
import { dial } from '../../lib/net/dialer.js';
import { Opening } from '../../lib/net/opening.js';
import { certificateOf } from '../../lib/net/tls/certificate.js';
import { ALPN } from '../../lib/net/tls/settings.js';
import { encodeMessage } from '../../lib/wire/messages.js';
import { ISSUED, P256, RSA, newKey, shownBy, wrongSignature } from '../fixtures/certificates.js';
import { HELLO } from '../fixtures/messages.js';
import { bytesOf, connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { startProxy } from '../fixtures/proxy.js';
import { RawPeer, startFake } from '../fixtures/raw.js';
import { size } from '../hostile/sizes.js';

const CONTENT = Buffer.alloc(3_000_000, 'secret content ');
const PING = encodeMessage({ type: 'PING', info: { version: 1 } }, 1);

/** One node for the whole file: what is done to it must not disturb it. */
const share = t.testdir({ 'hidden-name.txt': CONTENT });
const node = await startIndexed(t, share, { workers: false, firstFrameTimeout: 10_000 });
const { address } = node;
const key = newKey();

function tls(options: ConnectionOptions): TLSSocket {
  const socket = connectTls({
    ...address,
    ...shownBy(key),
    rejectUnauthorized: false,
    ALPNProtocols: [ALPN],
    minVersion: 'TLSv1.3',
    ...options,
  });
  socket.on('error', () => undefined);
  return socket;
}

/** Resolves when it is closed, whatever went wrong. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', resolve));
}

/** What a client is sent before the end of its connection. */
async function answerTo(options: ConnectionOptions): Promise<string> {
  const socket = tls(options);
  const read: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => read.push(chunk));
  socket.once('secureConnect', () => socket.write(PING));
  await closed(socket);
  return Buffer.concat(read).toString('latin1');
}

t.test('the same port, with TLS and in the clear; the key is the id', async (t) => {
  for (const secure of [true, false]) {
    const peer = await connectTo(t, node, { tls: secure });
    t.equal((await peer.ping()).info.id, node.id);
    const [file] = await listOf(peer.search('hidden'));
    t.ok(CONTENT.equals(await bytesOf(peer.fetch(file?.hash ?? ''))), `TLS: ${secure}`);
  }
  const socket = tls({});
  await once(socket, 'secureConnect');
  const shown = socket.getPeerX509Certificate();
  t.equal(shown?.publicKey.export({ type: 'spki', format: 'der' }).toString('hex', 12), node.id);
  socket.destroy();
});

t.test('nothing on the wire can be read', async (t) => {
  const sent: Buffer[] = [];
  const relay = await startProxy(t, address, () => (chunk) => {
    sent.push(chunk);
    return chunk;
  });
  const peer = await connect(relay, { tls: true });
  const [file] = await listOf(peer.search('hidden'));
  await bytesOf(peer.fetch(file?.hash ?? ''));
  await peer.close();
  const all = Buffer.concat(sent);
  t.ok(all.length > CONTENT.length);
  const readable = [
    'hidden-name',
    'secret content',
    'RPFL',
    'ACKN',
    Buffer.from(file?.hash ?? '', 'hex'),
  ];
  for (const text of readable) t.notOk(all.includes(text), String(text));
});

t.test('the certificate in PROTOCOL.md', (t) => {
  const text = readFileSync(new URL('../../../lib/wire/PROTOCOL.md', import.meta.url), 'utf8');
  const [, hex = ''] = /```certificate\n([^`]*)```/.exec(text) ?? [];
  const secret = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), secret]);
  const known = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
  t.equal(certificateOf(known).toString('hex'), hex.replace(/\s/g, ''));
  t.end();
});

t.test('the certificate is one for OpenSSL, too', (t) => {
  const der = certificateOf(key);
  const certificate = new X509Certificate(der);
  t.ok(certificate.verify(certificate.publicKey));
  t.equal(certificate.serialNumber, '01');
  t.ok(der.equals(certificateOf(key)), 'the same bytes every time');
  t.end();
});

t.test('a client that is no peer is told nothing', async (t) => {
  const bad: Record<string, ConnectionOptions> = {
    'no certificate': { key: undefined, cert: undefined },
    RSA,
    'P-256': P256,
    'signed by another key': ISSUED,
    'a wrong signature': wrongSignature(),
    'TLS 1.2': { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' },
    'another ALPN': { ALPNProtocols: ['h2'] },
    'no ALPN': { ALPNProtocols: undefined },
  };
  for (const [name, options] of Object.entries(bad)) t.equal(await answerTo(options), '', name);
});

t.test('a session is never resumed', async (t) => {
  const sessions: Buffer[] = [];
  const first = tls({});
  first.on('session', (session: Buffer) => sessions.push(session));
  const peer = new RawPeer(first);
  await once(first, 'secureConnect');
  peer.raw(PING);
  t.match(await peer.next(), { message: { of: 'PING' } });
  first.destroy();
  // OpenSSL says what could resume it, but keeps nothing.
  for (const session of sessions) {
    const second = tls({ session });
    await once(second, 'secureConnect');
    t.equal(second.isSessionReused(), false);
    second.destroy();
  }
});

t.test('a server that is no peer is not spoken to', async (t) => {
  const servers = {
    RSA: { ...RSA, ALPNProtocols: [ALPN] },
    'P-256': { ...P256, ALPNProtocols: [ALPN] },
    'signed by another key': { ...ISSUED, ALPNProtocols: [ALPN] },
    'a wrong signature': { ...wrongSignature(), ALPNProtocols: [ALPN] },
    'TLS 1.2': { ...shownBy(newKey()), ALPNProtocols: [ALPN], maxVersion: 'TLSv1.2' as const },
    'another ALPN': { ...shownBy(newKey()), ALPNProtocols: ['h2'] },
    'no ALPN': shownBy(newKey()),
  };
  for (const [name, options] of Object.entries(servers)) {
    const read: Buffer[] = [];
    const server = createServer(options, (socket) => {
      socket.on('error', () => undefined).on('data', (chunk: Buffer) => read.push(chunk));
    });
    const fake = await startFake(t, (socket) => server.emit('connection', socket));
    await t.rejects(connect(fake.address, { tls: true }), { code: 'ERR_NOT_A_PEER' }, name);
    t.same(read, [], 'it is sent nothing');
  }
});

t.test('a peer that does not speak TLS: an error, and nothing in the clear', async (t) => {
  const answers = {
    'an error of the protocol': encodeMessage(
      { type: 'ERRR', code: 'ERR_MALFORMED', message: 'not a frame' },
      0,
    ),
    'a web server': 'HTTP/1.1 400 Bad Request\r\n\r\n',
    nothing: '',
  };
  for (const [name, answer] of Object.entries(answers)) {
    const read: Buffer[] = [];
    const fake = await startFake(t, (socket) => {
      socket.on('data', (chunk: Buffer) => {
        read.push(chunk);
        socket.end(answer);
      });
    });
    const wanted = { code: 'ERR_NOT_A_PEER', message: /--plain/ };
    await t.rejects(connect(fake.address, { tls: true }), wanted, name);
    t.equal(Buffer.concat(read)[0], 0x16);
    t.notOk(Buffer.concat(read).includes('PING'));
  }
});

t.test('harm on the way', async (t) => {
  const [file] = await listOf((await connectTo(t, node)).search(''));
  const { hash = '' } = file ?? {};
  const flipped = await startProxy(t, address, () => (chunk, at) => {
    if (at <= 1_000_000 && 1_000_000 < at + chunk.length) {
      chunk.writeUInt8(chunk.readUInt8(1_000_000 - at) ^ 1, 1_000_000 - at);
    }
    return chunk;
  });
  const one = await connectTo(t, { address: flipped }, { tls: true });
  await t.rejects(bytesOf(one.fetch(hash)), { code: 'ERR_CLOSED' }, 'a bit is not what it was');
  const cut = await startProxy(
    t,
    address,
    () => (chunk, at) => (at + chunk.length < 1_000_000 ? chunk : undefined),
  );
  const two = await connectTo(t, { address: cut }, { tls: true });
  await t.rejects(bytesOf(two.fetch(hash)), { code: 'ERR_CLOSED' }, 'the end comes early');
  const stalled = await startProxy(
    t,
    address,
    () => (chunk, at) => (at + chunk.length < 1_000_000 ? chunk : Buffer.alloc(0)),
  );
  const three = await connectTo(t, { address: stalled }, { tls: true, answerTimeout: 300 });
  await t.rejects(bytesOf(three.fetch(hash)), { code: 'ERR_TIMED_OUT' }, 'no more comes');
});

/** The bytes of a handshake as a client sends them, all of them before the first message. */
async function recordedHandshake(t: Test): Promise<Buffer> {
  const sent: Buffer[] = [];
  const relay = await startFake(t, (client) => {
    const server = connectTcp(address);
    server.on('error', () => undefined).pipe(client);
    client.on('data', (chunk: Buffer) => sent.push(chunk)).pipe(server);
  });
  const socket = tls({ ...relay.address });
  await once(socket, 'secureConnect');
  socket.end();
  await once(socket, 'close');
  return Buffer.concat(sent);
}

t.test('a handshake that stops has a deadline, wherever it stops', async (t) => {
  const handshake = await recordedHandshake(t);
  const folder = t.testdir({ share: {} });
  const options = { workers: false, firstFrameTimeout: 300 };
  const quick = await startIndexed(t, join(folder, 'share'), options);
  const count = size(40, handshake.length);
  const stops = Array.from({ length: count }, (_, i) =>
    Math.ceil((handshake.length * (i + 1)) / count),
  );
  const sockets = [0, 1, 2, 5, 6, ...stops].map((bytes, i): Socket => {
    // Of few clients: each may begin so many handshakes.
    const localAddress = `127.2.0.${1 + (i % 8)}`;
    const socket = connectTcp({ ...quick.address, localAddress }).on('error', () => undefined);
    return (socket.resume(), socket.write(handshake.subarray(0, bytes)), socket);
  });
  await Promise.all(sockets.map(closed));
  while (quick.stats.openConnections > 0) await new Promise(setImmediate);
  t.equal(quick.stats.connections, sockets.length);
});

t.test('a client that goes in the middle of the handshake is not waited for', async (t) => {
  const handshake = await recordedHandshake(t);
  const folder = t.testdir({ share: {} });
  const options = { workers: false, firstFrameTimeout: 2 ** 31 - 1 };
  const patient = await startIndexed(t, join(folder, 'share'), options);
  const stops = Array.from({ length: 20 }, (_, i) => Math.ceil((handshake.length * i) / 20));
  const sockets = stops.map((bytes): Socket => {
    const socket = connectTcp(patient.address).on('error', () => undefined);
    return (socket.resume(), socket.end(handshake.subarray(0, bytes)), socket);
  });
  await Promise.all(sockets.map(closed));
  while (patient.stats.openConnections > 0) await new Promise(setImmediate);
  t.equal(patient.stats.connections, sockets.length);
});

t.test('a client that ends its half after its last request gets the answer', async (t) => {
  const peer = new RawPeer(tls({ allowHalfOpen: true } as ConnectionOptions));
  await once(peer.socket, 'secureConnect');
  peer.socket.end(PING);
  t.match(await peer.next(), { tag: 1, message: { of: 'PING' } });
  t.equal(await peer.next(), undefined);
});

t.test('no handshake may begin: the client is told in TLS', async (t) => {
  const fake = await startFake(t, (socket) => {
    const onOpen = (): void => {
      t.fail('it is open');
    };
    new Opening(socket, { timeout: 30_000, tls: () => undefined, onOpen, onEnd: () => undefined });
  });
  await t.rejects(connect(fake.address, { tls: true }), { code: 'ERR_BUSY' });
});

t.test('no room: a client that wants TLS is told in TLS', async (t) => {
  const folder = t.testdir({ share: { hello: 'hello\n' } });
  const options = { workers: false, maxPerClient: 1, upLimit: 1000 };
  const full = await startIndexed(t, join(folder, 'share'), options);
  const busy = new RawPeer(tls({ ...full.address }));
  t.teardown(() => busy.socket.destroy());
  await once(busy.socket, 'secureConnect');
  for (let tag = 1; tag < 200; tag++) busy.send({ type: 'RQFH', hash: HELLO }, tag);
  busy.socket.pause();
  while (full.stats.sent === 0) await new Promise(setImmediate);
  const refused = { code: 'ERR_BUSY' };
  await t.rejects(connect(full.address, { tls: true }), refused);
  await t.rejects(connect(full.address), { ...refused, message: /too many connections/ });
  const silent = await RawPeer.to(t, full.address);
  t.match(await silent.next(), { tag: 0, message: { code: 'ERR_BUSY' } }, 'one that says nothing');
  t.match(full.stats, { openConnections: 1, refused: 3 });
});

t.test('a reader that stops and goes on gets every byte, once', async (t) => {
  const [file] = await listOf((await connectTo(t, node)).search(''));
  const peer = await connectTo(t, node, { tls: true });
  for (let i = 0; i < 3; i++) {
    const chunks: Buffer[] = [];
    for await (const chunk of peer.fetch(file?.hash ?? '').iterator()) {
      chunks.push(chunk as Buffer);
      // Others have their turn: what comes meanwhile waits.
      for (let turns = 0; turns < 5; turns++) await new Promise(setImmediate);
    }
    t.ok(CONTENT.equals(Buffer.concat(chunks)));
  }
});

t.test('what came before the end of a connection counts, however late it is read', async (t) => {
  const secure = createServer({ ...shownBy(newKey()), ALPNProtocols: [ALPN] }, (socket) => {
    socket.on('error', () => undefined);
    const peer = new RawPeer(socket);
    void (async () => {
      const info = { version: 1 };
      const pong = { type: 'ACKN', of: 'PING', info, files: 1, bytes: 6, state: 'ready' } as const;
      const answers: Buffer[] = [];
      while (answers.length < 200) {
        answers.push(encodeMessage(pong, (await peer.next())?.tag ?? 0));
      }
      // All at once, and the end behind them: more than is looked at in one turn.
      socket.end(Buffer.concat(answers));
    })();
  });
  const fake = await startFake(t, (socket) => secure.emit('connection', socket));
  const times = { connectTimeout: 30_000, answerTimeout: 30_000 };
  const connection = await dial(fake.address, { ...times, tls: true, handler: () => undefined });
  const ping = { type: 'PING', info: { version: 1 } } as const;
  const answers = Array.from({ length: 200 }, () => connection.request(ping));
  t.equal((await Promise.all(answers)).length, 200);
  if (!connection.closed.aborted) await once(connection.closed, 'abort');
});
