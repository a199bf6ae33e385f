/** What is shared and what is not: special files, links, files that move under the hasher. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { FolderOpener, openInside, openInsideSync } from '../../lib/disk/open.js';
import { hashFile } from '../../lib/hash/file.js';
import { HashPool } from '../../lib/hash/pool.js';
import { Serving } from '../../lib/serve/serving.js';
import { Catalog } from '../../lib/share/catalog.js';
import { Share } from '../../lib/share/share.js';
import { MemoryStore } from '../../lib/state/store.js';
import { fold, termsOf } from '../../lib/name-index/names.js';
import { writeFiles, writeLarge } from '../fixtures/bytes.js';
import { connectTo, bytesOf, listOf, startIndexed } from '../fixtures/node.js';

t.test('special files are skipped, links are not followed', async (t) => {
  const outside = t.testdir({ share: { real: 'real', sub: { inner: 'inner' } }, secret: 'secret' });
  const folder = join(outside, 'share');
  execFileSync('mkfifo', [join(folder, 'fifo')]);
  symlinkSync('../secret', join(folder, 'link-out'));
  symlinkSync('/etc', join(folder, 'link-folder'));
  symlinkSync('real', join(folder, 'link-in'));
  symlinkSync('.', join(folder, 'loop'));
  symlinkSync('nowhere', join(folder, 'dangling'));
  symlinkSync('/dev/zero', join(folder, 'zero'));
  const node = await startIndexed(t, folder);
  const peer = await connectTo(t, node);
  t.same(
    (await listOf(peer.search(''))).map(({ path }) => path),
    ['real', 'sub/inner'],
  );
  // The share may itself be reached by a link.
  symlinkSync(folder, join(outside, 'alias'));
  const second = await startIndexed(t, join(outside, 'alias'));
  t.equal(second.shared.files, 2);
});

t.test('a file or folder replaced by a link after it was hashed', async (t) => {
  const outside = t.testdir({
    share: { file: 'content', sub: { inner: 'inner content' } },
    other: { inner: 'inner content' },
    file: 'content',
  });
  const folder = join(outside, 'share');
  const node = await startIndexed(t, folder);
  const peer = await connectTo(t, node);
  const found = await listOf(peer.search(''));
  rmSync(join(folder, 'file'));
  symlinkSync('../file', join(folder, 'file'));
  renameSync(join(folder, 'sub'), join(outside, 'moved'));
  symlinkSync('../other', join(folder, 'sub'));
  for (const { hash, path } of found) {
    await t.rejects(bytesOf(peer.fetch(hash)), { code: 'ERR_CHANGED' }, path);
  }
});

t.test('only what lies inside is opened', async (t) => {
  const outside = t.testdir({ share: { real: 'x', sub: { f: 'y' } }, secret: 's' });
  const root = join(outside, 'share');
  execFileSync('mkfifo', [join(root, 'fifo')]);
  symlinkSync('../secret', join(root, 'link'));
  symlinkSync('..', join(root, 'up'));
  const { handle } = await openInside(root, 'sub/f');
  await handle.close();
  for (const [path, code] of [
    ['link', 'ELOOP'],
    ['up/secret', 'ERR_FORBIDDEN'],
    ['up/share/real', 'ERR_FORBIDDEN'],
    ['fifo', 'ERR_FORBIDDEN'],
    ['sub', 'ERR_FORBIDDEN'],
    ['none', 'ENOENT'],
  ] as const) {
    await t.rejects(openInside(root, path), { code }, path);
    t.throws(() => openInsideSync(root, path), { code }, path);
  }
  t.match(hashFile(new FolderOpener(root), { path: 'up/secret' }), {
    status: 'failed',
    code: 'ERR_FORBIDDEN',
  });
});

t.test('a file that changes while it is hashed is hashed again', async (t) => {
  const folder = t.testdir();
  writeLarge(join(folder, 'large'), 200 * 2 ** 20);
  const share = new Share({
    folder,
    dotfiles: false,
    ignore: [],
    threads: 2,
    watch: false,
    rescan: 1e6,
  });
  await share.check();
  t.teardown(() => share.close());
  let appended = 0;
  share.on('progress', ({ bytes }) => {
    // Once in the middle of the first pass, once in the second.
    if (bytes > 0 && appended < 2 && bytes >= 40 * 2 ** 20) {
      appended++;
      appendFileSync(join(folder, 'large'), 'more');
    }
  });
  const indexed = once(share, 'indexed');
  await share.start();
  await indexed;
  t.equal(appended, 2);
  const [found] = (await share.search('')).files;
  t.equal(found?.size, 200 * 2 ** 20 + 8, 'what is published is what is there');
  t.same(share.progress.bytes, share.progress.totalBytes);
  const pool = new HashPool({ threads: 2 });
  t.teardown(() => pool.close());
  const { file, handle } = await new Serving(share).open(found?.hash ?? '');
  await handle.close();
  t.equal(file.path, 'large');
});

t.test('hashing goes behind serving where cores are short', async (t) => {
  if (process.platform !== 'linux') {
    t.pass('not run', { skip: "a niceness is a thread's on Linux only" });
    return;
  }
  // Field 19 of proc_pid_stat(5), counted from behind the name.
  const niceness = (thread: string): string | undefined => {
    const stat = readFileSync(`/proc/self/task/${thread}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16];
  };
  const mine = niceness(String(process.pid));
  const pool = new HashPool({ threads: 1, background: true });
  const before = new Set(readdirSync('/proc/self/task'));
  const [outcome] = await pool.hashBatch(t.testdir({ a: 'a' }), ['a']);
  t.equal(outcome?.status, 'hashed');
  const added = readdirSync('/proc/self/task').filter((thread) => !before.has(thread));
  t.equal(added.filter((thread) => niceness(thread) === '10').length, 1, 'the worker alone');
  t.equal(niceness(String(process.pid)), mine);
  await pool.close();
});

t.test('a file that never stops changing is left out, with a warning', async (t) => {
  const folder = t.testdir();
  writeLarge(join(folder, 'log'), 40 * 2 ** 20);
  const share = new Share({
    folder,
    dotfiles: false,
    ignore: [],
    threads: 1,
    watch: false,
    rescan: 1e6,
  });
  await share.check();
  t.teardown(() => share.close());
  const warnings: string[] = [];
  share.on('warning', ({ path, reason }) => warnings.push(`${path}: ${reason}`));
  const timer = setInterval(() => {
    appendFileSync(join(folder, 'log'), 'x');
  }, 1);
  const indexed = once(share, 'indexed');
  await share.start();
  await indexed;
  clearInterval(timer);
  t.same(warnings, ['log: keeps changing while it is hashed; skipped until it is quiet']);
  t.equal(share.files, 0);
});

t.test('files that come and go during the scan', async (t) => {
  const folder = t.testdir();
  for (let i = 0; i < 400; i++) writeFiles(folder, { [`d${i % 20}/f${i}`]: `content ${i}` });
  const share = new Share({
    folder,
    dotfiles: false,
    ignore: [],
    threads: 1,
    watch: false,
    rescan: 1e6,
  });
  await share.check();
  t.teardown(() => share.close());
  const warnings: unknown[] = [];
  share.on('warning', (warning) => warnings.push(warning));
  const indexed = once(share, 'indexed');
  share.once('progress', () => {
    rmSync(join(folder, 'd3'), { recursive: true });
    mkdirSync(join(folder, 'd3'));
    writeFileSync(join(folder, 'd4/f4'), 'another content');
  });
  await share.start();
  await indexed;
  t.equal(share.files, 380);
  t.same(warnings, []);
  const [changed] = (await share.search('d4/f4')).files;
  t.equal(changed?.size, 'another content'.length);
});

t.test('names are compared as people see them', (t) => {
  t.equal(fold('CAFE\u0301'), fold('caf\u00e9'));
  t.equal(fold('ΑΣΟΣ').includes(fold('ΑΣ')), true, 'sigma in the middle and at the end');
  t.same(termsOf('  Zwei\tWörter\u3000drei '), ['zwei', 'wörter', 'drei']);
  t.same(termsOf(' '), []);
  t.end();
});

t.test('a page ends at its limits and goes on', (t) => {
  const catalog = new Catalog(new MemoryStore());
  const identity = { size: 1, mtimeNs: 1n, birthNs: 1n, ino: 1n };
  for (let i = 0; i < 300; i++) {
    const path = `${String(i).padStart(3, '0')}${'x'.repeat(3900)}`;
    catalog.publishTree(path, identity, { levels: [new Uint8Array(32).fill(i)] });
  }
  const seen = new Set<string>();
  let pages = 0;
  for (let after: Uint8Array | undefined; ;) {
    const page = atOnce(catalog.search('x', 1000, after));
    pages++;
    for (const { path } of page.files) seen.add(path);
    after = page.after;
    if (after === undefined) break;
  }
  t.equal(seen.size, 300);
  t.equal(pages, 3);
  t.equal(atOnce(catalog.search('x', 0)).files.length, 1);
  catalog.unpublish(`000${'x'.repeat(3900)}`);
  t.same([catalog.files, catalog.bytes], [299, 299]);
  t.equal(catalog.withHash('00'.repeat(32)).length, 1, 'another with the same content (256)');
  t.end();
});

/** What a generator returns. */
function atOnce<T>(steps: Generator<unknown, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
