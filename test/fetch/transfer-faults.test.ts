/**
 * What comes between: a relay that flips one bit, cuts the stream or swaps two blocks at a random
 * place, many times. Whatever comes out is right, and the command says what was wrong.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from '../fixtures/tap.js';
import { PeerError } from '../../lib/errors.js';
import { BLOCK_BYTES } from '../../lib/wire/body.js';
import type { PeerId } from '../../lib/wire/messages.js';
import { seeded, writeFiles, writeLarge } from '../fixtures/bytes.js';
import { provableId } from '../fixtures/certificates.js';
import { run } from '../fixtures/cli.js';
import { connectTo, listOf, startIndexed, stateOf } from '../fixtures/node.js';
import { partOf } from '../fixtures/part.js';
import { startProxy, type Harm } from '../fixtures/proxy.js';
import { size as sizeOf } from '../hostile/sizes.js';
import { OVER_TLS, connect } from '../fixtures/transport.js';

const RUNS = sizeOf(120, 300);
const BLOCKS = 12;
const SIZE = BLOCKS * BLOCK_BYTES + 1000;
/** Bytes before the body, more or less: the ACKN of PING and of RQFH, and the list. */
const PREFIX = 600;
/** The id of the node. */
const SHARER = provableId(1);

function flip(place: number, bit: number): Harm {
  return (chunk, at) => {
    const i = place - at;
    if (i < 0 || i >= chunk.length) return chunk;
    const bad = Buffer.from(chunk);
    bad[i] = (bad[i] ?? 0) ^ (1 << bit);
    return bad;
  };
}

function cut(place: number): Harm {
  return (chunk, at) => (at + chunk.length > place ? undefined : chunk);
}

/** Swap two pieces of a block's length, one behind the other. */
function swap(place: number): Harm {
  let held = Buffer.alloc(0);
  return (chunk, at) => {
    const end = place + 2 * BLOCK_BYTES;
    if (at + chunk.length <= place || at >= end) return chunk;
    held = Buffer.concat([held, chunk]);
    const begin = at + chunk.length - held.length;
    if (at + chunk.length < end) return Buffer.alloc(0);
    const bytes = held;
    const from = place - begin;
    const middle = from + BLOCK_BYTES;
    return Buffer.concat([
      bytes.subarray(0, from),
      bytes.subarray(middle, middle + BLOCK_BYTES),
      bytes.subarray(from, middle),
      bytes.subarray(middle + BLOCK_BYTES),
    ]);
  };
}

