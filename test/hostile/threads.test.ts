/** Threads that die, of a file or for no reason: no job is lost, none waits for ever, nothing is half-dead. */
import { once } from 'node:events';
import { lstatSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t from '../fixtures/tap.js';
import { HashPool, WHOLE_FILE_BYTES, WORKER_DIED } from '../../lib/hash/pool.js';
import { identityOf } from '../../lib/disk/open.js';
import { Catalog } from '../../lib/share/catalog.js';
import { ShareFilter } from '../../lib/share/filter.js';
import { Indexer } from '../../lib/share/indexer.js';
import { MemoryStore } from '../../lib/state/store.js';
import { walk } from '../../lib/share/walk.js';
import { random, seeded, writeFiles, writeLarge } from '../fixtures/bytes.js';
import { bytesOf, listOf, startIndexed } from '../fixtures/node.js';
import { killThread, threadsStarted } from '../fixtures/threads.js';
import { FULL, size } from './sizes.js';
import { connect } from '../fixtures/transport.js';

const POISONED = new URL('../fixtures/poison-worker.js', import.meta.url);
const UNREADY = new URL('../fixtures/unready-worker.js', import.meta.url);
const STILLBORN = new URL('../fixtures/stillborn-worker.js', import.meta.url);

function manyFiles(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, `content ${i}`]));
}

t.test('a file that ends each thread: it alone fails, after three attempts', async (t) => {
  const root = t.testdir();
  writeFiles(root, { ...manyFiles(50), poison: 'x', throws: 'y' });
  writeLarge(join(root, 'poison-large'), WHOLE_FILE_BYTES + 1);
  const pool = new HashPool({ threads: 1, entry: POISONED });
  t.teardown(() => pool.close());
  await pool.hashBatch(root, ['f0']);
  const before = threadsStarted();
  const paths = [...Object.keys(manyFiles(50)), 'poison', 'throws'].sort();
  const outcomes = await pool.hashBatch(root, paths);
  t.same(
    paths.filter((_, i) => outcomes[i]?.status !== 'hashed'),
    ['poison', 'throws'],
  );
  for (const path of ['poison', 'throws']) {
    t.match(outcomes[paths.indexOf(path)], { status: 'failed', code: WORKER_DIED });
  }
  t.equal(threadsStarted() - before, 3, 'three threads died of it');
  const identity = identityOf(lstatSync(join(root, 'poison-large'), { bigint: true }));
  const large = await pool.hashLarge(root, 'poison-large', identity, () => undefined);
  t.match(large, { status: 'failed', code: WORKER_DIED });
  t.match(await pool.hashBatch(root, ['f1']), [{ status: 'hashed' }]);
});

t.test('threads that die before they begin a file: it takes no blame', async (t) => {
  const root = t.testdir({ a: 'a', deaths: '5' });
  const pool = new HashPool({ threads: 1, entry: UNREADY });
  t.teardown(() => pool.close());
  const before = threadsStarted();
  t.match(await pool.hashBatch(root, ['a']), [{ status: 'hashed' }]);
  t.equal(threadsStarted() - before, 6);
});

t.test('threads that never come up: said, after a bounded number', async (t) => {
  const root = t.testdir({ a: 'a' });
  const pool = new HashPool({ threads: 2, entry: STILLBORN });
  t.teardown(() => pool.close());
  const before = threadsStarted();
  await t.rejects(pool.hashBatch(root, ['a']), { message: 'no hashing thread comes up' });
  t.ok(threadsStarted() - before < 20, `${threadsStarted() - before} threads`);
});

t.test('the index sets such a file aside, names it once, and goes on', async (t) => {
  const root = t.testdir();
  writeFiles(root, { ...manyFiles(300), 'sub/poison': 'x' });
  const pool = new HashPool({ threads: 2, entry: POISONED });
  const stop = new AbortController();
  const catalog = new Catalog(new MemoryStore());
  const warnings: string[] = [];
  let wake: () => void = () => undefined;
  const request = { root, dotfiles: false, ignore: [], state: [] };
  const indexer = new Indexer(
    { root, catalog, pool, filter: new ShareFilter(request), signal: stop.signal },
    {
      onChange: () => undefined,
      onProgress: () => undefined,
      onWarning: (path, reason) => warnings.push(`${path}: ${reason}`),
      onError: (error) => {
        t.fail(error.message);
      },
      onRootGone: () => undefined,
      isThere: () => Promise.resolve(true),
      onStep: () => {
        wake();
      },
    },
  );
  t.teardown(async () => {
    stop.abort();
    await indexer.close();
    await pool.close();
  });
  const scan = async (): Promise<void> => {
    for (const { files, ...rest } of walk(request)) {
      await indexer.scanned({ files: () => files, ...rest });
    }
    while (!indexer.idle) await new Promise<void>((resolve) => (wake = resolve));
  };
  await scan();
  t.equal(catalog.files, 300);
  t.same(warnings, ['sub/poison: each thread that hashes it dies; skipped']);
  const before = threadsStarted();
  await scan();
  await scan();
  t.equal(threadsStarted(), before, 'is not tried again');
  t.equal(warnings.length, 1);
  writeFiles(root, { 'sub/poison': 'changed' });
  await scan();
  t.ok(threadsStarted() > before, 'is tried again when it has changed');
  t.equal(warnings.length, 2);
  rmSync(join(root, 'sub/poison'));
});

t.test('any thread of a node is ended, again and again: all is found and served', async (t) => {
  const share = t.testdir();
  writeFiles(share, manyFiles(size(300, 3000)));
  const node = await startIndexed(t, share, { watch: true, rescan: 1000 });
  node.on('error', (error) => {
    t.fail(error.message);
  });
  const contents = new Map<string, Buffer>();
  // One over which three of them were ended takes the blame, until it is written to again.
  node.on('warning', ({ path, reason }) => {
    const bytes = contents.get(path);
    if (bytes !== undefined && reason.includes('dies')) writeFiles(share, { [path]: bytes });
  });
  const peer = await connect(node.address);
  t.teardown(() => peer.close());
  const next = seeded(8);
  const rounds = size(12, 60);
  let killed = 0;
  for (let round = 0; round < rounds; round++) {
    const files: Record<string, Buffer> = {};
    for (let i = 0; i < 20; i++) files[`r${round}/${i}`] = random(1 + Math.floor(next() * 400_000));
    if (round % 10 === 0) files[`r${round}/large`] = random(WHOLE_FILE_BYTES + 1000);
    writeFiles(share, files);
    for (const [path, bytes] of Object.entries(files)) contents.set(path, bytes);
    node.rescan();
    if (await killThread(next())) killed++;
    // Six hashing threads in a row that never come up would end all hashing.
    if (round % 4 === 3) await once(node, 'settled');
    if (FULL) await pause(1000);
  }
  // Nobody knows of the last ones that a watch has missed until a scan has seen them.
  const all = 300 + contents.size + size(0, 2700);
  while (node.shared.files < all) {
    node.rescan();
    await once(node, 'settled');
  }
  t.equal(node.shared.files, all, `${killed} threads were ended`);
  t.ok(killed >= rounds / 2);
  let right = 0;
  for (const { path, hash } of await listOf(peer.search(''))) {
    const wanted = contents.get(path);
    if (wanted === undefined) continue;
    if ((await bytesOf(peer.fetch(hash))).equals(wanted)) right++;
  }
  t.equal(right, contents.size);
});
