/**
 * Handshakes that no TLS library makes, by a client and by a server: whoever does not prove the key of its certificate
 * is told nothing and asked nothing, and no id but a proven one is believed.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import t, { type Test } from '../fixtures/tap.js';
import { connect } from '../../lib/fetch/peer.js';
import { PeerError } from '../../lib/errors.js';
import { formatAddress, type PeerAddress } from '../../lib/net/address.js';
import { certificateOf } from '../../lib/net/tls/certificate.js';
import { encodeMessage } from '../../lib/wire/messages.js';
import { P256, RSA, certificateWith, idOfKey, newKey } from '../fixtures/certificates.js';
import { run } from '../fixtures/cli.js';
import { connectTo, startIndexed } from '../fixtures/node.js';
import { startProxy } from '../fixtures/proxy.js';
import { startFake } from '../fixtures/raw.js';
import {
  MESSAGE,
  RECORD,
  Tls13Peer,
  extension,
  messageOf,
  vector,
  type Tls13Options,
} from '../fixtures/tls13.js';
import { size } from '../hostile/sizes.js';

const PING = encodeMessage({ type: 'PING', info: { version: 1 } }, 1);

const share = t.testdir({ hello: 'hello\n' });
/** Nothing that comes is too slow: what ends a connection is what was wrong. */
const node = await startIndexed(t, share, { workers: false, firstFrameTimeout: 600_000 });
const victim = newKey();
const own = newKey();
const HONEST: Tls13Options = { chain: [certificateOf(own)], key: own };

/** Each attack comes from an address of its own: so many handshakes of one client would be refused. */
let attacks = 0;
function dial(t: Test): Socket {
  const n = attacks++;
  const socket = connectTcp({ ...node.address, localAddress: `127.1.${n >> 7}.${1 + (n & 127)}` });
  t.teardown(() => socket.destroy());
  return socket;
}

/** What a client that is no honest one is sent after its handshake and PING. */
async function answerTo(t: Test, options: Tls13Options): Promise<string> {
  const peer = new Tls13Peer(dial(t), options);
  try {
    await peer.connect();
    peer.send(RECORD.data, PING);
  } catch {
    // It was refused before its end.
  }
  const got = await peer.next();
  return got?.type === RECORD.data ? got.bytes.toString('latin1') : '';
}

/** A server, which says nothing but counts what it is asked. */
async function startServer(
  t: Test,
  options: Tls13Options,
  onOpen: (peer: Tls13Peer) => void = () => undefined,
): Promise<{ address: PeerAddress; asked: string[] }> {
  const asked: string[] = [];
  const { address } = await startFake(t, (socket) => {
    const peer = new Tls13Peer(socket, options);
    void peer
      .accept()
      .then(async () => {
        onOpen(peer);
        for (let got = await peer.next(); got !== undefined; got = await peer.next()) {
          if (got.type === RECORD.data) asked.push(got.bytes.toString('latin1'));
        }
      })
      .catch(() => undefined);
  });
  return { address, asked };
}

/** An option that changes the one message of this type. */
function change(type: number, how: (message: Buffer) => readonly Buffer[]): Partial<Tls13Options> {
  return { alter: (of, message) => (of === type ? how(message) : [message]) };
}

const other = (message: Buffer): Buffer[] => {
  message.writeUInt8(message.readUInt8(message.length - 1) ^ 1, message.length - 1);
  return [message];
};
const nothing = (): Buffer[] => [];

/** Handshakes that prove no id, whichever side makes them. */
const UNPROVEN: Record<string, Tls13Options> = {
  "another's certificate, without its key": { chain: [certificateOf(victim)], key: own },
  "another's certificate before its own": {
    chain: [certificateOf(victim), certificateOf(own)],
    key: own,
  },
  'no proof of its key': { ...HONEST, ...change(MESSAGE.certificateVerify, nothing) },
  'a wrong proof of its key': { ...HONEST, ...change(MESSAGE.certificateVerify, other) },
  'no certificate': { ...HONEST, ...change(MESSAGE.certificate, nothing) },
  'an empty list of certificates': { chain: [], key: own },
  'a wrong Finished': { ...HONEST, ...change(MESSAGE.finished, other) },
  'no Finished': { ...HONEST, ...change(MESSAGE.finished, nothing) },
  'another ALPN': { ...HONEST, alpn: 'h2' },
  'no ALPN': { ...HONEST, alpn: '' },
};

