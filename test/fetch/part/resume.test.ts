/** Going on with a part, and what is refused. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import t from '../../fixtures/tap.js';
import { fetchToFile } from '../../../lib/fetch/part/fetch-to-file.js';
import type { FetchProgress } from '../../../lib/fetch/part/file-fetch.js';
import { BLOCK_BYTES } from '../../../lib/wire/body.js';
import { random, writeFiles } from '../../fixtures/bytes.js';
import { run } from '../../fixtures/cli.js';
import { startCountingRelay } from '../../fixtures/counting-relay.js';
import { connectTo, listOf, startIndexed } from '../../fixtures/node.js';
import { partOf } from '../../fixtures/part.js';
import { RawPeer, startFake } from '../../fixtures/raw.js';
import { connect } from '../../fixtures/transport.js';

const ABSENT = 'ab'.repeat(32);
const FAST = { backoff: { base: 1, cap: 4 } };

t.test('the range that a part stands for is that of the command', async (t) => {
  const folder = t.testdir({ share: {}, out: {} });
  const content = random(3 * BLOCK_BYTES + 1000);
  writeFiles(folder, { 'share/f': content });
  const node = await startIndexed(t, join(folder, 'share'));
  const peer = await connectTo(t, node);
  const hash = (await listOf(peer.search('')))[0]?.hash ?? '';
  const out = join(folder, 'out/f');
  const cases: [name: string, offset: number, length: number | undefined, part: Buffer][] = [
    ['block 1 is there, between two that are cut', 100, 600_000, content.subarray(100, 600_100)],
    ['only bytes of cut blocks', 1000, 2000, content.subarray(1000, 3000)],
    ['across a border, no whole block', 262_000, 1000, content.subarray(262_000, 263_000)],
    ['the end of the file', 2 * BLOCK_BYTES, undefined, content.subarray(2 * BLOCK_BYTES)],
    ['longer than what there is', 2 * BLOCK_BYTES, 2 ** 40, content.subarray(2 * BLOCK_BYTES)],
    ['a part of the whole file', 300_000, 300_000, content],
    ['no bytes', 10, 0, content],
    ['the last byte', content.length - 1, 1, Buffer.from('x')],
  ];
  for (const [name, offset, length, part] of cases) {
    writeFileSync(partOf(out, hash, { offset, length }), part);
    rmSync(out, { force: true });
    await fetchToFile(peer, hash, out, { offset, length });
    const end = Math.min(content.length, offset + (length ?? Infinity));
    t.ok(readFileSync(out).equals(content.subarray(offset, end)), name);
  }
  const part = partOf(out, hash, { offset: content.length });
  writeFileSync(part, content);
  const outside = fetchToFile(peer, hash, out, { offset: content.length });
  await t.rejects(outside, { code: 'ERR_RANGE' });
  t.ok(readFileSync(part).equals(content), 'a part that was not touched stays as it is');
  t.same(readdirSync(join(folder, 'out')).sort(), ['f', basename(part)]);
});

t.test('small files, and an empty one', async (t) => {
  const folder = t.testdir({ share: {}, out: {} });
  writeFiles(folder, { 'share/empty': '', 'share/small': 'hello\n' });
  const node = await startIndexed(t, join(folder, 'share'));
  const relay = await startCountingRelay(t, node.address);
  const peer = await connect(relay.address);
  t.teardown(() => peer.close());
  const out = join(folder, 'out/f');
  for (const { hash, size } of await listOf(peer.search(''))) {
    const right = size === 0 ? '' : 'hello\n';
    for (const part of ['', 'hello\n', 'hellO\n', 'hell', 'hello\nand more']) {
      writeFileSync(partOf(out, hash), part);
      await fetchToFile(peer, hash, out);
      t.equal(readFileSync(out).toString(), right, `${size}: ${part}`);
      rmSync(out);
    }
  }
});

t.test('more than one list: only the lists that are needed are asked for', async (t) => {
  const folder = t.testdir({ share: {}, out: {} });
  const size = 520 * 2 ** 20;
  const blocks = size / BLOCK_BYTES;
  /** All zeros, but for a mark in every 8 MiB. */
  const make = (file: string): void => {
    writeFileSync(file, '');
    truncateSync(file, size);
    const fd = openSync(file, 'r+');
    for (let at = 0; at < size; at += 8 * 2 ** 20) writeSync(fd, `mark ${at}`, at);
    closeSync(fd);
  };
  const spoil = (file: string, ...places: number[]): void => {
    const fd = openSync(file, 'r+');
    for (const at of places) writeSync(fd, 'x', at);
    closeSync(fd);
  };
  make(join(folder, 'share/f'));
  const node = await startIndexed(t, join(folder, 'share'));
  const relay = await startCountingRelay(t, node.address);
  const peer = await connect(relay.address);
  t.teardown(() => peer.close());
  const hash = (await listOf(peer.search('')))[0]?.hash ?? '';
  const out = join(folder, 'out/f');
  const part = partOf(out, hash);
  const lists = 40_000;
  const cases: [name: string, harm: () => void, blocks: number][] = [
    ['all is there: a block for the top list', () => undefined, 1],
    [
      'cut in the last list: the block at the cut',
      () => {
        truncateSync(part, size - 300_000);
      },
      2,
    ],
    [
      'cut at the border of a list',
      () => {
        truncateSync(part, 512 * 2 ** 20);
      },
      blocks - 2048,
    ],
    [
      'damage under two lists of three: a block more for each',
      () => {
        spoil(part, 5 * BLOCK_BYTES, 6 * BLOCK_BYTES, 1500 * BLOCK_BYTES);
      },
      5,
    ],
  ];
  make(part);
  for (const [name, harm, expected] of cases) {
    harm();
    relay.reset();
    const phases = new Map<FetchProgress['phase'], FetchProgress>();
    await fetchToFile(peer, hash, out, { onProgress: (now) => phases.set(now.phase, now) });
    const came = relay.bytes / BLOCK_BYTES;
    t.ok(relay.bytes <= expected * BLOCK_BYTES + 6 * lists, `${name}: ${came.toFixed(2)} blocks`);
    t.ok(came > expected - 1, 'what was missing did come');
    t.match(phases.get('fetching'), { bytes: size, total: size });
    const checking = phases.get('checking');
    t.equal(checking?.bytes, checking?.total);
    // What came out goes in again.
    renameSync(out, part);
  }
  execFileSync('cmp', [join(folder, 'share/f'), part]);
});

