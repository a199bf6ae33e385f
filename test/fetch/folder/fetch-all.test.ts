/** Every match of a search, into a folder: real nodes, the library call and the command. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from '../../fixtures/tap.js';
import type { Peer } from '../../../lib/fetch/peer.js';
import { PeerError } from '../../../lib/errors.js';
import {
  fetchAll,
  type FetchAllOptions,
  type FetchedFile,
} from '../../../lib/fetch/folder/fetch-all.js';
import { hashBlock } from '../../../lib/hash/blake3.js';
import type { FileMatch } from '../../../lib/wire/messages.js';
import { random, writeFiles } from '../../fixtures/bytes.js';
import { command, hasNamespaces, run, serve } from '../../fixtures/cli.js';
import { connectTo, listOf, startIndexed } from '../../fixtures/node.js';
import { RawPeer, startFake } from '../../fixtures/raw.js';
import { connect } from '../../fixtures/transport.js';

const BIG = random(3 * 256 * 1024 + 5);

function makeShare(folder: string, small = 300): Record<string, Buffer> {
  const files: Record<string, Buffer> = {
    empty: Buffer.alloc(0),
    'films/big.bin': BIG,
    'films/block.bin': random(256 * 1024),
    'Füm ü.txt': Buffer.from('hello\n'),
  };
  for (let i = 0; i < small; i++) files[`many/${i % 7}/file-${i}`] = Buffer.from(`number ${i}\n`);
  writeFiles(folder, files);
  return files;
}

const outcomesOf = (files: readonly FetchedFile[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { status } of files) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};

/** All files below a folder, by path; a symbolic link is its target behind an arrow. */
function treeOf(folder: string): Record<string, string> {
  const tree: Record<string, string> = {};
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isDirectory()) {
      tree[path.slice(folder.length + 1)] = entry.isFile() ? digest(readFileSync(path)) : 'link';
    }
  }
  return tree;
}

const digest = (bytes: Uint8Array): string => Buffer.from(hashBlock(bytes)).toString('hex');

const asTree = (files: Record<string, Buffer>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, digest(bytes)]));

const all = (
  peer: Peer,
  folder: string,
  options: FetchAllOptions & { query?: string } = {},
): Promise<FetchedFile[]> => listOf(fetchAll(peer, options.query ?? '', folder, options));

t.test('everything comes, and only what is not there comes again', async (t) => {
  const folder = t.testdir({ share: {} });
  const files = makeShare(join(folder, 'share'));
  const count = Object.keys(files).length;
  const node = await startIndexed(t, join(folder, 'share'), { workers: false });
  const peer = await connectTo(t, node);
  const out = join(folder, 'not/yet/there');
  let bytes = 0;
  let found: unknown;
  const first = await all(peer, out, {
    onFound: (what) => (found = what),
    onBytes: (more) => (bytes += more),
  });
  const total = Object.values(files).reduce((sum, { length }) => sum + length, 0);
  t.same(outcomesOf(first), { fetched: count });
  t.same(found, { files: count, bytes: total });
  t.equal(bytes, total);
  t.same(treeOf(out), asTree(files), 'all of it, and no part');
  t.same(new Set(first.map(({ path }) => path)), new Set(Object.keys(files)));
  t.ok(node.stats.connections <= 6, `${node.stats.connections} connections`);

  const { sent } = node.stats;
  t.same(outcomesOf(await all(peer, out)), { there: count });
  t.equal(node.stats.sent, sent, 'nothing was sent');

  // Names and sizes say nothing.
  const flipped = Buffer.from(BIG);
  flipped[400_000] = (flipped[400_000] ?? 0) ^ 1;
  writeFileSync(join(out, 'films/big.bin'), flipped);
  writeFileSync(join(out, 'many/1/file-1'), 'number 2\n');
  truncateSync(join(out, 'many/2/file-2'), 3);
  writeFileSync(join(out, 'empty'), 'not empty');
  writeFileSync(join(out, 'films/big.bin.part'), 'left behind');
  writeFileSync(join(out, 'my own'), 'stays');
  const again = await all(peer, out);
  t.same(outcomesOf(again), { there: count - 4, fetched: 4 });
  t.same(treeOf(out), {
    ...asTree(files),
    'my own': digest(Buffer.from('stays')),
    'films/big.bin.part': digest(Buffer.from('left behind')),
  });

  const some = join(folder, 'some');
  const matching = Object.keys(files).filter((path) => path.includes('many/1/file-1'));
  t.equal((await all(peer, some, { query: 'FILE-1 many/1/' })).length, matching.length);
  t.same(await all(peer, join(folder, 'none'), { query: 'nothing like it' }), []);
  t.notOk(existsSync(join(folder, 'none')), 'no folder for nothing');
});

