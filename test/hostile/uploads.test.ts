/** Clients that ask for files and do not take them: they cost little, and keep nobody else from fetching. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from '../fixtures/tap.js';
import { BUDGET_BYTES } from '../../lib/limits/byte-budget.js';
import { parseAddress, type PeerAddress } from '../../lib/net/address.js';
import { encodeMessage } from '../../lib/wire/messages.js';
import { serve, type Served } from '../fixtures/cli.js';
import { resident } from '../fixtures/process.js';
import { connect as open, reset } from '../fixtures/socket.js';
import { FULL, size } from './sizes.js';
import { OVER_TLS, connect } from '../fixtures/transport.js';

const skip = process.platform === 'linux' ? false : 'loopback is one address';
const MIB = 2 ** 20;
/** Of the file that is fetched; of the files that are asked for and not taken. */
const HONEST = size(4, 128) * MIB;
const ASKED = 520_000;
/** That one connection may have in memory to be sent. */
const CONNECTION_BYTES = BUDGET_BYTES / 8;

interface Target extends Served {
  address: PeerAddress;
  honest: string;
  asked: string;
}

/** @param listed files without content beside the two that are fetched */
async function start(t: Test, args: readonly string[], listed = 0): Promise<Target> {
  const folder = t.testdir({ share: {}, state: {} });
  const share = join(folder, 'share');
  for (const [name, bytes] of [
    ['honest', HONEST],
    ['asked', ASKED],
  ] as const) {
    writeFileSync(join(share, name), randomBytes(bytes));
  }
  for (let i = 0; i < listed; i++)
    writeFileSync(join(share, `${'a long name '.repeat(10)}${i}`), '');
  const served = await serve(t, [share, '--state', join(folder, 'state'), ...args]);
  await served.indexed;
  const peer = await connect(served.peer);
  const hashes = new Map<string, string>();
  for await (const { path, hash } of peer.search('')) hashes.set(path, hash);
  await peer.close();
  const [honest = '', asked = ''] = [hashes.get('honest'), hashes.get('asked')];
  return { ...served, address: parseAddress(served.peer), honest, asked };
}

/** Ask for a file again and again on one connection. */
function requests(hash: string, count: number): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, i) => encodeMessage({ type: 'RQFH', hash }, i + 1)),
  );
}

/** Ask for the first page of all files again and again. */
function pageRequests(count: number): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, i) =>
      encodeMessage({ type: 'RQFS', query: '', ttl: 0 }, i + 1),
    ),
  );
}

function attacker({ address }: Target, from: string, frames: Buffer): Socket {
  const socket = open({ ...address, localAddress: from });
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(frames);
  return socket;
}

/**
 * Bytes that the kernel may take for a client that reads nothing: the most of tcp_wmem and, as that of the
 * other end does not grow then, the default of tcp_rmem (tcp(7)).
 */