t.test('a part that is no regular file is refused, and not touched', async (t) => {
  const folder = t.testdir({ out: {}, other: 'precious' });
  const out = join(folder, 'out/f');
  const part = partOf(out, ABSENT);
  const kinds: [make: () => void, says: RegExp][] = [
    [
      () => {
        symlinkSync(join(folder, 'other'), part);
      },
      /f\.[0-9a-f]{32}\.part is a symbolic link: it is not written to\n$/,
    ],
    [
      () => {
        symlinkSync('nowhere', part);
      },
      /is a symbolic link/,
    ],
    [() => execFileSync('mkfifo', [part]), /is not a regular file/],
    [
      () => {
        mkdirSync(part);
      },
      /is not a regular file/,
    ],
    [
      () => {
        linkSync(join(folder, 'other'), part);
      },
      /has other names \(hard links\)/,
    ],
    [
      () => {
        writeFileSync(part, 'planted');
        chmodSync(part, 0o646);
      },
      /can be written to by other users/,
    ],
    [
      () => {
        writeFileSync(part, 'planted');
        chownSync(part, 12_345, 12_345);
      },
      /belongs to another user/,
    ],
  ];
  for (const [make, says] of kinds) {
    if (process.getuid?.() !== 0 && String(make).includes('chownSync')) continue;
    make();
    const before = lstatSync(part).mode;
    const { code, stderr } = await run('p2p-fetch', ['127.0.0.1:1', ABSENT, '-o', out]);
    t.equal(code, 1);
    t.match(stderr, says);
    t.equal(stderr.split('\n').length, 2, 'one line');
    t.equal(lstatSync(part).mode, before);
    execFileSync('rm', ['-r', part]);
  }
  t.equal(readFileSync(join(folder, 'other')).toString(), 'precious');
  t.notOk(existsSync(join(folder, 'nowhere')));
});

t.test('a peer that lies about the size of an empty or full file', async (t) => {
  const folder = t.testdir({ share: {}, out: {} });
  const content = random(2 * BLOCK_BYTES + 5);
  writeFiles(folder, { 'share/f': content });
  const node = await startIndexed(t, join(folder, 'share'));
  const peer = await connectTo(t, node);
  const hash = (await listOf(peer.search('')))[0]?.hash ?? '';
  const out = join(folder, 'out/f');
  for (const size of [0, 1, BLOCK_BYTES, content.length - 1, content.length + 1, 2 ** 53 - 1]) {
    const { address } = await startFake(t, (socket) => {
      const raw = new RawPeer(socket);
      void (async () => {
        for (let got = await raw.next(); got !== undefined; got = await raw.next()) {
          const { message, tag } = got;
          const info = { version: 1 };
          const pong = {
            type: 'ACKN',
            of: 'PING',
            info,
            files: 0,
            bytes: 0,
            state: 'ready',
          } as const;
          if (message.type === 'PING') raw.send(pong, tag);
          if (message.type !== 'RQFH') continue;
          const { offset = 0, length = Infinity } = message;
          const granted = Math.min(length, Math.max(0, size - offset));
          raw.send({ type: 'ACKN', of: 'RQFH', size, offset, length: granted }, tag);
          if (granted > 0) raw.raw(content);
        }
      })();
    });
    const liar = await connect(address);
    writeFileSync(partOf(out, hash), content.subarray(0, BLOCK_BYTES + 7));
    await t.rejects(fetchToFile(liar, hash, out, { ...FAST, retries: 3 }), {
      code: 'ERR_MISMATCH',
    });
    await liar.close();
    t.notOk(existsSync(out), `${size}`);
  }
  await fetchToFile(peer, hash, out);
  t.ok(readFileSync(out).equals(content));
});

t.test('into a fifo', async (t) => {
  const folder = t.testdir({ share: {} });
  const content = random(600_000);
  writeFiles(folder, { 'share/f': content });
  const node = await startIndexed(t, join(folder, 'share'));
  const peer = await connectTo(t, node);
  const hash = (await listOf(peer.search('')))[0]?.hash ?? '';
  const fifo = join(folder, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const cat = spawn('cat', [fifo], { stdio: ['ignore', 'pipe', 'inherit'] });
  const chunks: Buffer[] = [];
  cat.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const ended = once(cat, 'close');
  await fetchToFile(peer, hash, fifo);
  await ended;
  t.ok(Buffer.concat(chunks).equals(content));
  t.ok(statSync(fifo).isFIFO());
  t.same(readdirSync(folder).sort(), ['fifo', 'share']);
});