t.test('links, folders and devices that stand in the way', async (t) => {
  const folder = t.testdir({ share: {}, elsewhere: { sub: {} }, out: {} });
  const [share, out, elsewhere] = ['share', 'out', 'elsewhere'].map((name) => join(folder, name));
  if (share === undefined || out === undefined || elsewhere === undefined) return;
  writeFiles(share, { 'a/x': 'x', 'b/sub/y': 'y', c: 'c', d: 'd', e: BIG, f: 'f' });
  writeFiles(elsewhere, { c: 'mine', part: 'mine', big: 'mine' });
  symlinkSync(elsewhere, join(out, 'a'));
  mkdirSync(join(out, 'b'));
  symlinkSync(join(elsewhere, 'sub'), join(out, 'b/sub'));
  symlinkSync(join(elsewhere, 'c'), join(out, 'c'));
  symlinkSync(join(elsewhere, 'part'), join(out, 'd.part'));
  symlinkSync(join(elsewhere, 'big'), join(out, 'e.part'));
  mkdirSync(join(out, 'f'));
  const before = treeOf(elsewhere);
  const peer = await connectTo(t, await startIndexed(t, share, { workers: false }));
  const files = await all(peer, out);
  const by = new Map(files.map((file) => [file.path, file]));
  for (const path of ['a/x', 'b/sub/y', 'c', 'f']) {
    t.match(by.get(path), { status: 'failed', error: { code: 'ERR_FORBIDDEN' } }, path);
  }
  for (const path of ['d', 'e']) t.match(by.get(path), { status: 'fetched' }, path);
  t.same(treeOf(elsewhere), before, 'nothing was written there');
  t.ok(lstatSync(join(out, 'c')).isSymbolicLink(), 'left as it was');
  t.ok(lstatSync(join(out, 'd')).isFile(), 'not the link, but a file of its own');
  t.ok(readFileSync(join(out, 'e')).equals(BIG));

  // The folder that is named may be a link itself.
  symlinkSync(join(folder, 'real'), join(folder, 'named'));
  mkdirSync(join(folder, 'real'));
  t.same(outcomesOf(await all(peer, join(folder, 'named'))), { fetched: 6 });
  t.equal(readFileSync(join(folder, 'real/a/x'), 'utf8'), 'x');
});

t.test('a folder swapped for a link while files go into it', async (t) => {
  const folder = t.testdir({ share: {}, elsewhere: {}, out: {} });
  const [out, elsewhere] = [join(folder, 'out'), join(folder, 'elsewhere')];
  const files: Record<string, string> = {};
  for (let i = 0; i < 600; i++) files[`sub/file-${i}`] = `number ${i}`;
  writeFiles(join(folder, 'share'), files);
  const peer = await connectTo(t, await startIndexed(t, join(folder, 'share'), { workers: false }));
  let swapped = false;
  const outcomes: FetchedFile[] = [];
  for await (const file of fetchAll(peer, '', out)) {
    outcomes.push(file);
    if (swapped) continue;
    swapped = true;
    renameSync(join(out, 'sub'), join(out, 'old'));
    symlinkSync(elsewhere, join(out, 'sub'));
  }
  t.equal(outcomes.length, 600);
  t.same(readdirSync(elsewhere), [], 'nothing outside');
});

type Test = Parameters<typeof connectTo>[0];

/** A peer that lists what it likes and answers requests as it likes. */
async function startLiar(
  t: Test,
  files: readonly FileMatch[],
  answer: (hash: string, raw: RawPeer, tag: number) => void,
): Promise<Peer> {
  const fake = await startFake(t, (socket) => {
    const raw = new RawPeer(socket);
    void (async () => {
      for (;;) {
        const received = await raw.next();
        if (received === undefined) return;
        const { message, tag } = received;
        if (message.type === 'PING') {
          const info = { version: 1 };
          raw.send({ type: 'ACKN', of: 'PING', info, files: 1, bytes: 1, state: 'ready' }, tag);
        } else if (message.type === 'RQFS') {
          raw.send({ type: 'RPFL', total: files.length, files }, tag);
        } else if (message.type === 'RQFH') {
          answer(message.hash, raw, tag);
        }
      }
    })();
  });
  const peer = await connect(fake.address);
  t.teardown(() => peer.close());
  return peer;
}
const text = (content: string, path: string): FileMatch & { content: Buffer } => {
  const bytes = Buffer.from(content);
  return { path, hash: digest(bytes), size: bytes.length, content: bytes };
};

