/**
 * Parts that were damaged in every way, and processes that are killed at any moment: never a wrong file,
 * and never more fetched again than what is not right, one block, and the lists and heads around it.
 *
 * P2P_PARTS and P2P_KILLS say how many; by default a few, so that the test is quick.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from '../../fixtures/tap.js';
import { parseAddress } from '../../../lib/net/address.js';
import { fetchToFile } from '../../../lib/fetch/part/fetch-to-file.js';
import { BLOCK_BYTES } from '../../../lib/wire/body.js';
import { random, seeded } from '../../fixtures/bytes.js';
import { command, run, serve, type Served } from '../../fixtures/cli.js';
import { startCountingRelay } from '../../fixtures/counting-relay.js';
import { partOf } from '../../fixtures/part.js';
import { connectTo, listOf, startIndexed } from '../../fixtures/node.js';
import { connect } from '../../fixtures/transport.js';

const PARTS = Number(process.env['P2P_PARTS'] ?? 60);
const KILLS = Number(process.env['P2P_KILLS'] ?? 6);
const SEED = Number(process.env['P2P_SEED'] ?? 20_261_122);

/** Bytes of a range that a part holds right, counted by whole blocks of the file. */
function rightBytes(part: Buffer, content: Buffer, offset: number, end: number): number {
  let bytes = 0;
  for (let block = Math.ceil(offset / BLOCK_BYTES); block * BLOCK_BYTES < end; block++) {
    const from = block * BLOCK_BYTES;
    const to = Math.min(from + BLOCK_BYTES, content.length);
    if (to > end || to - offset > part.length) continue;
    if (part.subarray(from - offset, to - offset).equals(content.subarray(from, to))) {
      bytes += to - from;
    }
  }
  return bytes;
}

/** Bytes of heads, lists and the PING's answer for so many requests of a file of `blocks` blocks. */
function around(requests: number, blocks: number): number {
  return 400 + requests * (blocks * 32 + 100);
}

interface Damage {
  name: string;
  /** What becomes of the right bytes. Their memory may be changed. */
  make: (right: Buffer) => Buffer;
}

t.test(`${PARTS} damaged parts`, async (t) => {
  const folder = t.testdir({ share: {}, out: {} });
  const blocks = 12;
  const content = random(blocks * BLOCK_BYTES + 1000);
  writeFileSync(join(folder, 'share/f'), content);
  const node = await startIndexed(t, join(folder, 'share'));
  const honest = await connectTo(t, node);
  const hash = (await listOf(honest.search('')))[0]?.hash ?? '';
  const relay = await startCountingRelay(t, node.address);
  const next = seeded(SEED);
  const below = (n: number): number => Math.floor(next() * n);
  const other = random(content.length);
  const flip = (bytes: Buffer): void => {
    const at = below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
  };
  const damages: Damage[] = [
    { name: 'cut', make: (right) => right.subarray(0, below(right.length)) },
    {
      name: 'flipped',
      make: (right) => {
        for (let n = 1 + below(6); n > 0; n--) flip(right);
        return right;
      },
    },
    { name: 'extended', make: (right) => Buffer.concat([right, random(1 + below(600_000))]) },
    { name: "another file's", make: (right) => other.subarray(0, below(right.length)) },
    {
      name: 'zeros',
      make: (right) => {
        const from = below(right.length);
        return right.fill(0, from, Math.min(right.length, from + 1 + below(right.length)));
      },
    },
    {
      name: 'shifted',
      make: (right) => Buffer.concat([random(1 + below(1000)), right]),
    },
    {
      name: 'cut and flipped',
      make: (right) => {
        const some = right.subarray(0, 1 + below(right.length - 1));
        flip(some);
        return some;
      },
    },
    { name: 'whole', make: (right) => right },
  ];
  let most = 0;
  let fetched = 0;
  let missing = 0;
  for (let i = 0; i < PARTS; i++) {
    const damage = damages[i % damages.length];
    if (damage === undefined) return;
    // Every third only a range of it.
    const offset = i % 3 === 0 ? below(content.length - 1000) : 0;
    const length = i % 3 === 0 ? 1 + below(content.length - offset) : content.length;
    const end = Math.min(content.length, offset + length);
    const file = join(folder, 'out/f');
    const part = damage.make(Buffer.from(content.subarray(offset, end)));
    const range = i % 3 === 0 ? { offset, length } : {};
    const left = partOf(file, hash, range);
    writeFileSync(left, part);
    relay.reset();
    const peer = await connect(relay.address);
    await fetchToFile(peer, hash, file, range);
    await peer.close();
    const what = `part ${i}, ${damage.name}, ${offset}+${length}`;
    if (!readFileSync(file).equals(content.subarray(offset, end))) t.fail(`${what}: wrong file`);
    if (existsSync(left)) t.fail(`${what}: the part is still there`);
    rmSync(file);
    // On the wire go whole blocks: those that the range cuts are longer than what is missing.
    const cut = (offset % BLOCK_BYTES) + Math.min(content.length - end, BLOCK_BYTES);
    const lacks = end - offset - rightBytes(part, content, offset, end);
    const again = relay.bytes - lacks - around(blocks + 3, blocks + 1) - (lacks > 0 ? cut : 0);
    most = Math.max(most, again);
    if (again > BLOCK_BYTES) t.fail(`${what}: ${relay.bytes} bytes for ${lacks} that were missing`);
    fetched += relay.bytes;
    missing += lacks;
  }
  t.comment(
    `${missing} bytes were not right, ${fetched} came; at most ${most} too many for one part`,
  );
  t.ok(missing > 0 && fetched >= missing);
});

