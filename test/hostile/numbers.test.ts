/** Far more connections than there may be: descriptors stay below the cap, and honest peers come in. */
import { spawnSync } from 'node:child_process';
import { connect as connectSocket, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { connect } from '../../lib/client.js';
import { parseAddress, type PeerAddress } from '../../lib/net/address.js';
import { encodeMessage } from '../../lib/wire/messages.js';
import { bytesOf } from '../fixtures/node.js';
import { serve } from '../fixtures/cli.js';
import { HELLO, ID } from '../fixtures/messages.js';
import { cpuSeconds, descriptors } from '../fixtures/process.js';
import { FULL, size } from './sizes.js';

const skip =
  process.platform === 'linux' && spawnSync('prlimit', ['--version']).status === 0
    ? false
    : 'no /proc or no prlimit';

const PING = encodeMessage({ type: 'PING', info: { version: 1, id: ID } }, 1);
const GET = encodeMessage({ type: 'RQFH', hash: HELLO }, 2);

/** Opens connections from many addresses of loopback, and holds those that are not closed. */
class Crowd {
  readonly #to: PeerAddress;
  readonly #open = new Set<Socket>();
  opened = 0;

  constructor(to: PeerAddress) {
    this.#to = to;
  }

  /** @param what every connection sends: the first nothing, the next PING, the next a request */
  async come(count: number, addresses: number): Promise<void> {
    const begins = [undefined, PING, Buffer.concat([PING, GET])];
    for (let i = 0; i < count; i += 50) {
      await Promise.all(
        Array.from({ length: Math.min(50, count - i) }, (_, j) => {
          const n = i + j;
          const host = `127.1.${Math.floor((n % addresses) / 250)}.${1 + ((n % addresses) % 250)}`;
          return this.#one(host, begins[n % begins.length]);
        }),
      );
    }
  }

  /** Resolves when it is connected, or refused. */
  #one(localAddress: string, begin: Buffer | undefined): Promise<void> {
    return new Promise((resolve) => {
      const socket = connectSocket({ ...this.#to, localAddress });
      this.#open.add(socket);
      socket.on('error', () => undefined);
      socket.once('connect', () => {
        this.opened++;
        if (begin !== undefined) socket.write(begin);
        resolve();
      });
      socket.resume();
      socket.once('close', () => {
        this.#open.delete(socket);
        resolve();
      });
    });
  }

  /** Those that are still open. */
  get size(): number {
    return this.#open.size;
  }

  leave(): void {
    for (const socket of this.#open) socket.destroy();
  }
}

/** An honest peer that comes, fetches and goes. @returns milliseconds */
async function visit(peer: string): Promise<number> {
  const begin = performance.now();
  const client = await connect(peer);
  const bytes = await bytesOf(client.fetch(HELLO));
  if (bytes.toString() !== 'hello\n') throw new Error('not what was asked for');
  const time = performance.now() - begin;
  await client.close();
  return time;
}

/** One honest visit after the other until it is told to end. */
function visitors(peer: string): { end: () => Promise<number[]> } {
  const times: number[] = [];
  let isOver = false;
  const all = (async () => {
    do {
      times.push(await visit(peer));
      await sleep(10);
    } while (!isOver);
  })();
  return {
    end: async () => {
      isOver = true;
      await all;
      return times.sort((a, b) => a - b);
    },
  };
}

function said(times: readonly number[]): string {
  const at = (part: number): string =>
    (times[Math.floor((times.length - 1) * part)] ?? 0).toFixed(0);
  return `${times.length} honest visits: median ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`;
}

const folders = { share: { hello: 'hello\n' }, state: {} };

t.test('connects from many addresses', { skip }, async (t) => {
  const folder = t.testdir(folders);
  const cap = size(200, 8192);
  const args = [`${folder}/share`, '--state', `${folder}/state`, '--max-connections', String(cap)];
  const { child, peer, indexed, stderr } = await serve(t, args);
  await indexed;
  const { pid = 0 } = child;
  const rest = descriptors(pid);
  const crowd = new Crowd(parseAddress(peer));
  t.teardown(() => {
    crowd.leave();
  });
  let most = 0;
  const looks = setInterval(() => {
    most = Math.max(most, descriptors(pid));
  }, 20);
  const honest = visitors(peer);
  await crowd.come(size(2000, 50_000), size(20, 200));
  const times = await honest.end();
  clearInterval(looks);
  t.ok(most <= rest + cap * 1.02 + 10, `${most} descriptors at most, ${rest} at rest, cap ${cap}`);
  t.ok(times.length > 0, said(times));
  t.comment(`${crowd.opened} connected, ${crowd.size} still are; ${said(times)}`);
  if (FULL) t.ok((times.at(-1) ?? Infinity) <= 1000, 'within 1 s');
  t.equal(stderr().includes('internal error'), false);
});

t.test('started with few descriptors', { skip }, async (t) => {
  const folder = t.testdir(folders);
  const { child, peer, indexed, stderr } = await serve(
    t,
    [`${folder}/share`, '--state', `${folder}/state`],
    { by: ['prlimit', '--nofile=256:256'] },
  );
  await indexed;
  await besieged(t, child.pid ?? 0, peer);
  t.equal(stderr(), '', 'no complaint');
});

t.test('left with few descriptors', { skip }, async (t) => {
  const folder = t.testdir(folders);
  const { child, peer, indexed } = await serve(t, [
    `${folder}/share`,
    '--state',
    `${folder}/state`,
  ]);
  await indexed;
  const crowd = new Crowd(parseAddress(peer));
  t.teardown(() => {
    crowd.leave();
  });
  await crowd.come(600, 20);
  await visit(peer);
  t.ok(descriptors(child.pid ?? 0) > 600);
  spawnSync('prlimit', ['--pid', String(child.pid), '--nofile=256:256']);
  await besieged(t, child.pid ?? 0, peer);
});

/** A crowd comes and stays, then leaves. */
async function besieged(t: Test, pid: number, peer: string): Promise<void> {
  const crowd = new Crowd(parseAddress(peer));
  t.teardown(() => {
    crowd.leave();
  });
  await crowd.come(size(500, 5000), 20);
  await eventually(() => visit(peer));
  t.pass('an honest peer is served beside the crowd');
  const before = cpuSeconds(pid);
  await sleep(1000);
  const used = cpuSeconds(pid) - before;
  t.ok(used < 0.7, `${used.toFixed(2)} s of processor time in a second`);
  crowd.leave();
  const begin = performance.now();
  await eventually(() => visit(peer));
  const after = performance.now() - begin;
  t.comment(`after the crowd has left: served within ${after.toFixed(0)} ms`);
  if (FULL) t.ok(after <= 1000, 'well again within 1 s');
}

/** Until it succeeds: who comes when there is no descriptor left is closed, and has to come again. */
async function eventually(action: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await action();
      return;
    } catch (error) {
      if (tries === 100) throw error;
      await sleep(50);
    }
  }
}