t.test('names that a peer thinks up', async (t) => {
  const folder = t.testdir({ out: {} });
  const files = [
    text('1', 'C:\\x'),
    text('2', '\u202egpj.exe'),
    text('3', '.bashrc'),
    text('4', 'a/CON/aux.txt'),
    text('5', 'A.txt'),
    text('6', 'a.TXT'),
    text('7', `${'x'.repeat(400)}.mkv`),
    text('8', 'A.txt.part'),
    text('9', 'end. '),
    text('10', 'A.txt/below'),
    text('11', 'line\nend\u0000'.replace('\u0000', '\u0001')),
  ];
  const peer = await startLiar(t, files, (hash, raw, tag) => {
    const bytes = files.find((file) => file.hash === hash)?.content ?? Buffer.alloc(0);
    const { length } = bytes;
    raw.send({ type: 'ACKN', of: 'RQFH', size: length, offset: 0, length }, tag).raw(bytes);
  });
  const out = join(folder, 'out');
  const outcomes = await all(peer, out);
  t.same(outcomesOf(outcomes), { fetched: files.length });
  const tree = treeOf(out);
  t.same(
    outcomes.map(({ file, hash }) => [file, hash]).sort(),
    Object.entries(tree).sort(),
    'each where it is said to be',
  );
  for (const name of ['C__x', '_gpj.exe', '_bashrc', 'a/CON_/aux_.txt', 'A.txt.part_', 'end__']) {
    t.ok(name in tree, name);
  }
  t.same(readdirSync(folder).sort(), ['out']);
  const keys = Object.keys(tree).map((name) => name.toLowerCase());
  t.equal(new Set(keys).size, files.length);
});

t.test('a peer that lies about some files loses these alone', async (t) => {
  const folder = t.testdir({ out: {} });
  const good = Array.from({ length: 50 }, (_, i) => text(`good ${i}`, `good/${i}`));
  const flipped = text('flipped', 'bad/flipped');
  const longer = text('longer', 'bad/longer');
  const cut = text('cut', 'bad/cut');
  const refused = text('refused', 'bad/refused');
  const bad = [flipped, longer, cut, refused];
  const files = [...good.slice(0, 10), flipped, ...good.slice(10, 20), longer, cut, refused];
  files.push(...good.slice(20));
  let cuts = 0;
  const peer = await startLiar(t, files, (hash, raw, tag) => {
    const { content = Buffer.alloc(0) } = files.find((file) => file.hash === hash) ?? {};
    const head = { type: 'ACKN', of: 'RQFH', offset: 0 } as const;
    const { length } = content;
    if (hash === flipped.hash) {
      raw.send({ ...head, size: length, length }, tag).raw(Buffer.from('flopped'));
    } else if (hash === longer.hash) {
      const size = 2 ** 40;
      raw.send({ ...head, size, length: size }, tag);
    } else if (hash === cut.hash) {
      cuts++;
      raw.send({ ...head, size: length, length }, tag).raw(content.subarray(0, 1));
      raw.socket.end();
    } else if (hash === refused.hash) {
      raw.send({ type: 'ERRR', code: 'ERR_NOT_FOUND', message: 'no' }, tag);
    } else {
      raw.send({ ...head, size: length, length }, tag).raw(content);
    }
  });
  const outcomes = await all(peer, join(folder, 'out'));
  t.same(outcomesOf(outcomes), { fetched: 50, failed: 4 });
  const failed = outcomes.filter(({ status }) => status === 'failed');
  t.same(Object.fromEntries(failed.map(({ path, error }) => [path, (error as PeerError).code])), {
    'bad/flipped': 'ERR_MISMATCH',
    'bad/longer': 'ERR_MISMATCH',
    'bad/cut': 'ERR_CLOSED',
    'bad/refused': 'ERR_NOT_FOUND',
  });
  t.ok(cuts >= 3, 'a connection that breaks is tried again');
  t.ok(bad.every(({ path }) => !existsSync(join(folder, 'out', path))));
  t.same(
    treeOf(join(folder, 'out')),
    asTree(Object.fromEntries(good.map((f) => [f.path, f.content]))),
  );
});

