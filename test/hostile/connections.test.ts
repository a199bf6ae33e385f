/** Broken frames in every state of a connection: the peer stays up, clean, and quick for others. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from '../fixtures/tap.js';
import { writeFiles, writeLarge } from '../fixtures/bytes.js';
import { run, serve } from '../fixtures/cli.js';
import { descriptors, resident } from '../fixtures/process.js';
import { FULL, size } from './sizes.js';
import { connect } from '../fixtures/transport.js';

const CONNECTIONS = size(350, 100_000);
/** Before memory is compared. */
const WARM_UP = size(100, 5000);
const LARGE = 8 * 2 ** 20;
const skip = process.platform === 'linux' ? false : 'no /proc';

t.test(`${CONNECTIONS} connections of broken frames`, { skip }, async (t) => {
  const folder = t.testdir({ a: {}, b: {}, state: {}, other: {} });
  writeFiles(folder, { 'a/hello': 'hello\n', 'b/else': 'else\n' });
  writeLarge(join(folder, 'a/large'), LARGE);
  const hash = (await run('p2p-hash', [join(folder, 'a/large')])).stdout.toString().slice(0, 64);
  const neighbour = await serve(t, [join(folder, 'b'), '--state', join(folder, 'other')]);
  const args = [join(folder, 'a'), '--state', join(folder, 'state'), '--peer', neighbour.peer];
  const { child, peer, indexed, stderr } = await serve(t, args);
  await indexed;
  const { pid = 0 } = child;

  await fuzz(peer, WARM_UP, hash);
  await sleep(1000);
  const before = { descriptors: descriptors(pid), resident: resident(pid) };
  const honest = await connect(peer);
  const pings: number[] = [];
  const seed = Math.floor(Math.random() * 2 ** 32);
  const over = new AbortController();
  const pinging = (async () => {
    while (!over.signal.aborted) {
      const begin = performance.now();
      await honest.ping();
      pings.push(performance.now() - begin);
      await sleep(10);
    }
  })();
  const made = await fuzz(peer, CONNECTIONS, hash, seed);
  over.abort();
  await pinging;
  await honest.close();

  t.equal(child.exitCode, null, `seed ${seed}: alive`);
  t.notMatch(stderr(), 'internal error');
  // A connection that was reset by one end is closed by the other a moment later.
  for (let attempts = 0; attempts < 100 && descriptors(pid) > before.descriptors; attempts++)
    await sleep(50);
  t.ok(descriptors(pid) <= before.descriptors, `${descriptors(pid)} descriptors`);
  const grown = (resident(pid) - before.resident) / 2 ** 20;
  if (FULL) t.ok(grown < 64, `${grown.toFixed(1)} MiB more`);
  pings.sort((a, b) => a - b);
  const at = (part: number): string => (pings[Math.floor(pings.length * part)] ?? 0).toFixed(1);
  t.comment(made);
  t.comment(`${pings.length} honest pings: median ${at(0.5)}, p99 ${at(0.99)} ms`);
  t.comment(
    `${before.descriptors} descriptors, ${descriptors(pid)} after; ` +
      `${(before.resident / 2 ** 20).toFixed(0)} MiB, ${grown.toFixed(1)} more after`,
  );
});

/** @returns what the process of attackers says */
async function fuzz(peer: string, count: number, hash: string, seed = 1): Promise<string> {
  const script = fileURLToPath(new URL('../fixtures/fuzz.js', import.meta.url));
  const args = [script, peer, String(count), hash, String(seed)];
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`the process of attackers ended with ${code ?? 'a signal'}`);
  return said.trimEnd();
}