/** What becomes of downloads over a relay that does harm to them: how many end in what way. */
async function outcomesOf(
  t: Test,
  { runs, tls, as }: { runs: number; tls: boolean; as?: PeerId },
): Promise<{ count: (code: string) => number }> {
  const folder = t.testdir();
  const file = join(folder, 'f');
  writeLarge(file, SIZE);
  const content = readFileSync(file);
  const node = await startIndexed(t, folder, { state: stateOf(t, SHARER) });
  const honest = await connectTo(t, node);
  const [found] = await listOf(honest.search(''));
  const hash = found?.hash ?? '';
  const next = seeded(20);
  const kinds: (() => Harm)[] = [
    () => flip(Math.floor(next() * SIZE), Math.floor(next() * 8)),
    () => cut(Math.floor(next() * SIZE)),
    () => swap(PREFIX + Math.floor(next() * (BLOCKS - 2)) * BLOCK_BYTES),
  ];
  let harm: Harm = (chunk) => chunk;
  const proxy = await startProxy(t, node.address, () => harm, as);
  const outcomes = new Map<string, number>();
  for (let i = 0; i < runs; i++) {
    harm = (kinds[i % kinds.length] ?? kinds[0])?.() ?? harm;
    const got: Buffer[] = [];
    let outcome = 'complete';
    try {
      const peer = await connect(proxy, { tls, answerTimeout: 2000 });
      try {
        await peer.fetchTo(hash, {
          write: (bytes, position) => {
            if (position !== got.reduce((n, b) => n + b.length, 0)) throw new Error('out of order');
            got.push(Buffer.from(bytes));
            return Promise.resolve();
          },
        });
      } finally {
        await peer.close();
      }
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      outcome = error.code;
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const out = Buffer.concat(got);
    if (!out.equals(content.subarray(0, out.length))) t.fail(`wrong bytes in run ${i}`);
    if ((outcome === 'complete') !== (out.length === SIZE)) t.fail(`${outcome}: ${out.length}`);
  }
  t.comment(Object.fromEntries(outcomes));
  return { count: (code) => outcomes.get(code) ?? 0 };
}

// Over TLS a relay alters what it has encrypted itself, with the peer's key: without it, see below.
t.test('never one wrong byte', async (t) => {
  const { count } = await outcomesOf(t, { runs: RUNS, tls: OVER_TLS, as: SHARER });
  t.ok(count('ERR_MISMATCH') >= 0.6 * RUNS, 'most flips and all swaps are seen as such');
  t.ok(count('ERR_CLOSED') >= 0.3 * RUNS, 'cuts');
  t.equal(count('complete'), 0);
});

t.test('harm to what is encrypted: the connection ends', async (t) => {
  const runs = RUNS / 10;
  const { count } = await outcomesOf(t, { runs, tls: true });
  // A record whose length was altered waits for more, and a connection that was altered at its begin is no peer's.
  const ends = ['ERR_CLOSED', 'ERR_TIMED_OUT', 'ERR_NOT_A_PEER'].map(count);
  t.equal(
    ends.reduce((a, b) => a + b),
    runs,
  );
  t.ok((ends[0] ?? 0) >= runs / 2);
});

t.test('the command: exit code 5 or 1, and nothing under the final name', async (t) => {
  const folder = t.testdir({ out: {} });
  writeLarge(join(folder, 'share'), SIZE);
  const content = readFileSync(join(folder, 'share'));
  const node = await startIndexed(t, folder, { state: stateOf(t, SHARER) });
  const honest = await connectTo(t, node);
  const [found] = await listOf(honest.search(''));
  let harm: Harm = flip(PREFIX + 3 * BLOCK_BYTES, 3);
  const proxy = await startProxy(t, node.address, () => harm, SHARER);
  const args = [`127.0.0.1:${proxy.port}`, found?.hash ?? ''];
  const bad = await run('p2p-fetch', args);
  t.equal(bad.code, 5);
  t.match(bad.stderr, /^p2p-fetch: the bytes do not match the hash: block [23] .*is wrong\n$/);
  t.ok(bad.stdout.length >= 2 * BLOCK_BYTES && bad.stdout.length <= 3 * BLOCK_BYTES);
  t.ok(bad.stdout.equals(content.subarray(0, bad.stdout.length)));
  harm = cut(4 * BLOCK_BYTES);
  const lost = await run('p2p-fetch', [...args, '-o', join(folder, 'out/f')]);
  t.equal(lost.code, 1);
  t.match(lost.stderr, /the connection to .* was closed\n$/);
  t.throws(() => readFileSync(join(folder, 'out/f')), { code: 'ENOENT' });
  const left = partOf(join(folder, 'out/f'), found?.hash ?? '');
  const part = readFileSync(left);
  t.ok(part.length > 0 && part.equals(content.subarray(0, part.length)), 'the part is right');
  writeFiles(folder, { 'out/f': 'old' });
  await run('p2p-fetch', [...args, '-o', join(folder, 'out/f')]);
  t.equal(readFileSync(join(folder, 'out/f')).toString(), 'old', 'what was there stays');
  harm = (chunk) => chunk;
  const good = await run('p2p-fetch', [...args, '-o', join(folder, 'out/f')]);
  t.equal(good.code, 0, good.stderr);
  t.ok(readFileSync(join(folder, 'out/f')).equals(content));
  t.throws(() => readFileSync(left), { code: 'ENOENT' });
});
