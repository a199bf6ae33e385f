/** A node and its clients: everything the protocol offers, on real files and sockets. */
import { once } from 'node:events';
import { appendFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from './fixtures/tap.js';
import { connect } from '../lib/fetch/peer.js';
import { hashStream } from '../lib/hash/path.js';
import { dial } from '../lib/net/dialer.js';
import { printable } from '../lib/support/printable.js';
import { BLOCK_BYTES } from '../lib/wire/body.js';
import { random, writeFiles, writeLarge } from './fixtures/bytes.js';
import { bytesOf, connectTo, listOf, startIndexed, startNode } from './fixtures/node.js';

const ABSENT = 'ab'.repeat(32);
const MiB = 2 ** 20;

async function hashOf(bytes: Buffer): Promise<string> {
  return hashStream(
    (async function* () {
      yield await Promise.resolve(bytes);
    })(),
  );
}

t.test('every size, whole', async (t) => {
  const sizes = [0, 1, 4096, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * MiB + 17];
  const folder = t.testdir();
  const contents = sizes.map((size) => random(size));
  for (const [i, content] of contents.entries()) writeFileSync(join(folder, `file${i}`), content);
  const node = await startIndexed(t, folder);
  const peer = await connectTo(t, node);
  const found = await listOf(peer.search(''));
  t.same(
    found.map(({ path, size }) => [path, size]),
    sizes.map((size, i) => [`file${i}`, size]),
  );
  for (const [i, { hash }] of found.entries()) {
    const content = contents[i] ?? Buffer.alloc(0);
    t.equal(hash, await hashOf(content));
    t.ok((await bytesOf(peer.fetch(hash))).equals(content), `${content.length} bytes`);
  }
  t.match(await peer.ping(), {
    info: { id: node.id, port: node.address.port, version: 1 },
    files: sizes.length,
    bytes: sizes.reduce((a, b) => a + b),
    state: 'ready',
  });
});

t.test('names of every kind', async (t) => {
  const names = [
    'with space',
    'tab\there',
    'line\nbreak',
    'back\\slash',
    'folder\nwith/line\r\u2028ends',
    'private \ue000 \ue0000',
    'caf\u00e9',
    'cafe\u0301',
    '😀 emoji',
    'x'.repeat(255),
    '[brackets]{a,b}(c)*?!',
    '-dash',
    '#hash',
    'quote\'"',
    'folder/sub folder/ééé',
    '__proto__',
    'constructor',
    '\u202etxt.exe',
  ];
  const folder = t.testdir();
  for (const name of names) writeFiles(folder, { [name]: `content of ${name}` });
  const node = await startIndexed(t, folder);
  const peer = await connectTo(t, node);
  const found = await listOf(peer.search(''));
  t.same(found.map(({ path }) => path).sort(), [...names].sort());
  for (const { path, hash } of found) {
    t.equal((await bytesOf(peer.fetch(hash))).toString(), `content of ${path}`, printable(path));
  }
  const both = (await listOf(peer.search('CAFÉ'))).map(({ path }) => path);
  t.same(both.sort(), ['cafe\u0301', 'caf\u00e9'].sort(), 'both normal forms');
  t.equal((await listOf(peer.search('  sub\tÉÉ  FOLDER '))).length, 1, 'all terms, any case');
  t.equal((await listOf(peer.search('sub nothing'))).length, 0);
  // A name that is not UTF-8 cannot be said in the protocol: it is named and left out.
  const warned: string[] = [];
  const raw = Buffer.concat([Buffer.from(join(folder, 'raw')), Buffer.of(0xff)]);
  writeFileSync(raw, 'x');
  const second = await startNode(t, folder);
  second.on('warning', ({ reason }) => warned.push(reason));
  await once(second, 'indexed');
  t.same(warned, ['its name is not valid UTF-8; skipped']);
  t.equal(second.shared.files, names.length);
});

t.test('pages: nothing twice, nothing left out, while files go', async (t) => {
  const folder = t.testdir();
  const names = Array.from({ length: 2500 }, (_, i) => `dir${i % 7}/${'long'.repeat(i % 40)}${i}`);
  writeFiles(folder, Object.fromEntries(names.map((name) => [name, name])));
  const node = await startIndexed(t, folder);
  const peer = await connectTo(t, node);
  const all = await listOf(peer.search('dir'));
  t.equal(all.length, names.length);
  t.equal(new Set(all.map(({ path }) => path)).size, names.length);
  t.equal((await listOf(peer.search('dir', { max: 1234 }))).length, 1234);
  // A file that is found changed is withdrawn between two pages.
  const connection = await dial(node.address, {
    handler: () => undefined,
    connectTimeout: 1000,
    answerTimeout: 1000,
  });
  const first = await connection.page({ type: 'RQFS', query: 'dir', ttl: 0, max: 10 });
  t.equal(first.files.length, 10);
  const gone = first.files.at(-1);
  appendFileSync(join(folder, gone?.path ?? ''), 'changed');
  await t.rejects(bytesOf(peer.fetch(gone?.hash ?? '')), { code: 'ERR_CHANGED' });
  const rest = await connection.page({
    type: 'RQFS',
    query: 'dir',
    ttl: 0,
    max: 1000,
    after: first.after,
  });
  t.equal(rest.total, names.length - 1);
  t.same(rest.files[0]?.path, all[10]?.path, 'goes on where it was');
  connection.destroy();
});

t.test('a search for a hash finds every copy', async (t) => {
  const node = await startIndexed(t, t.testdir({ a: 'same', d: { b: 'same' }, c: 'other' }));
  const peer = await connectTo(t, node);
  const [file] = await listOf(peer.search('a'));
  const hash = file?.hash ?? '';
  const connection = await dial(node.address, {
    handler: () => undefined,
    connectTimeout: 1000,
    answerTimeout: 1000,
  });
  const found = await connection.page({ type: 'RQFS', hash, ttl: 0 });
  t.same(found.files.map(({ path }) => path).sort(), ['a', 'd/b']);
  t.ok(found.files.every((file) => file.hash === hash && file.size === 4));
  t.match(await connection.page({ type: 'RQFS', hash, ttl: 0, max: 1 }), { total: 2 });
  t.match(await connection.page({ type: 'RQFS', hash: ABSENT, ttl: 0 }), { total: 0 });
  connection.destroy();
});

t.test('errors have codes', async (t) => {
  const folder = t.testdir({ a: 'a' });
  const node = await startIndexed(t, folder);
  const peer = await connectTo(t, node);
  await t.rejects(bytesOf(peer.fetch(ABSENT)), { code: 'ERR_NOT_FOUND' });
  t.equal((await listOf(peer.search('a'))).length, 1, 'the connection lives on');
  for (const share of [join(folder, 'none'), join(folder, 'a')]) {
    await t.rejects(startNode(t, share), { code: 'ERR_USAGE' }, share);
  }
  await t.rejects(startNode(t, folder, { port: node.address.port }), { code: 'ERR_IN_USE' });
  await t.rejects(startNode(t, folder, { port: 65536 }), { code: 'ERR_USAGE' });
  await t.rejects(startNode(t, folder, { host: '192.0.2.1' }), { code: 'ERR_USAGE' });
  const { port } = node.address;
  await node.close();
  await t.rejects(connect({ host: '127.0.0.1', port }), { code: 'ERR_UNREACHABLE' });
});

t.test('dotfiles and ignored files', async (t) => {
  const folder = t.testdir({
    '.hidden': 'h',
    '.git': { config: 'c' },
    'a.tmp': 't',
    sub: { 'b.tmp': 't', '.x': 'x', keep: 'k', node_modules: { deep: { file: 'f' } } },
    top: { file: 'f' },
  });
  const paths = async (options: object): Promise<string[]> => {
    const node = await startIndexed(t, folder, options);
    const peer = await connectTo(t, node);
    return (await listOf(peer.search(''))).map(({ path }) => path).sort();
  };
  t.same(await paths({}), [
    'a.tmp',
    'sub/b.tmp',
    'sub/keep',
    'sub/node_modules/deep/file',
    'top/file',
  ]);
  t.same(await paths({ ignore: ['*.tmp', 'node_modules', '/top/'] }), ['sub/keep']);
  t.same((await paths({ dotfiles: true, ignore: ['*.tmp', 'node_modules'] })).slice(0, 3), [
    '.git/config',
    '.hidden',
    'sub/.x',
  ]);
});

t.test('findable one by one, small ones first, before all is hashed', async (t) => {
  const folder = t.testdir();
  writeFiles(folder, { small: 'small one' });
  writeLarge(join(folder, 'large'), 300 * MiB);
  const node = await startNode(t, folder, { threads: 1 });
  const peer = await connectTo(t, node);
  t.equal((await peer.ping()).state, 'hashing', 'answers before anything is hashed');
  await t.rejects(bytesOf(peer.fetch(ABSENT)), { code: 'ERR_HASHING' });
  while (node.shared.files === 0) await once(node, 'progress');
  t.same(
    (await listOf(peer.search(''))).map(({ path }) => path),
    ['small'],
  );
  t.equal((await peer.ping()).state, 'hashing');
  t.equal(
    (await bytesOf(peer.fetch(await hashOf(Buffer.from('small one'))))).toString(),
    'small one',
  );
  await once(node, 'indexed');
  t.equal((await listOf(peer.search(''))).length, 2);
  t.same(node.progress, {
    files: 2,
    bytes: 300 * MiB + 9,
    totalFiles: 2,
    totalBytes: 300 * MiB + 9,
    scanned: true,
  });
  rmSync(folder, { recursive: true });
});

t.test('a file that changed since it was hashed', async (t) => {
  const folder = t.testdir();
  writeFiles(folder, { a: 'old content', copy: 'old content', b: 'b', c: 'c' });
  const node = await startIndexed(t, folder);
  const peer = await connectTo(t, node);
  const hash = await hashOf(Buffer.from('old content'));
  writeFileSync(join(folder, 'a'), 'new content');
  t.equal((await bytesOf(peer.fetch(hash))).toString(), 'old content', 'a copy makes up for it');
  rmSync(join(folder, 'copy'));
  await t.rejects(bytesOf(peer.fetch(hash)), { code: 'ERR_CHANGED' });
  await t.rejects(bytesOf(peer.fetch(hash)), { code: 'ERR_NOT_FOUND' }, 'withdrawn');
  // Replaced by another of the same name: size or time tell.
  writeFiles(folder, { fresh: 'B' });
  renameSync(join(folder, 'fresh'), join(folder, 'b'));
  await t.rejects(bytesOf(peer.fetch(await hashOf(Buffer.from('b')))), { code: 'ERR_CHANGED' });
});

t.test('close ends everything', async (t) => {
  const folder = t.testdir();
  writeLarge(join(folder, 'large'), 200 * MiB);
  const node = await startIndexed(t, folder);
  const peer = await connectTo(t, node);
  const [found] = await listOf(peer.search(''));
  const stream = peer.fetch(found?.hash ?? '');
  await once(stream, 'data');
  stream.pause();
  const failed = t.rejects(once(stream, 'end'), { code: 'ERR_CLOSED' });
  await node.close();
  stream.resume();
  await failed;
  await t.rejects(peer.ping(), { code: 'ERR_UNREACHABLE' });
  const again = await startNode(t, folder);
  await again.close();
  t.pass('while it scans, too');
});
