/** Small files as the server reads them: what is in memory at once, the rest by way of the thread pool. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t from '../fixtures/tap.js';
import { kernelFiles, type KernelFiles } from '../../lib/disk/kernel-files.js';
import { identityOf, readInside } from '../../lib/disk/open.js';
import type { SharedFile } from '../../lib/share/catalog.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { bytesOf, connectTo, listOf, startIndexed } from '../fixtures/node.js';

type Known = Pick<SharedFile, 'path' | 'identity'>;

/** As the catalog has it: what stands there now is what was hashed. */
function shared(root: string, path: string): Known {
  const identity = identityOf(lstatSync(join(root, path), { bigint: true }));
  return { path, identity };
}

const kernelIsLoaded = async (): Promise<KernelFiles | undefined> => {
  if (process.platform !== 'linux') return undefined;
  const has = await import('koffi').then(
    () => true,
    () => false,
  );
  while (has && kernelFiles() === undefined) await nextTurn();
  return kernelFiles();
};

for (const time of ['first, by the thread pool', 'then, what is in memory at once']) {
  t.test(time, async (t) => {
    if (time.startsWith('then')) await kernelIsLoaded();
    const folder = t.testdir({ root: { sub: {} }, outside: { x: 'xx' } });
    const root = join(folder, 'root');
    const contents: Record<string, Buffer> = {
      empty: Buffer.alloc(0),
      'sub/ü \n': random(32_768),
      large: random(32_769),
    };
    for (let i = 0; i < 300; i++) contents[`sub/${i}`] = random(i);
    writeFiles(root, contents);
    const files = Object.keys(contents).map((path) => shared(root, path));
    const read = ({ path, identity }: Known): Promise<Buffer | undefined> =>
      readInside(root, path, identity);
    const bytes = await Promise.all(files.map(read));
    const wrong = files.filter(
      ({ path }, i) => contents[path]?.equals(bytes[i] ?? random(8)) !== true,
    );
    t.same(wrong, [], 'all are right');

    writeFileSync(join(root, 'sub/1'), 'longer than it was');
    writeFileSync(join(root, 'sub/2'), 'ab');
    rmSync(join(root, 'sub/3'));
    symlinkSync(join(root, 'sub/5'), join(root, 'sub/3'));
    rmSync(join(root, 'sub/4'));
    rmSync(join(root, 'sub/6'));
    mkdirSync(join(root, 'sub/6'));
    const known = new Map(files.map((file) => [file.path, file]));
    const of = (path: string): Known => known.get(path) ?? shared(root, path);
    const [longer, other, link, gone, good, dir] = await Promise.allSettled(
      ['sub/1', 'sub/2', 'sub/3', 'sub/4', 'sub/5', 'sub/6'].map((path) => read(of(path))),
    );
    t.same(longer, { status: 'fulfilled', value: undefined });
    t.same(other, { status: 'fulfilled', value: undefined }, 'same size, another time');
    t.match(link, { status: 'rejected', reason: { code: 'ELOOP' } });
    t.match(gone, { status: 'rejected', reason: { code: 'ENOENT' } });
    t.match(good, { status: 'fulfilled', value: contents['sub/5'] });
    t.match(dir, { status: 'rejected', reason: { code: 'ERR_FORBIDDEN' } });

    // A folder that has become a link to one with the same file in it.
    renameSync(join(root, 'sub'), join(folder, 'moved'));
    symlinkSync(join(folder, 'moved'), join(root, 'sub'));
    await t.rejects(read(of('sub/5')), { code: 'ERR_FORBIDDEN' });
    t.same(await read(of('empty')), Buffer.alloc(0));
  });
}

t.test('what the kernel gives at once', async (t) => {
  const kernel = await kernelIsLoaded();
  if (kernel === undefined) {
    t.pass('it has no such calls here');
    return;
  }
  const folder = t.testdir({ sub: { file: 'some bytes' } });
  const file = join(folder, 'sub/file');
  symlinkSync('sub', join(folder, 'link'));
  // Looked at just now: the kernel knows the names.
  lstatSync(join(folder, 'link/file'));
  t.equal(kernel.openCached(join(folder, 'link/file')), undefined, 'it follows no link');
  const fd = kernel.openCached(file);
  if (fd === undefined) {
    t.pass('it has no openat2(2) here');
    return;
  }
  t.teardown(() => {
    closeSync(fd);
  });
  const bytes = kernel.readCached(fd, 10);
  // Some file systems cannot.
  if (bytes !== undefined) t.equal(bytes.toString(), 'some bytes');
  t.equal(kernel.readCached(fd, 11), undefined, 'the file is shorter');
  t.equal(kernel.readCached(fd, 32 * 1024 + 1), undefined, 'more than it reads so');
});