/** A client or server that is about to be killed. */
function fetching(peer: string, hash: string, file: string, more: string[] = []): ChildProcess {
  const [program, args] = command('p2p-fetch', [peer, hash, '-o', file, ...more]);
  // Without env(1) in between: the signal is for the command itself, and env execs it.
  return spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

t.test(`${KILLS} times kill -9`, async (t) => {
  const folder = t.testdir({ share: {}, out: {} });
  const share = join(folder, 'share');
  const state = join(folder, 'state');
  const blocks = 96;
  const content = random(blocks * BLOCK_BYTES + 1000);
  writeFileSync(join(share, 'f'), content);
  const file = join(folder, 'out/f');
  let server: Served = await serve(t, [share, '--state', state, '--no-watch']);
  await server.indexed;
  const hash = (await run('p2p-search', [server.peer, ''])).stdout.toString().slice(0, 64);
  const part = partOf(file, hash);
  const relay = await startCountingRelay(t, parseAddress(server.peer));
  const peer = `127.0.0.1:${relay.address.port}`;
  const next = seeded(SEED);
  const limit = BLOCK_BYTES + around(20, blocks + 1);
  const restart = async (): Promise<void> => {
    server = await serve(t, [share, '--state', state, '--no-watch']);
    await server.indexed;
    relay.aim(parseAddress(server.peer));
  };
  const lacking = (): number =>
    existsSync(part)
      ? content.length - rightBytes(readFileSync(part), content, 0, content.length)
      : content.length;
  const killed = { client: 0, server: 0, 'server, --retry': 0 };
  let kept = 0;
  let most = 0;
  /** Run to the end, and see what came for what was missing. */
  const complete = async (child: ChildProcess, missing: number, times = 1): Promise<void> => {
    let stderr = '';
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) t.fail(`exit code ${code}: ${stderr}`);
    else if (!readFileSync(file).equals(content)) t.fail('a wrong file');
    const again = relay.bytes - missing;
    most = Math.max(most, again / times);
    if (again > limit * times) t.fail(`${relay.bytes} bytes for ${missing} that were missing`);
    rmSync(file, { force: true });
  };
  let kills = 0;
  for (let round = 0; kills < KILLS; round++) {
    relay.reset();
    const missing = lacking();
    const when = Math.floor(next() * missing);
    const kind = round % 6 === 5 ? 'server, --retry' : round % 6 >= 3 ? 'server' : 'client';
    if (kind === 'server, --retry') {
      let restarted: Promise<void> | undefined;
      relay.at = {
        bytes: when,
        then: () => {
          const exited = once(server.child, 'exit');
          server.child.kill('SIGKILL');
          restarted = exited.then(restart);
        },
      };
      // The block that was under way comes twice.
      await complete(fetching(peer, hash, file, ['--retry', '20']), missing, 2);
      await restarted;
      killed[kind]++;
      kills++;
      continue;
    }
    const child = fetching(peer, hash, file);
    const exited = once(child, 'close');
    // Every other client at any moment of its life: while it starts, compares, renames.
    const timed = kind === 'client' && round % 2 === 1;
    const victim = kind === 'client' ? child : server.child;
    const dead = once(victim, 'exit');
    const strike = (): void => {
      victim.kill('SIGKILL');
    };
    let timer: NodeJS.Timeout | undefined;
    if (timed) timer = setTimeout(strike, next() * 600);
    else relay.at = { bytes: when, then: strike };
    await exited;
    clearTimeout(timer);
    relay.at = undefined;
    if (victim.killed) {
      await dead;
      if (kind === 'server') await restart();
      killed[kind]++;
      kills++;
    }
    if (existsSync(file)) {
      // It was too late.
      if (!readFileSync(file).equals(content)) t.fail('a wrong file');
      rmSync(file);
    }
    const left = lacking();
    kept += content.length - left;
    // A few are killed again before they are done.
    if (next() < 0.3) continue;
    relay.reset();
    await complete(fetching(peer, hash, file), left);
  }
  t.comment(killed);
  t.comment(`${kept} bytes were kept in parts; at most ${most} came too many for a kill`);
  t.ok(kept > 0, 'something was kept');
});
