/**
 * An attacker in the network, with many addresses: announces 50 nodes at each of them, sends what is no packet, and asks
 * without end. Prints `{sent}` when it has done that once, and goes on from one address. At SIGTERM prints how often a
 * node dialled each of its addresses, and how many answers to the network came from there.
 */
import dnsPacket from 'dns-packet';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { announcement, queryFor } from '../../../lib/discovery/lan/service.js';
import { seededRandom } from '../../fixtures/random.js';

/** The node, and the attacker's own addresses. */
const [, , from = '', prefix = '', first = '', count = ''] = process.argv;
const hosts = Array.from({ length: Number(count) }, (_, i) => `${prefix}.${Number(first) + i}`);
const GROUP = '224.0.0.251';
const MDNS = 5353;
const PORTS = 50;
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const random = seededRandom(7);
const id = (n: number): string => n.toString(16).padStart(64, '0').split('').reverse().join('');

const dialled: Record<string, number> = {};
for (let port = 7000; port < 7000 + PORTS; port++) {
  const server = createServer((socket) => {
    const host = socket.localAddress ?? '';
    if (socket.remoteAddress === from) dialled[host] = (dialled[host] ?? 0) + 1;
    socket.on('error', () => undefined).destroy();
  });
  await once(server.listen({ host: '0.0.0.0', port }), 'listening');
}

async function open(host: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true });
  socket.bind(MDNS, host);
  await once(socket, 'listening');
  socket.setMulticastInterface(host);
  socket.setMulticastTTL(255);
  return socket;
}
async function send(socket: Socket, bytes: Uint8Array): Promise<void> {
  await new Promise((resolve) => {
    socket.send(bytes, MDNS, GROUP, resolve);
  });
}

/** Nodes at one address, in packets of ten. */
function names(host: number): Buffer[] {
  return [0, 10, 20, 30, 40].map((begin) => {
    const nodes = Array.from({ length: 10 }, (_, i) => begin + i);
    const answers = nodes.flatMap((n) =>
      announcement({ id: id(host * PORTS + n), port: 7000 + n }, []).answers.slice(0, 3),
    );
    return dnsPacket.encode({ type: 'response', answers });
  });
}
/** Names that lead to themselves, counts of what is not there, a packet too large, and anything. */
const HEADER = Buffer.from('000084000000000100000000', 'hex');
const HOSTILE = [
  Buffer.concat([HEADER, Buffer.from('c00c000c0001', 'hex')]),
  Buffer.concat([HEADER, Buffer.from('c00ec00c000c0001', 'hex')]),
  Buffer.from('00008400ffffffffffffffff', 'hex'),
  Buffer.from('000000', 'hex'),
  Buffer.alloc(20_000, HEADER),
  ...names(0).map((bytes) => bytes.subarray(0, bytes.length - 7)),
  ...Array.from({ length: 200 }, () =>
    Buffer.concat([HEADER, Buffer.from(Array.from({ length: 60 }, () => random() * 256))]),
  ),
];

const listener = createSocket({ type: 'udp4', reuseAddr: true });
listener.bind(MDNS, GROUP);
await once(listener, 'listening');
listener.addMembership(GROUP, hosts[0]);
let answers = 0;
listener.on('message', (bytes, { address }) => {
  if (address === from && (bytes.readUInt16BE(2) & 0x8000) !== 0) answers++;
});

const sockets = await Promise.all(hosts.map(open));
const [one] = sockets;
if (one === undefined) throw new TypeError('no address');
const begin = performance.now();
for (const bytes of HOSTILE) await send(one, bytes);
const query = dnsPacket.encode({ ...queryFor([]), type: 'query' });
for (const [i, socket] of sockets.entries()) {
  for (const bytes of names(i)) await send(socket, bytes);
  await send(socket, query);
}
say({ sent: hosts.length * PORTS });
const flood = setInterval(() => {
  for (const bytes of names(0)) void send(one, bytes);
}, 5);
process.once('SIGTERM', () => {
  clearInterval(flood);
  say({ dialled, answers, seconds: (performance.now() - begin) / 1000 });
  process.exit();
});
