/** `p2p-fetch --all` together with `--retry`, `--from` and `--find`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from '../fixtures/tap.js';
import { formatAddress, type PeerAddress } from '../../lib/net/address.js';
import { BLOCK_BYTES } from '../../lib/wire/body.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { command, run } from '../fixtures/cli.js';
import { startCountingRelay } from '../fixtures/counting-relay.js';
import { TIMES } from '../fixtures/network.js';
import { startIndexed, until } from '../fixtures/node.js';
import { ThrottledRelay } from '../fixtures/throttled-relay.js';

const FILES: Record<string, Buffer> = {
  ...Object.fromEntries(
    Array.from({ length: 4 }, (_, i) => [`large/${i}`, random(6 * BLOCK_BYTES + i)]),
  ),
  ...Object.fromEntries(
    Array.from({ length: 100 }, (_, i) => [`small/${i}`, Buffer.from(`number ${i}`)]),
  ),
};
const COUNT = Object.keys(FILES).length;
const BYTES = Object.values(FILES).reduce((sum, { length }) => sum + length, 0);
const ALL_CAME = `fetched ${COUNT} files, ${BYTES} bytes; 0 were there already; 0 failed\n`;

function isAllThere(folder: string): boolean {
  const names = readdirSync(folder, { withFileTypes: true, recursive: true });
  const isWhole = Object.entries(FILES).every(([path, bytes]) =>
    readFileSync(join(folder, path)).equals(bytes),
  );
  return isWhole && names.filter((entry) => entry.isFile()).length === COUNT;
}

async function dead(): Promise<PeerAddress> {
  const relay = new ThrottledRelay({ host: '127.0.0.1', port: 1 });
  const address = await relay.listen();
  await relay.close();
  return address;
}

/** Run `--all` with more arguments; `onLine` is told what stderr says. */
async function fetchAll(
  peer: PeerAddress,
  out: string,
  more: readonly string[],
  onLine: (line: string) => void,
): Promise<{ code: number; stderr: string }> {
  const args = [formatAddress(peer), '--all', '', '-o', out, ...more];
  const child = spawn(...command('p2p-fetch', args), { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    onLine(chunk.toString());
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, stderr };
}

const share = (t: Test): string => {
  const folder = t.testdir({ share: {} });
  writeFiles(join(folder, 'share'), FILES);
  return folder;
};

t.test('--retry: the peer comes late, and is away in between', async (t) => {
  const folder = share(t);
  const node = await startIndexed(t, join(folder, 'share'), { workers: false });
  const relay = await startCountingRelay(t, await dead());
  relay.at = {
    bytes: 2_000_000,
    then: () => {
      relay.aim({ host: '127.0.0.1', port: 1 });
      relay.cut();
    },
  };
  const out = join(folder, 'out');
  const got = await fetchAll(relay.address, out, ['--retry', '5'], (line) => {
    if (line.includes('; again in')) relay.aim(node.address);
  });
  t.equal(got.code, 0, got.stderr);
  t.ok(got.stderr.endsWith(`\n${ALL_CAME}`), got.stderr);
  t.ok((got.stderr.match(/; again in/g) ?? []).length >= 2, 'before the first, and in between');
  t.ok(isAllThere(out));
  t.ok(relay.bytes < 2 * BYTES, 'what had come does not come again');

  relay.reset();
  relay.at = {
    bytes: 1_000_000,
    then: () => {
      relay.cut();
    },
  };
  relay.aim(node.address);
  const cut = await fetchAll(relay.address, join(folder, 'once'), [], () => undefined);
  t.equal(cut.stderr, ALL_CAME, 'a connection that breaks once needs no --retry');

  // Breaks, and the next connection, too, before anything was said on it.
  const closer = createServer((socket) => {
    relay.aim(node.address);
    socket.destroy();
  }).listen(0, '127.0.0.1');
  await once(closer, 'listening');
  t.teardown(() => closer.close());
  relay.reset();
  relay.at = {
    bytes: 1_000_000,
    then: () => {
      relay.aim({ host: '127.0.0.1', port: (closer.address() as AddressInfo).port });
      relay.cut();
    },
  };
  const twice = await fetchAll(relay.address, join(folder, 'twice'), [], () => undefined);
  t.equal(twice.stderr, ALL_CAME, 'nor does one that breaks again at its beginning');
});

t.test('--from: large files come from all, and from others when one is lost', async (t) => {
  const folder = share(t);
  const node = await startIndexed(t, join(folder, 'share'), { workers: false });
  const relays = await Promise.all([1, 2].map(() => startCountingRelay(t, node.address)));
  const [first, second] = relays;
  if (first === undefined || second === undefined) return;
  const gone = formatAddress(await dead());
  const from = ['--from', formatAddress(second.address), '--from', gone];
  const both = await fetchAll(first.address, join(folder, 'both'), from, () => undefined);
  t.equal(both.code, 0);
  t.equal(both.stderr, `p2p-fetch: ${gone} is skipped: connection refused\n${ALL_CAME}`, 'once');
  t.ok(isAllThere(join(folder, 'both')));
  for (const { bytes } of relays) t.ok(bytes > BLOCK_BYTES, `${bytes} bytes`);

  // The small files, too, then come from the other.
  first.reset();
  first.at = {
    bytes: 300_000,
    then: () => {
      first.aim({ host: '127.0.0.1', port: 1 });
      first.cut();
    },
  };
  const args = ['--from', formatAddress(second.address)];
  const lost = await fetchAll(first.address, join(folder, 'lost'), args, () => undefined);
  t.equal(lost.code, 0, lost.stderr);
  t.ok(lost.stderr.endsWith(ALL_CAME), lost.stderr);
  t.ok(isAllThere(join(folder, 'lost')));
});

t.test('--find: large files come from all who have them', async (t) => {
  const folder = share(t);
  const some = { workers: false, discover: false, times: TIMES };
  const node = await startIndexed(t, join(folder, 'share'), some);
  const at = formatAddress(node.address);
  const other = await startIndexed(t, join(folder, 'share'), { ...some, peers: [at] });
  await until(node, () => node.peers.some(({ link }) => link !== undefined));
  const out = join(folder, 'out');
  const got = await run('p2p-fetch', [at, '--all', '', '--find', '-o', out]);
  t.match(got, { code: 0, stderr: ALL_CAME });
  t.ok(isAllThere(out));
  t.ok(other.stats.sent > 0, `the other sent ${other.stats.sent} bodies`);
});
