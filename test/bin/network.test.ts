/** The commands in a network of eight processes in a line: each knows the one before it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t, { type Test } from '../fixtures/tap.js';
import { FoundFiles, type FoundFile } from '../../bin/common/found-files.js';
import type { FileMatch, PeerContact } from '../../lib/wire/messages.js';
import { hashBlock } from '../../lib/hash/blake3.js';
import { writeFiles } from '../fixtures/bytes.js';
import { command, run, serve, type Result, type Served } from '../fixtures/cli.js';

interface Line extends FileMatch {
  peer: PeerContact;
  hops: number;
}

const ABSENT = 'ab'.repeat(32);
const SONG = 'the same at three of them';
const WITH_SONG = [2, 5, 7];

/** Node i shares `only-i.txt`, and some share the same song, each by another name. */
async function startLine(t: Test): Promise<Served[]> {
  const folder = t.testdir();
  const nodes: Served[] = [];
  const start = async (i: number, ...others: number[]): Promise<void> => {
    const share = join(folder, `share-${i}`);
    writeFiles(share, { [`only-${i}.txt`]: `of ${i}` });
    if (WITH_SONG.includes(i)) writeFiles(share, { [`song by ${i}.ogg`]: SONG });
    const peers = others.flatMap((other) => ['--peer', nodes[other]?.peer ?? '']);
    const quiet = ['--no-watch', '--no-discover', '--threads', '1', '--verbose'];
    const state = ['--state', join(folder, `state-${i}`)];
    nodes[i] = await serve(t, [share, ...state, ...quiet, ...peers]);
  };
  // From the middle, so that two can start at a time.
  await start(3);
  for (const [left, right] of [
    [2, 4],
    [1, 5],
    [0, 6],
  ] as const) {
    await Promise.all([start(left, left + 1), start(right, right - 1)]);
  }
  await start(7, 6);
  await Promise.all(nodes.map(({ indexed }) => indexed));
  for (const [i, node] of nodes.entries()) {
    for (const other of [nodes[i - 1], nodes[i + 1]]) {
      if (other !== undefined) await saysOf(node, 'linked', other);
    }
  }
  return nodes;
}

/** Resolves when a node has said this of another, now or before. */
async function saysOf({ stderr, child }: Served, kind: string, { id }: Served): Promise<void> {
  const line = new RegExp(`peer ${kind}: \\S+ is ${id}`);
  while (!line.test(stderr())) await once(child.stderr ?? child, 'data');
}

const search = (peer: Served | undefined, ...args: string[]): Promise<Result> =>
  run('p2p-search', [peer?.peer ?? '', ...args]);
const linesOf = ({ stdout }: Result): string[] => stdout.toString().split('\n').slice(0, -1);
const jsonOf = (result: Result): Line[] => linesOf(result).map((line) => JSON.parse(line) as Line);
const only = (...numbers: number[]): string[] => numbers.map((i) => `only-${i}.txt`);