t.test('a peer that is busy is asked again', async (t) => {
  const content = Buffer.from('some bytes');
  const files = [{ path: 'a', hash: digest(content), size: content.length }];
  let asked = 0;
  const { address } = await startFake(t, (socket) => {
    const raw = new RawPeer(socket);
    void (async () => {
      for (let got = await raw.next(); got !== undefined; got = await raw.next()) {
        const { message, tag } = got;
        if (message.type === 'PING') {
          const info = { version: 1 };
          raw.send({ type: 'ACKN', of: 'PING', info, files: 1, bytes: 10, state: 'ready' }, tag);
        } else if (message.type === 'RQFS') {
          raw.send({ type: 'RPFL', total: 1, files }, tag);
        } else if (message.type === 'RQFH' && ++asked === 1) {
          raw.send({ type: 'ERRR', code: 'ERR_BUSY', message: 'later' }, tag);
        } else {
          const size = content.length;
          raw.send({ type: 'ACKN', of: 'RQFH', size, offset: 0, length: size }, tag).raw(content);
        }
      }
    })();
  });
  const peer = await connect(address);
  t.teardown(() => peer.close());
  t.match(await all(peer, t.testdir()), [{ path: 'a', status: 'fetched' }]);
  t.equal(asked, 2);
});

t.test('a peer that is lost ends it', async (t) => {
  const folder = t.testdir({ out: {} });
  const files = Array.from({ length: 20 }, (_, i) => text(`${i}`, `${i}`));
  const closing = await startLiar(t, files, (_hash, raw) => {
    raw.socket.end();
  });
  await t.rejects(all(closing, join(folder, 'out')), { code: 'ERR_CLOSED' });
  t.same(readdirSync(join(folder, 'out')), []);
});

t.test('a signal, and a loop that is left', async (t) => {
  const folder = t.testdir({ share: {} });
  const files = makeShare(join(folder, 'share'), 400);
  const peer = await connectTo(t, await startIndexed(t, join(folder, 'share'), { workers: false }));
  for (const how of ['signal', 'break']) {
    const out = join(folder, how);
    const stop = new AbortController();
    const got: FetchedFile[] = [];
    const fetched = (async () => {
      for await (const file of fetchAll(peer, '', out, { signal: stop.signal })) {
        got.push(file);
        if (got.length < 100) continue;
        if (how === 'break') break;
        stop.abort();
      }
    })();
    if (how === 'signal') await t.rejects(fetched, { code: 'ERR_ABORTED' });
    else await fetched;
    const wanted = asTree(files);
    // What is not whole may be there as a part.
    const tree = Object.entries(treeOf(out)).filter(([path]) => !path.endsWith('.part'));
    t.ok(tree.length >= 100 && tree.length < 404, `${tree.length} files`);
    t.ok(
      tree.every(([path, hash]) => wanted[path] === hash),
      'only whole ones',
    );
  }
  await t.rejects(all(peer, join(folder, 'x'), { signal: AbortSignal.abort() }), {
    code: 'ERR_ABORTED',
  });
  const rest = outcomesOf(await all(peer, join(folder, 'signal')));
  t.ok((rest['there'] ?? 0) >= 100, 'what was whole is not fetched again');
  t.equal((rest['there'] ?? 0) + (rest['fetched'] ?? 0), 404);
});

