/**
 * In a network namespace of its own, where this machine has public and private addresses: a peer at a public
 * one answers searches for a file with peers in the private network and on this machine. Counts the connections
 * that come there. Prints one line of JSON.
 */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PeerError } from '../../../lib/index.js';
import type { PeerNode } from '../../../lib/node.js';
import { provableId } from '../../fixtures/certificates.js';
import { run } from '../../fixtures/cli.js';
import { serveAs } from '../../fixtures/fake-neighbour.js';
import { linksOf, until } from '../../fixtures/node.js';
import { id, searchEnd } from '../../fixtures/search.js';
import { createServer } from '../../fixtures/socket.js';
import { OVER_TLS, connect, createNode, fetchFromMany } from '../../fixtures/transport.js';

const PUBLIC = '93.184.216.34';
/** Where something other than a peer may be listening. */
const INSIDE = [
  ['127.0.0.1', 6379],
  ['127.0.0.1', 9200],
  ['::1', 6379],
  ['10.0.0.5', 8080],
  ['169.254.169.254', 8775],
  ['localhost', 6379],
  ['::ffff:127.0.0.1', 9200],
  ['::ffff:0:127.0.0.1', 9200],
] as const;
/** At a public address, where the peer may send everybody. */
const OUTSIDE = ['93.184.216.35', 7000] as const;
/** These are no addresses of loopback: what is not said is TLS. */
const PLAIN = { tls: OVER_TLS };
const PLAIN_ARGS = OVER_TLS ? [] : ['--plain'];
const HASH = 'ab'.repeat(32);

const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: 'ignore' });
ip('link', 'set', 'lo', 'up');
for (const host of [PUBLIC, OUTSIDE[0], '10.0.0.5', '169.254.169.254']) {
  ip('address', 'add', `${host}/32`, 'dev', 'lo');
}

const servers: Server[] = [];
async function listen(host: string, port: number, server: Server): Promise<void> {
  servers.push(server);
  await once(server.listen({ host, port, ipv6Only: true }), 'listening');
}

let inside = 0;
let outside = 0;
const here = new Set(INSIDE.map(([host, port]) => `${host} ${port}`));
for (const name of here) {
  const [host = '', port] = name.split(' ');
  if (host === 'localhost' || host.startsWith('::ffff')) continue;
  const count = createTcpServer((socket) => {
    inside++;
    socket.destroy();
  });
  await listen(host, Number(port), count);
}
const countOutside = createTcpServer((socket) => {
  outside++;
  socket.destroy();
});
await listen(...OUTSIDE, countOutside);
const FAKE = provableId(0xbad);
const answer = serveAs(FAKE, ({ peer, tag, search }) => {
  peer.send({ type: 'RPFL', total: 0, files: [] }, tag);
  if (search.ttl === 0 && search.queryId === undefined) return;
  for (const [n, [host, port]] of [...INSIDE, OUTSIDE].entries()) {
    const files = [{ path: 'x', hash: HASH, size: 1 }];
    const { hash = '', query } = search;
    const wanted = query === undefined ? { hash } : { query };
    const contact = { id: id(0xbad00 + n), host, port };
    peer.send({ type: 'TPHF', peer: contact, ...wanted, hops: 1, total: 1, files }, tag);
  }
  peer.send(searchEnd(), tag);
});
const hostile = createServer((socket) => {
  socket.on('error', () => undefined);
  answer(socket);
}, FAKE);
await listen(PUBLIC, 7000, hostile);

const folder = mkdtempSync(join(tmpdir(), 'inside-'));
const share = join(folder, 'share');
mkdirSync(share);
const options = { share, host: '127.0.0.1', port: 7000, watch: false, workers: false, ...PLAIN };
const node: PeerNode = createNode({ ...options, peers: [`${PUBLIC}:7000`], times: { soon: 20 } });
await node.start();
await until(node, () => linksOf(node).length === 1);

const counts: Record<string, [inside: number, outside: number]> = {};
async function count(name: string, attack: () => Promise<void>): Promise<void> {
  [inside, outside] = [0, 0];
  await attack();
  counts[name] = [inside, outside];
}
const sink = { write: () => Promise.resolve() };
async function* hosts(found: AsyncIterable<{ peer: { host: string; port: number } }>) {
  for await (const { peer } of found) yield peer;
}
const ignoreAbsence = (error: unknown): void => {
  if (!(error instanceof PeerError)) throw error;
};

await count('p2p-fetch --find, asking it', async () => {
  await run('p2p-fetch', [`${PUBLIC}:7000`, HASH, '--find', ...PLAIN_ARGS]);
});
await count('p2p-fetch --find, asking a node of ours', async () => {
  await run('p2p-fetch', ['127.0.0.1:7000', HASH, '--find', ...PLAIN_ARGS]);
});
await count('fetchFromMany with the peers of a search, asking it', async () => {
  const peer = await connect(`${PUBLIC}:7000`, PLAIN);
  const found = hosts(peer.searchNetwork({ hash: HASH }));
  await fetchFromMany(HASH, found, sink, PLAIN).catch(ignoreAbsence);
  await peer.close();
});
await count('fetchFromMany with the peers of a search by a node', async () => {
  const found = hosts(node.search({ hash: HASH }));
  await fetchFromMany(HASH, found, sink, PLAIN).catch(ignoreAbsence);
});
await node.close();
for (const server of servers) server.close();
rmSync(folder, { recursive: true, force: true });
process.stdout.write(`${JSON.stringify(counts)}\n`);
process.exit();
