/** Listings that are made to cost the receiver memory, time or folders. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { DistinctPaths } from '../../lib/disk/distinct-paths.js';
import { fetchAll } from '../../lib/fetch/folder/fetch-all.js';
import { PackedFiles } from '../../lib/fetch/folder/packed-files.js';
import { hashBlock } from '../../lib/hash/blake3.js';
import { formatAddress } from '../../lib/net/address.js';
import { PEAK, command, run } from '../fixtures/cli.js';
import type { FileMatch } from '../../lib/wire/messages.js';
import { listOf } from '../fixtures/node.js';
import { startHostile } from '../fixtures/hostile-peer.js';
import { size } from './sizes.js';
import { connect } from '../fixtures/transport.js';

t.test('what is beyond a limit is said once, and the rest is fetched', async (t) => {
  const out = join(t.testdir(), 'out');
  const deep = Array.from({ length: 50 }, (_, i) => `${'d/'.repeat(64 + i)}f`);
  const folders = Array.from({ length: 40 }, (_, i) => `folder ${i}/f`);
  const peer = await connect(
    await startHostile(t, { paths: [...deep, ...folders, 'good', `${'e/'.repeat(63)}f`] }),
  );
  t.teardown(() => peer.close());
  const said: (string | undefined)[] = [];
  const files = await listOf(
    fetchAll(peer, '', out, {
      listingLimits: { files: 1000, pathBytes: 1_000_000, folders: 30, levels: 64 },
      onFound: ({ skipped }) => said.push(skipped),
    }),
  );
  t.match(said, [/^50 files below more than 64 folders, 11 files in more than 30 folders$/]);
  t.ok(files.every(({ status }) => status === 'fetched'));
  t.ok(files.some(({ path }) => path === 'good'));
  t.equal(files.length, 31);
});

t.test('no more folders than the limit, also by a path that makes several', async (t) => {
  const out = join(t.testdir(), 'out');
  const paths = [...Array.from({ length: 28 }, (_, i) => `${i}/f`), 'a/b/c/f', 'a/b/f', 'a/f'];
  const peer = await connect(await startHostile(t, { paths }));
  t.teardown(() => peer.close());
  const listingLimits = { files: 1000, pathBytes: 1_000_000, folders: 30, levels: 64 };
  const files = await listOf(fetchAll(peer, '', out, { listingLimits }));
  t.same(
    files.map(({ path }) => path).filter((path) => path.startsWith('a')),
    ['a/b/f', 'a/f'],
  );
  const entries = readdirSync(out, { recursive: true, withFileTypes: true });
  t.equal(entries.filter((entry) => entry.isDirectory()).length, 30);
});

t.test('of many files that fail a few are named, and how many more there are', async (t) => {
  const out = join(t.testdir(), 'out');
  const count = size(200, 5000);
  const paths = Array.from({ length: count }, (_, i) => `${'\u202e\n'.repeat(900)}/${i}`);
  const address = await startHostile(t, { paths, refuses: 'files' });
  const { code, stderr } = await run('p2p-fetch', [formatAddress(address), '--all', '', '-o', out]);
  t.equal(code, 1);
  const lines = stderr.trimEnd().split('\n');
  t.equal(lines.length, 12, 'ten, how many more, and the summary');
  t.ok(lines.every((line) => line.length <= 550 && !/[^\P{C}\n]/u.test(line)));
  t.equal(lines[10], `p2p-fetch: ${count - 10} more files failed`);
  t.equal(lines[11], `fetched 0 files, 0 bytes; 0 were there already; ${count} failed`);
});

t.test('no folder is made for what is then refused', async (t) => {
  const out = join(t.testdir(), 'out');
  const paths = Array.from({ length: size(200, 1000) }, (_, i) => `${i}/${'x/'.repeat(40)}f`);
  const address = await startHostile(t, { paths, refuses: 'files' });
  const peer = await connect(address);
  t.teardown(() => peer.close());
  const files = await listOf(fetchAll(peer, '', out));
  t.equal(files.filter(({ status }) => status === 'failed').length, paths.length);
  t.same(readdirSync(out), []);
});

t.test('names cost time and memory by their bytes', (t) => {
  const count = size(20_000, 400_000);
  const names = new DistinctPaths();
  const pathAt = (i: number): string => `${'a/'.repeat(60)}${i % 2 === 0 ? 'F' : 'f'}${i >> 1}`;
  for (let i = 0; i < count; i++) names.add(pathAt(i));
  const steps = names.settle(pathAt);
  let turns = 0;
  while (steps.next().done !== true) turns++;
  t.ok(turns > count / 1000, 'others have their turn');
  t.not(names.nameOf(`${'a/'.repeat(60)}f1`), names.nameOf(`${'a/'.repeat(60)}F1`));
  t.end();
});

t.test('a signal ends it at once, whatever the peer does', async (t) => {
  const folder = t.testdir();
  const address = await startHostile(t, { paths: ['a'], refuses: 'silently' });
  const out = join(folder, 'out');
  const args = command('p2p-fetch', [formatAddress(address), '--all', '', '-o', out]);
  const child = spawn(...args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  while (!existsSync(out)) await new Promise((resolve) => setImmediate(resolve));
  child.kill('SIGINT');
  const [, signal] = (await once(child, 'close')) as [number | null, string | null];
  t.equal(signal, 'SIGINT');
  t.match(stderr, /^fetched 0 files, .*; stopped\n$/);
});

const LISTED = size(20_000, 1_000_000);

t.test(`a list of ${LISTED} names takes no more than 200 MiB`, async (t) => {
  const paths = Array.from({ length: LISTED }, (_, i) => {
    return `library/artist ${i % 9973}/album ${i % 7}/track number ${i} of many.flac`;
  });
  const address = await startHostile(t, { paths, refuses: 'abruptly' });
  const args = [formatAddress(address), '--all', '', '-o', join(t.testdir(), 'out')];
  const { code, stderr } = await run('p2p-fetch', args, { nodeArgs: PEAK });
  t.equal(code, 1, stderr);
  const [, peak = NaN] = /^peak (\d+) MiB$/m.exec(stderr) ?? [];
  t.comment(`${peak} MiB`);
  t.ok(Number(peak) <= 200, `${peak} MiB`);
});

t.test('files are packed, and come out as they went in', (t) => {
  const files = new PackedFiles();
  const fileOf = (i: number): FileMatch => {
    const hash = Buffer.from(hashBlock(Buffer.from(`${i}`))).toString('hex');
    const file = { path: `\ufeff${i}\nü/${i}`, hash, size: i % 2 === 0 ? i : 2 ** 53 - i };
    return i % 3 === 0 ? file : { ...file, modified: i % 3 === 1 ? 0 : 2 ** 53 - i };
  };
  const count = 3000;
  for (let i = 0; i < count; i++) files.add(fileOf(i));
  t.equal(files.count, count);
  for (const i of [0, 1, 2, 1023, 1024, 2047, 2048, 2999, 5]) {
    t.same(files.at(i), fileOf(i));
    t.equal(files.pathAt(i), fileOf(i).path);
  }
  t.throws(() => files.at(count), RangeError);
  t.end();
});