t.test(
  'over the wire: whole, in parts, in order with large ones, and what has changed',
  async (t) => {
    const folder = t.testdir();
    const contents = [0, 1, 100, 32_767, 32_768, 32_769, 262_144, 700_000].map((n) => random(n));
    for (const [i, bytes] of contents.entries()) writeFileSync(join(folder, `f${i}`), bytes);
    const node = await startIndexed(t, folder);
    const peer = await connectTo(t, node);
    const files = await listOf(peer.search(''));
    t.equal(files.length, contents.length);
    const contentOf = (path: string): Buffer => contents[Number(path.slice(1))] ?? Buffer.alloc(0);
    // Twenty rounds at once: bodies of all sizes follow one another.
    const rounds = Array.from({ length: 20 }, () => files).flat();
    const all = await Promise.all(rounds.map(({ hash }) => bytesOf(peer.fetch(hash))));
    t.ok(rounds.every(({ path }, i) => all[i]?.equals(contentOf(path))));
    const small = files.filter(({ size }) => size <= 262_144);
    const whole = await Promise.all(small.map(({ hash, size }) => peer.fetchSmall(hash, size)));
    t.ok(small.every(({ path }, i) => whole[i]?.equals(contentOf(path))));
    const { hash = '', path = '' } = files.find(({ size }) => size === 100) ?? {};
    const part = await bytesOf(peer.fetch(hash, { offset: 10, length: 20 }));
    t.ok(part.equals(contentOf(path).subarray(10, 30)));
    t.equal((await bytesOf(peer.fetch(hash, { offset: 10, length: 0 }))).length, 0);
    await t.rejects(bytesOf(peer.fetch(hash, { offset: 100 })), { code: 'ERR_RANGE' });
    await t.rejects(peer.fetchSmall(hash, 99), { code: 'ERR_MISMATCH' });
    await t.rejects(peer.fetchSmall(hash, 262_145), { code: 'ERR_USAGE' });
    await t.rejects(peer.fetchSmall('ab'.repeat(32), 5), { code: 'ERR_NOT_FOUND' });
    writeFileSync(join(folder, path), 'no longer what it was');
    await t.rejects(peer.fetchSmall(hash, 100), { code: 'ERR_CHANGED' });
    t.equal(node.stats.sent, 20 * files.length + small.length + 3);
  },
);

t.test('overwritten, and its time put back: not sent, and found as what it is', async (t) => {
  const folder = t.testdir();
  const file = join(folder, 'f');
  writeFileSync(file, 'as it was');
  const node = await startIndexed(t, folder, { watch: false });
  const peer = await connectTo(t, node);
  const hashNow = async (): Promise<string> => (await listOf(peer.search('f')))[0]?.hash ?? '';
  const before = await hashNow();
  const { mtimeNs } = lstatSync(file, { bigint: true });
  const seconds = (ns: bigint): string =>
    `${ns / 10n ** 9n}.${String(ns % 10n ** 9n).padStart(9, '0')}`;
  writeFileSync(file, 'as it is.');
  // As Node would round it: to the nanosecond only touch(1) puts it back.
  execFileSync('touch', ['-d', `@${seconds(mtimeNs)}`, file]);
  t.equal(lstatSync(file, { bigint: true }).mtimeNs, mtimeNs);
  const removed = once(node, 'change');
  await t.rejects(peer.fetchSmall(before, 9), { code: 'ERR_CHANGED' });
  t.match(await removed, [{ kind: 'removed', path: 'f' }]);
  let now = '';
  while (now === '') now = await hashNow();
  t.not(now, before);
  t.equal((await peer.fetchSmall(now, 9)).toString(), 'as it is.');
});