t.test('the honest handshake of the same hand', async (t) => {
  const peer = await new Tls13Peer(dial(t), HONEST).connect();
  peer.send(RECORD.data, PING);
  t.match(await peer.next(), { type: RECORD.data });
  const { address, asked } = await startServer(t, HONEST, (peer) => {
    const info = { version: 1 };
    const pong = { type: 'ACKN', of: 'PING', info, files: 1, bytes: 6, state: 'ready' } as const;
    peer.send(RECORD.data, encodeMessage(pong, 1));
  });
  const client = await connectTo(t, { address }, { tls: true });
  t.match(client, { id: idOfKey(own), proven: true });
  t.equal(asked.length, 1);
});

t.test('a client that proves no id is told nothing', async (t) => {
  for (const [name, options] of Object.entries(UNPROVEN)) {
    t.equal(await answerTo(t, options), '', name);
  }
});

t.test('a server that proves no id is asked nothing', async (t) => {
  for (const [name, options] of Object.entries(UNPROVEN)) {
    const { address, asked } = await startServer(t, options);
    const at = formatAddress(address);
    // A server that leaves out its Finished is waited for.
    const times = name === 'no Finished' ? { connectTimeout: 500 } : {};
    const wanted = name === 'no Finished' ? 'ERR_TIMED_OUT' : 'ERR_NOT_A_PEER';
    await t.rejects(connect(address, { tls: true, ...times }), { code: wanted }, name);
    await t.rejects(connect(`${idOfKey(victim)}@${at}`, times), { code: wanted }, name);
    t.same(asked, [], name);
  }
});

t.test('the commands: one line, and code 4 or 6', async (t) => {
  const stolen = await startServer(t, { chain: [certificateOf(victim)], key: own });
  const fetch = ['p2p-fetch', [formatAddress(stolen.address), '0'.repeat(64), '--tls']] as const;
  const ping = ['p2p-ping', [`${idOfKey(victim)}@${formatAddress(stolen.address)}`]] as const;
  for (const [name, args] of [fetch, ping]) {
    const { code, stdout, stderr } = await run(name, args);
    t.same([code, stdout.length], [4, 0], stderr);
    t.match(stderr, /^p2p-\w+: .* fails in the TLS handshake \(ERR_SSL_\w+\)\n$/);
    t.notMatch(stderr, '--plain', 'a relay in the middle must not be helped');
  }
  t.same(stolen.asked, []);
  const honest = await startServer(t, HONEST);
  const named = `${idOfKey(victim)}@${formatAddress(honest.address)}`;
  const { code, stdout, stderr } = await run('p2p-ping', [named]);
  t.same([code, stdout.length], [6, 0]);
  t.match(stderr, /^p2p-ping: .* is another peer: [0-9a-f]{64}, not [0-9a-f]{64}\n$/);
  t.same(honest.asked, []);
});

/** Certificates that are the key's own, but say odd things, and those that are of no use. */
const KEYS = {
  RSA: createPrivateKey(RSA.key),
  'P-256': createPrivateKey(P256.key),
  Ed448: generateKeyPairSync('ed448').privateKey,
};
const subject = own;
const ODD: Record<string, { chain: Buffer[]; key?: KeyObject; refused?: true }> = {
  'that has expired': { chain: [certificateWith({ subject, to: '20010101000000Z' })] },
  'of a time to come': { chain: [certificateWith({ subject, from: '99980101000000Z' })] },
  'with an unknown extension': {
    chain: [certificateWith({ subject, extension: Buffer.alloc(9) })],
  },
  'of 50 KB': { chain: [certificateWith({ subject, extension: Buffer.alloc(50_000) })] },
  'with a chain of 50': {
    chain: [certificateOf(own), ...Array.from({ length: 50 }, () => certificateOf(victim))],
  },
  'with a negative serial number': {
    chain: [certificateWith({ subject, serial: Buffer.of(0x80) })],
  },
  'of 1 MB': {
    chain: [certificateWith({ subject, extension: Buffer.alloc(1_000_000) })],
    refused: true,
  },
  'with a chain of 10,000': {
    chain: Array.from({ length: 10_000 }, () => certificateOf(own)),
    refused: true,
  },
  'signed by another': { chain: [certificateWith({ subject, issuer: victim })], refused: true },
  'signed by RSA': { chain: [certificateWith({ subject, issuer: KEYS.RSA })], refused: true },
  'of bytes by chance': { chain: [Buffer.alloc(300, 0x30)], refused: true },
  'followed by a byte': {
    chain: [Buffer.concat([certificateOf(own), Buffer.alloc(1)])],
    refused: true,
  },
};
for (const [name, key] of Object.entries(KEYS)) {
  ODD[`of ${name}`] = { chain: [certificateWith({ subject: key })], key, refused: true };
  const mixed = certificateWith({ subject: key, issuer: own });
  ODD[`of ${name}, signed by Ed25519`] = { chain: [mixed], key, refused: true };
  ODD[`of ${name}, with a proof by Ed25519`] = { chain: [mixed], refused: true };
}

