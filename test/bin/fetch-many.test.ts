/** `p2p-fetch` from several peers: what comes out, what is said, what an earlier fetch left is used. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from '../fixtures/tap.js';
import { ThrottledRelay, type Faults } from '../fixtures/throttled-relay.js';
import { formatAddress, type PeerAddress } from '../../lib/net/address.js';
import { BLOCK_BYTES } from '../../lib/wire/body.js';
import { writeLarge } from '../fixtures/bytes.js';
import { run } from '../fixtures/cli.js';
import { TIMES } from '../fixtures/network.js';
import { partOf } from '../fixtures/part.js';
import { connectTo, listOf, startIndexed, until } from '../fixtures/node.js';

const BLOCKS = 24;
const SIZE = BLOCKS * BLOCK_BYTES;

async function relay(
  t: Test,
  target: PeerAddress,
  faults: Faults = {},
): Promise<{ relay: ThrottledRelay; peer: string }> {
  const relay = new ThrottledRelay(target, faults);
  const peer = formatAddress(await relay.listen());
  t.teardown(() => relay.close());
  return { relay, peer };
}

t.test('--from', async (t) => {
  const folder = t.testdir({ share: {}, out: {} });
  writeLarge(join(folder, 'share/f'), SIZE);
  const content = readFileSync(join(folder, 'share/f'));
  const node = await startIndexed(t, join(folder, 'share'), { workers: false });
  const [found] = await listOf((await connectTo(t, node)).search(''));
  const hash = found?.hash ?? '';
  const honest = await relay(t, node.address, { rate: 50_000_000 });
  const out = join(folder, 'out/f');

  t.test('in order on stdout; a liar is named', async (t) => {
    const liar = await relay(t, node.address, { lieEvery: BLOCK_BYTES / 2 });
    const third = await relay(t, node.address, { rate: 20_000_000 });
    const args = [honest.peer, hash, '--from', liar.peer, '--from', third.peer];
    const got = await run('p2p-fetch', args);
    t.equal(got.code, 0, got.stderr);
    t.ok(got.stdout.equals(content));
    t.ok(
      got.stderr.startsWith(
        `p2p-fetch: ${liar.peer} lies and is not asked again: the bytes do not`,
      ),
      got.stderr,
    );
    t.equal(got.stderr.split('\n').length, 2, 'one line');
    const all = await run('p2p-fetch', [liar.peer, hash, '--from', liar.peer]);
    t.match(all, { code: 5, stderr: /the bytes do not match the hash/ });
    t.ok(all.stdout.equals(content.subarray(0, all.stdout.length)));
  });

  t.test('into a file: a part is resumed', async (t) => {
    const part = Buffer.from(content);
    part.fill(0, 5 * BLOCK_BYTES, 8 * BLOCK_BYTES);
    part.fill(0, 20 * BLOCK_BYTES);
    const left = partOf(out, hash);
    writeFileSync(left, part);
    const before = honest.relay.passed;
    const other = await relay(t, node.address, { rate: 50_000_000 });
    const got = await run('p2p-fetch', [honest.peer, hash, '--from', other.peer, '-o', out]);
    t.match(got, { code: 0, stderr: '' });
    t.ok(readFileSync(out).equals(content));
    t.notOk(existsSync(left));
    const passed = honest.relay.passed - before + other.relay.passed;
    // 7 blocks, and what it takes to know the size and the lists, of each.
    t.ok(passed < 13 * BLOCK_BYTES, `${passed} bytes came`);
  });

  t.test('a range', async (t) => {
    const range = ['--offset', '1000000', '--length', '3000000'];
    const args = [honest.peer, hash, '--from', formatAddress(node.address), ...range];
    const [piped, written] = await Promise.all([
      run('p2p-fetch', args),
      run('p2p-fetch', [...args, '-o', join(folder, 'out/range')]),
    ]);
    t.match(piped, { code: 0, stderr: '' });
    t.match(written, { code: 0, stderr: '' });
    t.ok(piped.stdout.equals(content.subarray(1_000_000, 4_000_000)));
    t.ok(readFileSync(join(folder, 'out/range')).equals(piped.stdout));
  });

  t.test('a peer that is not there is skipped', async (t) => {
    const gone = await relay(t, node.address);
    await gone.relay.close();
    const got = await run('p2p-fetch', [gone.peer, hash, '--from', honest.peer]);
    t.equal(got.code, 0);
    t.ok(got.stdout.equals(content));
    t.equal(got.stderr, `p2p-fetch: ${gone.peer} is skipped: connection refused\n`);
    const wrong = await run('p2p-fetch', [honest.peer, hash, '--from', 'no host!']);
    t.match(wrong, { code: 2, stderr: /"no host!" is not a peer/ });
  });
});

t.test('--find: all peers that have it', async (t) => {
  const folder = t.testdir({ with: {}, without: {} });
  writeLarge(join(folder, 'with/f'), SIZE);
  const content = readFileSync(join(folder, 'with/f'));
  const some = { workers: false, discover: false, times: TIMES };
  const without = await startIndexed(t, join(folder, 'without'), some);
  const at = formatAddress(without.address);
  const nodes = await Promise.all(
    ['127.0.0.1', '127.0.0.1'].map((host) =>
      startIndexed(t, join(folder, 'with'), { ...some, host, peers: [at] }),
    ),
  );
  await until(without, () => without.peers.filter(({ link }) => link !== undefined).length === 2);
  const [found] = await listOf((await connectTo(t, nodes[0] ?? without)).search(''));
  const got = await run('p2p-fetch', [at, found?.hash ?? '', '--find']);
  t.match(got, { code: 0, stderr: '' });
  t.ok(got.stdout.equals(content));
});