function kernelBuffers(): number {
  const field = (name: string, n: number): number =>
    Number(readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8').trim().split(/\s+/)[n]);
  return field('tcp_wmem', 2) + field('tcp_rmem', 1);
}

/** @returns milliseconds until the first byte, and until the last */
async function fetchHonest({ peer, honest }: Target): Promise<{ first: number; all: number }> {
  const client = await connect(peer);
  const begin = performance.now();
  let first = 0;
  const stream: AsyncIterable<Uint8Array> = client.fetch(honest);
  for await (const chunk of stream) {
    if (first === 0 && chunk.length > 0) first = performance.now() - begin;
  }
  await client.close();
  return { first, all: performance.now() - begin };
}

/** The machine does other things, too. */
async function bestOf3(target: Target): Promise<{ first: number; all: number }> {
  let best = await fetchHonest(target);
  for (let i = 0; i < 2; i++) {
    const again = await fetchHonest(target);
    if (again.all < best.all) best = again;
  }
  return best;
}

interface Crowd {
  name: string;
  addresses: number;
  connections: number;
  slots: number;
}

const CROWDS: Crowd[] = [
  { name: 'one address', addresses: 1, connections: size(12, 140), slots: size(4, 100) },
  {
    name: 'many addresses',
    addresses: size(12, 250),
    connections: size(12, 250),
    slots: size(4, 100),
  },
];

for (const { name, addresses, connections, slots } of CROWDS) {
  t.test(`slow readers at ${name}: an honest fetch gets a slot`, { skip }, async (t) => {
    const target = await start(t, ['--max-uploads', String(slots)]);
    const alone = await fetchHonest(target);
    let over = false;
    const sockets = new Set<Socket>();
    const attack = (from: string): void => {
      if (over) return;
      const socket = attacker(target, from, requests(target.honest, 4));
      sockets.add(socket);
      // A little now and then, and at once again when it is ended.
      const timer = setInterval(() => void socket.read(2300), 1000);
      socket.once('close', () => {
        clearInterval(timer);
        sockets.delete(socket);
        setTimeout(() => {
          attack(from);
        }, 10);
      });
    };
    for (let i = 0; i < connections; i++) {
      const n = 1 + (i % addresses);
      attack(`127.0.1.${n}`);
    }
    while (sockets.size < connections) await sleep(10);
    await sleep(size(200, 5000));
    const beside = await fetchHonest(target);
    over = true;
    for (const socket of sockets) socket.destroy();
    t.ok(beside.all > 0, 'it was fetched');
    t.comment(
      `alone: first byte ${alone.first.toFixed(0)} ms, all ${alone.all.toFixed(0)} ms; beside ${connections}: ` +
        `first byte ${beside.first.toFixed(0)} ms, all ${beside.all.toFixed(0)} ms`,
    );
    if (!FULL) return;
    t.ok(beside.first < 3000, 'within 3 s');
    const rate = (alone.all - alone.first) / (beside.all - beside.first);
    t.ok(rate >= 0.3, `then at ${(rate * 100).toFixed(0)} % of its rate alone`);
  });
}

for (const [what, count, frames] of [
  ['files', size(80, 2000), ({ asked }: Target) => requests(asked, size(8, 256))],
  ['pages', size(40, 1000), () => pageRequests(size(8, 256))],
] as const) {
  t.test(`clients that ask for ${what} and read nothing cost little memory`, { skip }, (t) =>
    readNothing(t, count, frames),
  );
}

async function readNothing(
  t: Test,
  count: number,
  framesFor: (target: Target) => Buffer,
): Promise<void> {
  const target = await start(t, [], size(300, 2000));
  const { pid = 0 } = target.child;
  const alone = await bestOf3(target);
  const before = resident(pid);
  const frames = framesFor(target);
  const sockets = Array.from({ length: count }, () => attacker(target, '127.0.1.1', frames));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  // When it is answered, what came before it has been dealt with.
  const first = await fetchHonest(target);
  await sleep(size(500, 10_000));
  const grown = (resident(pid) - before) / MIB;
  const { all } = await bestOf3(target);
  for (const socket of sockets) socket.destroy();
  // TLS keeps keys, and what it has encrypted, for each.
  const most = 64 + (OVER_TLS ? count / 8 : 0);
  t.ok(grown <= most, `${grown.toFixed(1)} MiB more`);
  t.comment(
    `${count} connections: ${grown.toFixed(1)} MiB; an honest fetch alone ${alone.all.toFixed(0)} ms, right after ` +
      `${first.all.toFixed(0)} ms (first byte ${first.first.toFixed(0)}), later ${all.toFixed(0)} ms`,
  );
  if (FULL) t.ok(alone.all / all >= 0.5, 'an honest fetch has half its rate');
}

t.test('what was asked for on a connection that is gone is not read', { skip }, async (t) => {
  const target = await start(t, []);
  const { pid = 0 } = target.child;
  const read = (): number =>
    Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1] ?? 0);
  const client = await connect(target.peer);
  const frames = requests(target.asked, 200);
  const count = size(50, 2000);
  const before = { read: read(), resident: resident(pid) };
  const pings: number[] = [];
  for (let i = 0; i < count; i++) {
    const socket = attacker(target, '127.0.1.1', frames);
    await once(socket, 'connect');
    await sleep(5);
    reset(socket);
    const begin = performance.now();
    await client.ping();
    pings.push(performance.now() - begin);
  }
  const each = (read() - before.read) / count / ASKED;
  // What the kernel takes of it counts as sent; and what one connection may have in memory is read ahead.
  const most = (kernelBuffers() + CONNECTION_BYTES) / ASKED + 1;
  t.ok(
    each <= most,
    `${each.toFixed(1)} files of 200 were read for each, at most ${most.toFixed(1)}`,
  );
  await client.close();
  pings.sort((a, b) => a - b);
  const grown = (resident(pid) - before.resident) / MIB;
  const p99 = pings[Math.floor(pings.length * 0.99)] ?? 0;
  t.comment(`${count} connections: ping p99 ${p99.toFixed(1)} ms, ${grown.toFixed(1)} MiB more`);
  if (FULL) t.ok(p99 <= 50);
});