t.test('a certificate that is odd: nothing but its key counts', async (t) => {
  for (const [name, { chain, key = own, refused = false }] of Object.entries(ODD)) {
    const answer = await answerTo(t, { chain, key });
    t.equal(answer === '', refused, `a client's ${name}`);
    let id = '';
    const { address, asked } = await startServer(t, { chain, key }, (peer) => {
      const info = { version: 1 };
      const pong = { type: 'ACKN', of: 'PING', info, files: 1, bytes: 6, state: 'ready' } as const;
      peer.send(RECORD.data, encodeMessage(pong, 1));
    });
    try {
      id = (await connectTo(t, { address }, { tls: true })).id ?? '';
    } catch (error) {
      t.equal((error as PeerError).code, 'ERR_NOT_A_PEER', name);
    }
    t.equal(id, refused ? '' : idOfKey(own), `a server's ${name}`);
    t.equal(asked.length, refused ? 0 : 1);
  }
});

t.test('a certificate that is cut at each of its bytes', async (t) => {
  const whole = certificateOf(own);
  const every = size(25, 1);
  for (let at = 0; at < whole.length; at += every) {
    const chain = [whole.subarray(0, at)];
    if ((await answerTo(t, { chain, key: own })) !== '') t.fail(`a client's, at ${at}`);
    const { address, asked } = await startServer(t, { chain, key: own });
    await connect(address, { tls: true }).then(
      () => t.fail(`a server's, at ${at}`),
      (error: unknown) => {
        if (!(error instanceof PeerError) || error.code !== 'ERR_NOT_A_PEER') t.fail(String(error));
      },
    );
    if (asked.length > 0) t.fail(`asked, at ${at}`);
  }
  t.ok((await (await connectTo(t, node, { tls: true })).ping()).info.id === node.id);
});

t.test('the message of the certificate, cut at each byte', async (t) => {
  const every = size(25, 1);
  let length = Infinity;
  for (let at = 0; at < length; at += every) {
    const cut = change(MESSAGE.certificate, (message) => {
      length = message.length - 4;
      return [messageOf(MESSAGE.certificate, message.subarray(4, 4 + at))];
    });
    if ((await answerTo(t, { ...HONEST, ...cut })) !== '') t.fail(`at ${at}`);
  }
  t.pass();
});

t.test('data that comes before the key is proven', async (t) => {
  const peer: Tls13Peer = new Tls13Peer(dial(t), {
    ...HONEST,
    alter: (type, message) => {
      if (type === MESSAGE.certificate) peer.send(RECORD.data, PING);
      return [message];
    },
  });
  await peer.connect().catch(() => undefined);
  t.not((await peer.next())?.type, RECORD.data, 'among the messages of the handshake');
  // 0-RTT (RFC 8446, section 4.2.10): a session that nobody has, and data under a key that nobody knows.
  const identity = Buffer.concat([vector(2, Buffer.alloc(32, 7)), Buffer.alloc(4)]);
  const offer = Buffer.concat([vector(2, identity), vector(2, vector(1, Buffer.alloc(32)))]);
  const extensions = [extension(42, Buffer.alloc(0)), extension(45, vector(1, Buffer.of(1)))];
  const socket = dial(t);
  const zero = new Tls13Peer(socket, {
    ...HONEST,
    extensions: [...extensions, extension(41, offer)],
    alter: (type, message) => {
      if (type === MESSAGE.clientHello) setImmediate(() => zero.send(RECORD.data, PING));
      return [message];
    },
  });
  const outcome = await zero.connect().then(
    () => 'open',
    () => 'ended',
  );
  if (outcome === 'open') {
    zero.send(RECORD.data, encodeMessage({ type: 'PING', info: { version: 1 } }, 99));
    const got = await zero.next();
    t.equal(got?.bytes.readUInt32BE(4), 99, 'only what came after the handshake is answered');
  }
  t.comment(`a connection with early data: ${outcome}`);
});