t.test('eight processes in a line', async (t) => {
  const nodes = await startLine(t);
  const [first, , two, three] = nodes;
  if (first === undefined || two === undefined || three === undefined) return;

  t.test('as far as the ttl goes', async (t) => {
    const near = await search(first, 'only', '--ttl', '3', '--timeout', '30');
    t.equal(near.code, 0);
    const expected = [0, 1, 2, 3].map((i) => ` ${nodes[i]?.peer ?? ''}  only-${i}.txt`);
    t.same(
      linesOf(near)
        .map((line) => line.replace(/^[0-9a-f]{64} {2}4 /, ''))
        .toSorted(),
      expected.toSorted(),
    );
    t.match(near.stderr, /^p2p-search: 4 files at 4 peers; 4 asked, 4 answered, 0 late; first/);
    t.match(near.stderr, /first after \d+ ms, last after \d+ ms\n$/);
  });

  t.test('the same file at several peers', async (t) => {
    const [plain, json] = await Promise.all([
      search(first, 'SONG', '--ttl', '7', '--timeout', '30'),
      search(first, 'song', '--ttl', '7', '--timeout', '30', '--json'),
    ]);
    const found = jsonOf(json);
    t.same(
      found.map(({ path, peer, hops }) => ({
        path,
        id: peer.id,
        at: `${peer.host}:${peer.port}`,
        hops,
      })),
      WITH_SONG.map((i) => {
        const { id, peer: at } = nodes[i] ?? first;
        return { path: `song by ${i}.ogg`, id, at, hops: i };
      }),
    );
    const hashes = new Set(found.map(({ hash }) => hash));
    t.equal(hashes.size, 1);
    t.match(json.stderr, /^p2p-search: 3 files at 3 peers; 8 asked, 8 answered, 0 late/);
    // A line for each path of the content.
    const named = linesOf(plain).flatMap((line) => {
      const [hash = '', size, peers = '', ...path] = line.split('  ');
      t.ok(hashes.has(hash));
      t.same([size, path.length], [String(SONG.length), 1]);
      return peers.split(',');
    });
    t.same(
      named,
      WITH_SONG.map((i) => nodes[i]?.peer),
      'each peer once',
    );
  });

  t.test('no more than wanted', async (t) => {
    const [two, none, nothing] = await Promise.all([
      search(first, 'only', '--ttl', '7', '--max', '2'),
      search(first, 'only', '--ttl', '7', '--max', '0'),
      search(first, 'no such thing', '--ttl', '7', '--timeout', '30'),
    ]);
    t.equal(linesOf(two).length, 2);
    t.match(two, { code: 0, stderr: /2 files at 2 peers; ended early/ });
    t.match(none, { code: 0, stdout: Buffer.alloc(0) });
    t.match(nothing, { code: 3, stdout: Buffer.alloc(0) });
    t.match(nothing.stderr, /^p2p-search: 0 files at 0 peers; 8 asked, 8 answered, 0 late\n$/);
  });

  t.test('fetched from the peer that has it', async (t) => {
    const hash = Buffer.from(hashBlock(Buffer.from('of 3'))).toString('hex');
    const [part, absent] = await Promise.all([
      run('p2p-fetch', [first.peer, hash, '--find', '--offset', '3']),
      run('p2p-fetch', [first.peer, ABSENT, '--find']),
    ]);
    t.match(part, { code: 0, stderr: '' });
    t.equal(part.stdout.toString(), '3');
    t.match(absent, { code: 3, stdout: Buffer.alloc(0), stderr: /no file with this hash/ });
  });

  t.test('one hangs: the time holds, and the others are heard', async (t) => {
    three.child.kill('SIGSTOP');
    const result = await search(first, 'only', '--ttl', '7', '--timeout', '1.5', '--json');
    three.child.kill('SIGCONT');
    t.equal(result.code, 0);
    t.same(
      jsonOf(result).map(({ path }) => path),
      only(0, 1, 2),
    );
    t.match(result.stderr, /^p2p-search: 3 files at 3 peers; 4 asked, 3 answered, [1-4] late/);
  });

  t.test('one is killed in the middle of a search, which ends with it', async (t) => {
    three.child.kill('SIGSTOP');
    const [program, args] = command('p2p-search', [
      first.peer,
      'only',
      '--ttl',
      '7',
      '--json',
      '--timeout',
      '60',
    ]);
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const closed = once(child, 'close');
    const paths: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      paths.push((JSON.parse(line) as Line).path);
      // 2 has asked 3 before it answered.
      if (paths.length === 3) three.child.kill('SIGKILL');
    }
    t.same(await closed, [0, null]);
    t.same(paths, only(0, 1, 2));
    t.match(
      stderr,
      /3 files at 3 peers; 4 asked, 3 answered, 0 late/,
      'nobody waited for the time',
    );
    await saysOf(two, 'unlinked', three);
    const after = await search(first, 'only', '--ttl', '7', '--timeout', '60');
    t.match(after.stderr, /3 files at 3 peers; 3 asked, 3 answered, 0 late/);
  });
});

t.test('files are told of once with all their peers, and again with those that come late', (t) => {
  const told: string[] = [];
  const files = new FoundFiles(({ path, sources }: FoundFile) => {
    told.push(`${path} ${sources.map(({ peer }) => peer.port).join(' ')}`);
  });
  const add = (hash: string, path: string, port: number): void => {
    files.add({ hash, path, size: 1 }, { peer: { id: 'aa', host: '::1', port }, hops: 1 });
  };
  add('a', 'x', 1);
  add('b', 'y', 1);
  add('a', 'other name', 2);
  add('a', 'x', 1);
  t.same(told, [], 'not before others had their chance');
  files.flush();
  t.same(told, ['x 1', 'y 1', 'other name 2'], 'two paths of one content are two files');
  add('a', 'x', 3);
  add('a', 'x', 2);
  files.flush();
  t.same(told.slice(3), ['x 3 2']);
  t.match({ files: files.files, peers: files.peers }, { files: 3, peers: 3 });
  t.end();
});