t.test('the command', async (t) => {
  const folder = t.testdir({ share: {}, file: 'a file' });
  const files = makeShare(join(folder, 'share'), 50);
  const { peer, indexed } = await serve(t, [join(folder, 'share'), '--state', join(folder, 'st')]);
  await indexed;
  const out = join(folder, 'out');
  const first = await run('p2p-fetch', [peer, '--all', '', '-o', out]);
  const bytes = Object.values(files).reduce((sum, { length }) => sum + length, 0);
  t.equal(first.stderr, `fetched 54 files, ${bytes} bytes; 0 were there already; 0 failed\n`);
  t.match(first, { code: 0, stdout: Buffer.alloc(0) });
  t.same(treeOf(out), asTree(files));

  symlinkSync(folder, join(out, 'link'));
  writeFileSync(join(out, 'many/0/file-0'), 'changed');
  const second = await run('p2p-fetch', [peer, '--all', 'file-', '-o', out]);
  t.equal(second.stderr, 'fetched 1 file, 9 bytes; 49 were there already; 0 failed\n');
  t.equal(second.code, 0);

  const blocked = join(folder, 'blocked');
  mkdirSync(join(blocked, 'empty'), { recursive: true });
  const third = await run('p2p-fetch', [peer, '--all', 'empty', '-o', blocked]);
  t.match(third, {
    code: 1,
    stderr:
      'p2p-fetch: empty: empty: a link, folder or device stands there\n' +
      'fetched 0 files, 0 bytes; 0 were there already; 1 failed\n',
  });

  const none = await run('p2p-fetch', [peer, '--all', 'x\u001by', '-o', out]);
  t.match(none, { code: 3, stderr: 'p2p-fetch: no file matches "x\\u{1b}y"\n' });
  for (const [args, message] of [
    [[peer, '--all', 'x'], /-o DIR/],
    [[peer, '--all', 'x', '-o', '-'], /-o DIR/],
    [[peer, '--all', 'x', '-o', join(folder, 'file')], /file is not a folder/],
    [[peer, 'ab'.repeat(32), '--all', 'x', '-o', out], /do not go together/],
    [[peer, '--all', 'x', '-o', out, '--offset', '3'], /does not go together/],
    [[peer, '--all'], /all/],
    [[peer, '--all', 'x', '--all', 'y', '-o', out], /more than once/],
  ] as const) {
    const { code, stderr, stdout } = await run('p2p-fetch', args);
    t.equal(code, 2, stderr.trim());
    t.match(stderr, message);
    t.match(stderr, /^p2p-fetch: [^\n]+\n$/, 'one line');
    t.equal(stdout.length, 0);
  }
  t.match(await run('p2p-fetch', ['127.0.0.1:1', '--all', '', '-o', out]), { code: 4 });
});

t.test('the command is interrupted: what is whole stays', async (t) => {
  const folder = t.testdir({ share: {} });
  const files = makeShare(join(folder, 'share'), 300);
  const { peer, indexed } = await serve(t, [join(folder, 'share'), '--state', join(folder, 'st')]);
  await indexed;
  const out = join(folder, 'out');
  mkdirSync(out);
  const child = spawn(...command('p2p-fetch', [peer, '--all', '', '-o', out]), { stdio: 'pipe' });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const ended = once(child, 'close');
  const watcher = watch(out);
  await once(watcher, 'change');
  watcher.close();
  child.kill('SIGINT');
  const [, signal] = (await ended) as [number | null, string | null];
  // The part of a large file stays, too.
  const tree = Object.entries(treeOf(out)).filter(([path]) => !path.endsWith('.part'));
  const wanted = asTree(files);
  t.ok(
    tree.every(([path, hash]) => wanted[path] === hash),
    `${tree.length} files, all whole`,
  );
  t.equal(signal, 'SIGINT');
  t.match(stderr, /^fetched \d+ files?, \d+ bytes; .*; stopped\n$/);
});

t.test('the disk is full', { skip: !hasNamespaces() }, async (t) => {
  const folder = t.testdir({ share: {}, out: {} });
  const files = makeShare(join(folder, 'share'), 100);
  files['more'] = random(2 * 1024 * 1024);
  writeFiles(join(folder, 'share'), { more: files['more'] });
  const { peer, indexed } = await serve(t, [join(folder, 'share'), '--state', join(folder, 'st')]);
  await indexed;
  const out = join(folder, 'out');
  const [program, args] = command('p2p-fetch', [peer, '--all', '', '-o', out]);
  const script = `mount -t tmpfs -o size=1500k none "${out}"; "$@"; code=$?; find "${out}" -name '*.part'; exit $code`;
  const child = spawn('unshare', ['-Urm', 'sh', '-c', script, 'sh', program, ...args]);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  }
  const [code] = (await once(child, 'close')) as [number];
  t.equal(code, 1);
  t.match(
    output,
    /^fetched \d+ files?, \d+ bytes; 0 were there already; 0 failed; ended early\np2p-fetch: [^\n]*: no space left on the device\n/,
  );
});