/** A relay that changes bytes of one direction at places of its stream. */
async function startFlipping(
  t: Test,
  side: 'client' | 'server',
): Promise<{ address: PeerAddress; flip: { at: number }; length: () => number }> {
  const flip = { at: Infinity };
  let length = 0;
  const { address } = await startFake(t, (client) => {
    const n = attacks++;
    const server = connectTcp({
      ...node.address,
      localAddress: `127.1.${n >> 7}.${1 + (n & 127)}`,
    });
    const [from, to] = side === 'client' ? [client, server] : [server, client];
    const [other, back] = side === 'client' ? [server, client] : [client, server];
    other.pipe(back);
    let at = 0;
    from.on('data', (chunk: Buffer) => {
      const place = flip.at - at;
      if (place >= 0 && place < chunk.length) chunk.writeUInt8(chunk.readUInt8(place) ^ 1, place);
      to.write(chunk);
      length = at += chunk.length;
    });
    server.on('error', () => undefined).once('close', () => client.destroy());
    client.once('close', () => server.destroy());
  });
  return { address, flip, length: () => length };
}

t.test('a relay that changes one byte of the handshake: no peer, or the right one', async (t) => {
  for (const side of ['client', 'server'] as const) {
    const { address, flip, length } = await startFlipping(t, side);
    const whole = await connect(address, { tls: true });
    const until = length();
    await whole.close();
    const outcomes = new Map<string, number>();
    for (let at = 0; at < until; at += size(61, 1)) {
      flip.at = at;
      let outcome: string;
      try {
        const peer = await connect(address, { tls: true, connectTimeout: 200, answerTimeout: 200 });
        outcome = peer.id === node.id ? 'the right one' : 'a wrong one';
        await peer.close();
      } catch (error) {
        outcome = error instanceof PeerError ? error.code : String(error);
      }
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    t.comment(side, until, Object.fromEntries(outcomes));
    const wanted = ['ERR_NOT_A_PEER', 'ERR_BUSY', 'ERR_CLOSED', 'ERR_TIMED_OUT', 'the right one'];
    t.same(
      [...outcomes.keys()].filter((outcome) => !wanted.includes(outcome)),
      [],
    );
  }
});

t.test('a server that stops in the handshake has a deadline, wherever it stops', async (t) => {
  const { address, length } = await startFlipping(t, 'server');
  const whole = await connect(address, { tls: true });
  const until = length();
  await whole.close();
  const proxied = async (at: number): Promise<string> => {
    const stops = await startProxy(t, node.address, () => (chunk, from) => {
      return chunk.subarray(0, Math.max(0, at - from));
    });
    const times = { connectTimeout: 300, answerTimeout: 300 };
    return connect(stops, { tls: true, ...times }).then(
      () => 'open',
      (error: unknown) => (error instanceof PeerError ? error.code : String(error)),
    );
  };
  const outcomes = new Set<string>();
  for (let begin = 0; begin < until; begin += 100) {
    const places = [];
    for (let at = begin; at < Math.min(until, begin + 100); at += size(100, 1)) places.push(at);
    for (const outcome of await Promise.all(places.map(proxied))) outcomes.add(outcome);
  }
  t.same([...outcomes], ['ERR_TIMED_OUT']);
});

t.test('a second handshake on a connection', async (t) => {
  for (const type of [MESSAGE.clientHello, MESSAGE.helloRequest, MESSAGE.certificateRequest]) {
    const peer = await new Tls13Peer(dial(t), HONEST).connect();
    peer.send(RECORD.handshake, messageOf(type, Buffer.alloc(0)));
    peer.send(RECORD.data, PING);
    t.not((await peer.next())?.type, RECORD.data, `a client that sends ${type}`);
    const { address, asked } = await startServer(t, HONEST, (peer) => {
      peer.send(RECORD.handshake, messageOf(type, Buffer.alloc(0)));
    });
    await t.rejects(connect(address, { tls: true }), `a server that sends ${type}`);
    t.ok(asked.length <= 1, 'all that it hears is PING');
  }
});

t.test('new keys without end', async (t) => {
  const COUNT = size(600, 30_000);
  const honest = await connectTo(t, node, { tls: true });
  for (const requested of [true, false]) {
    const socket = dial(t);
    const peer = await new Tls13Peer(socket, HONEST).connect();
    const heap = process.memoryUsage().rss;
    for (let n = 0; n < COUNT && !socket.destroyed; n++) {
      if (!socket.write(peer.keyUpdate(requested))) {
        await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
        await honest.ping();
      }
    }
    t.ok((await honest.ping()).info.id === node.id, 'others are answered');
    t.comment(
      `${COUNT} KeyUpdate, answer ${String(requested)}: ended ${String(socket.destroyed)}, ` +
        `${((process.memoryUsage().rss - heap) / 2 ** 20).toFixed(1)} MiB more`,
    );
    socket.destroy();
  }
});
