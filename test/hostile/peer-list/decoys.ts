/**
 * In a network namespace of its own, with addresses of every kind on its loopback interface: decoys listen on
 * all of them, a hostile peer names them all, and what the node dials is counted. Prints one line of JSON.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { literal } from '../../../lib/net/scope.js';
import { encodeMessage, type ListedPeer } from '../../../lib/wire/messages.js';
import { provableId } from '../../fixtures/certificates.js';
import { RawPeer } from '../../fixtures/raw.js';
import { id } from '../../fixtures/search.js';
import { connect, createServer } from '../../fixtures/socket.js';
import { HOSTS, NAMES, PORTS, SPEAKERS } from './corpus.js';
import { OVER_TLS, createNode } from '../../fixtures/transport.js';

const TIMES = {
  connect: 500,
  answer: 500,
  firstList: 50,
  list: 100,
  soon: 5,
  pauses: [5],
  ping: 200,
};

const [speaker = SPEAKERS[0], seconds = '2'] = process.argv.slice(2);
const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: 'ignore' });
};
ip('link', 'set', 'lo', 'up');
for (const host of [...HOSTS, ...SPEAKERS]) {
  const bits = host.includes(':') ? 128 : 32;
  try {
    ip('address', 'add', `${host}/${bits}`, 'dev', 'lo', ...(bits === 128 ? ['nodad'] : []));
  } catch {
    // Nobody can have that one: multicast, unspecified.
  }
}

/** Connections to each decoy. */
const hits: Record<string, number> = {};
const decoys: string[] = [];
for (const port of PORTS) {
  for (const host of ['0.0.0.0', '::']) {
    if (port === 0) continue;
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      const at = `${literal(socket.localAddress ?? '') ?? ''} ${port}`;
      hits[at] = (hits[at] ?? 0) + 1;
      socket.destroy();
    });
    server.listen({ host, port, ipv6Only: true });
    await once(server, 'listening');
    decoys.push(`${host} ${port}`);
  }
}

const folder = mkdtempSync(join(tmpdir(), 'decoys-'));
const all: ListedPeer[] = [...HOSTS, ...NAMES].flatMap((host) =>
  PORTS.filter((port) => port > 0).map((port) => ({ id: '', host, port, seen: 0 })),
);
let told = 0;
const FAKE = provableId(7);
/** A hostile peer: every list tells of the next 50 addresses, each under an id of its own. */
const hostile = createServer((socket) => {
  const peer = new RawPeer(socket);
  void (async () => {
    for (let got = await peer.next(); got !== undefined; got = await peer.next()) {
      const { tag, message } = got;
      if (message.type === 'PING') {
        const info = { version: 1, id: FAKE, host: HOSTS[told % HOSTS.length], port: 9000 };
        peer.send({ type: 'ACKN', of: 'PING', info, files: 0, bytes: 0, state: 'ready' }, tag);
      } else if (message.type === 'RQLT') {
        const peers = Array.from({ length: 50 }, () => {
          const one = all[told++ % all.length];
          return { id: id(10_000 + told), host: one?.host ?? '', port: one?.port ?? 1, seen: 0 };
        });
        peer.send({ type: 'ACKN', of: 'RQLT', peers }, tag);
      }
    }
  })();
}, FAKE);
hostile.listen(7777, speaker);
await once(hostile, 'listening');
const node = createNode({
  share: folder,
  port: 7000,
  host: '::',
  watch: false,
  workers: false,
  tls: OVER_TLS,
  peers: [speaker.includes(':') ? `[${speaker}]:7777` : `${speaker}:7777`],
  times: TIMES,
});
await node.start();
// What a caller says of itself, in PING: every address, under an id of its own.
const callers = all.map(({ host, port }, i) => {
  const target = speaker.includes(':') ? '::1' : '127.0.0.1';
  const node = { host: speaker === '127.0.0.1' ? target : speaker, port: 7000 };
  const socket = connect({ ...node, localAddress: speaker });
  socket.on('error', () => undefined);
  socket.write(
    encodeMessage({ type: 'PING', info: { version: 1, id: id(50_000 + i), host, port } }, 1),
  );
  return socket.resume();
});
const end = performance.now() + Number(seconds) * 1000;
while (performance.now() < end || told < all.length) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
for (const socket of callers) socket.destroy();
await node.close();
rmSync(folder, { recursive: true, force: true });
console.log(JSON.stringify({ hits, told, decoys: decoys.length }));
process.exit(0);
