/** Small files as the server reads them: by a thread of its own, or by way of the thread pool. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { lstatSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { identityOf } from '../../lib/disk/open.js';
import type { SharedFile } from '../../lib/share/catalog.js';
import { SmallReader } from '../../lib/serve/small-reader.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { bytesOf, connectTo, listOf, startIndexed } from '../fixtures/node.js';

type Known = Pick<SharedFile, 'path' | 'identity'>;

/** As the catalog has it: what stands there now is what was hashed. */
function shared(root: string, path: string): Known {
  const identity = identityOf(lstatSync(join(root, path), { bigint: true }));
  return { path, identity };
}

const WANTED = new AbortController().signal;

for (const worker of [true, false]) {
  t.test(worker ? 'by the thread' : 'by the thread pool', async (t) => {
    const folder = t.testdir({ root: { sub: {} }, outside: { x: 'xx' } });
    const root = join(folder, 'root');
    const contents: Record<string, Buffer> = { empty: Buffer.alloc(0), 'sub/ü \n': random(32_768) };
    for (let i = 0; i < 300; i++) contents[`sub/${i}`] = random(i);
    writeFiles(root, contents);
    const reader = new SmallReader(root, worker);
    t.teardown(() => reader.close());
    const files = Object.keys(contents).map((path) => shared(root, path));
    // Twice: the thread does not run yet the first time.
    for (const time of ['first', 'second']) {
      const read = await Promise.all(files.map((file) => reader.read(file, WANTED)));
      const wrong = files.filter(
        ({ path }, i) => contents[path]?.equals(read[i] ?? random(8)) !== true,
      );
      t.same(wrong, [], `all are right, the ${time} time`);
    }

    writeFileSync(join(root, 'sub/1'), 'longer than it was');
    writeFileSync(join(root, 'sub/2'), 'ab');
    rmSync(join(root, 'sub/3'));
    symlinkSync(join(root, 'sub/5'), join(root, 'sub/3'));
    rmSync(join(root, 'sub/4'));
    const known = new Map(files.map((file) => [file.path, file]));
    const of = (path: string): Known => known.get(path) ?? shared(root, path);
    const [longer, other, link, gone, good] = await Promise.allSettled(
      ['sub/1', 'sub/2', 'sub/3', 'sub/4', 'sub/5'].map((path) => reader.read(of(path), WANTED)),
    );
    t.same(longer, { status: 'fulfilled', value: undefined });
    t.same(other, { status: 'fulfilled', value: undefined }, 'same size, another time');
    t.match(link, { status: 'rejected', reason: { code: 'ELOOP' } });
    t.match(gone, { status: 'rejected', reason: { code: 'ENOENT' } });
    t.match(good, { status: 'fulfilled', value: contents['sub/5'] });

    // A folder that has become a link to one with the same file in it.
    renameSync(join(root, 'sub'), join(folder, 'moved'));
    symlinkSync(join(folder, 'moved'), join(root, 'sub'));
    await t.rejects(reader.read(of('sub/5'), WANTED), { code: 'ERR_FORBIDDEN' });

    const last = reader.read(of('empty'), WANTED);
    await reader.close();
    t.same(await last, Buffer.alloc(0), 'what was asked for is still read');
    t.same(await reader.read(of('empty'), WANTED), Buffer.alloc(0));
  });
}

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
