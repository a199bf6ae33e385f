/** What survives: restarts, kill -9, damage, a second node on the same state. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { open } from 'lmdb';
import t from '../fixtures/tap.js';
import { buildTree, rootOf } from '../../lib/hash/tree.js';
import { Share } from '../../lib/share/share.js';
import { openStore } from '../../lib/state/recovery.js';
import { random, seeded, writeFiles, writeLarge } from '../fixtures/bytes.js';
import { command } from '../fixtures/cli.js';
import { bytesOf, connectTo, listOf, startIndexed, startNode } from '../fixtures/node.js';
import { size as sizeOf } from '../hostile/sizes.js';

const noWarning = (path: string, reason: string): never => {
  throw new Error(`${path}: ${reason}`);
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

t.test('a record that cannot be a file is none', async (t) => {
  const state = t.testdir();
  const store = await openStore(state, noWarning);
  const identity = { size: 1, mtimeNs: 1n, birthNs: 1n, ino: 1n };
  store.putFile(0, { path: 'a', hash: random(32), identity });
  store.putFile(2, { path: 'c', hash: random(32), identity });
  await store.close();
  const raw = open({ path: join(state, 'index') });
  const files = raw.openDB<Buffer, number>({
    name: 'files',
    keyEncoding: 'uint32',
    encoding: 'binary',
  });
  await files.put(1, random(64));
  await raw.close();
  const again = await openStore(state, noWarning);
  t.same(
    [...again.load()].map(({ slot }) => slot),
    [0, 2],
  );
  await again.close();
});

t.test('files and lists come back as they were', async (t) => {
  const state = t.testdir();
  const store = await openStore(state, noWarning);
  const identity = { size: 300 * 2 ** 20, mtimeNs: -5n, birthNs: -1n, ino: 2n ** 64n - 1n };
  const tree = buildTree(random(1200 * 32));
  const file = { path: 'ä/\n'.repeat(1000) + 'x', hash: rootOf(tree), identity };
  store.putTree(tree);
  store.putFile(7, file);
  store.putFile(3, { ...file, path: 'b' });
  store.putFile(5, { ...file, path: 'c' });
  store.deleteFile(5);
  await store.close();
  const again = await openStore(state, noWarning);
  t.same(
    [...again.load()].map(({ slot, file: { hash, ...rest } }) => [slot, hex(hash), rest]),
    [
      [3, hex(file.hash), { path: 'b', identity }],
      [7, hex(file.hash), { path: file.path, identity }],
    ],
  );
  const lists = again.lists(rootOf(tree), identity.size);
  t.ok(Buffer.from(tree.levels[0]?.subarray(32768) ?? []).equals(lists?.list(1, 1) ?? Buffer.of()));
  t.ok(Buffer.from(tree.levels[1] ?? []).equals(lists?.list(2, 0) ?? Buffer.of()));
  again.deleteTree(rootOf(tree), identity.size);
  await again.flushed();
  t.equal(again.lists(rootOf(tree), identity.size), undefined);
  await again.close();
});

t.test('a restart hashes nothing, and sees what changed meanwhile', async (t) => {
  const folder = t.testdir({ share: {}, state: {} });
  const share = join(folder, 'share');
  const options = { state: join(folder, 'state') };
  for (let i = 0; i < 300; i++) writeFiles(share, { [`d${i % 9}/f${i}`]: random(i) });
  writeLarge(join(share, 'large'), 3 * 2 ** 20);
  const first = await startIndexed(t, share, options);
  const peer = await connectTo(t, first);
  const found = await listOf(peer.search(''));
  await first.close();
  const second = await startNode(t, share, options);
  const [result] = (await once(second, 'indexed')) as [{ files: number; hashed: number }];
  t.match(result, { files: 301, hashed: 0 });
  const again = await connectTo(t, second);
  t.same(await listOf(again.search('')), found);
  const large = found.find(({ path }) => path === 'large');
  t.equal((await bytesOf(again.fetch(large?.hash ?? ''))).length, 3 * 2 ** 20, 'lists and all');
  await second.close();
  writeFiles(share, { 'd1/f1': 'changed', new: 'new' });
  rmSync(join(share, 'd2'), { recursive: true });
  renameSync(join(share, 'd3'), join(share, 'renamed'));
  const third = await startNode(t, share, options);
  const [after] = (await once(third, 'indexed')) as [{ files: number; hashed: number }];
  t.equal(after.hashed, 2, 'only what is new');
  const last = await connectTo(t, third);
  const paths = (await listOf(last.search(''))).map(({ path }) => path);
  t.equal(paths.filter((path) => path.startsWith('d2/')).length, 0);
  t.ok(paths.includes('new') && paths.some((path) => path.startsWith('renamed/')));
});

t.test('kill -9 at random moments', async (t) => {
  const folder = t.testdir({ share: {} });
  const share = join(folder, 'share');
  const state = join(folder, 'state');
  const next = seeded(9);
  for (let i = 0; i < 600; i++) writeFiles(share, { [`d${i % 30}/f${i}`]: random(2000) });
  let hashed = 0;
  for (let round = 0; round < sizeOf(3, 50); round++) {
    const args = [share, '--state', state, '--port', '0', '--host', '127.0.0.1', '--verbose'];
    const child = spawn(...command('p2p-serve', args), { stdio: ['ignore', 'pipe', 'pipe'] });
    const exited = once(child, 'exit');
    const death = Math.floor(next() * 40);
    let lines = 0;
    // The log tells of every file after the start; the kill comes at some line of it.
    child.stderr.on('data', (chunk: Buffer) => {
      lines += chunk.toString().split('\n').length;
      if (lines > death) child.kill('SIGKILL');
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      if (!out.includes('\n')) return;
      if (round % 2 === 0) child.kill('SIGKILL');
      else if (out.includes('indexed')) {
        // Changes, and death in the middle of them.
        for (let i = 0; i < 50; i++) writeFiles(share, { [`r${round}/n${i}`]: random(500) });
        rmSync(join(share, `d${round}`), { recursive: true, force: true });
      }
    });
    await exited;
  }
  const node = await startNode(t, share, { state });
  const warnings: unknown[] = [];
  node.on('warning', (warning) => warnings.push(warning));
  const [result] = (await once(node, 'indexed')) as [{ files: number; hashed: number }];
  hashed = result.hashed;
  t.same(warnings, [], 'the store is sound');
  const disk = readdirSync(share, { recursive: true, withFileTypes: true }).filter((e) =>
    e.isFile(),
  );
  t.equal(result.files, disk.length);
  t.comment(`${hashed} of ${result.files} files hashed again after the last of 8 kills`);
  const peer = await connectTo(t, node);
  for await (const { hash, size } of peer.search('')) {
    const got = await bytesOf(peer.fetch(hash));
    if (got.length !== size) t.fail(hash);
  }
});

t.test('a node without state keeps nothing', async (t) => {
  const folder = t.testdir({ a: 'a' });
  const share = new Share({ folder, dotfiles: false, ignore: [], watch: false, rescan: 2 ** 30 });
  await share.check();
  const indexed = once(share, 'indexed');
  await share.start();
  await indexed;
  await share.close();
  t.same(readdirSync(folder), ['a']);
});
