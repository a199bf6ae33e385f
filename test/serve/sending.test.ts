/** Files on their way out, by sendfile(2) and as streams: the same of both. */
import { once } from 'node:events';
import {
  closeSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Writable } from 'node:stream';
import t from '../fixtures/tap.js';
import { hashStream } from '../../lib/hash/path.js';
import { loadKernel } from '../../lib/serve/sendfile.js';
import { BLOCK_BYTES, bodyBytes } from '../../lib/wire/body.js';
import { FrameDecoder } from '../../lib/wire/frame.js';
import { encodeMessage } from '../../lib/wire/messages.js';
import { pattern, random, seeded, writeFiles, writeLarge } from '../fixtures/bytes.js';
import { bytesOf, connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { connect as connectSocket, reset } from '../fixtures/socket.js';
import { OVER_TLS } from '../fixtures/transport.js';
import { FULL, size as sizeOf } from '../hostile/sizes.js';

const ABSENT = 'ab'.repeat(32);
const MiB = 2 ** 20;
/** Connections that are broken off, for each way of sending. */
const STORM = sizeOf(100, 5000);

async function hashOf(bytes: Buffer): Promise<string> {
  return hashStream(
    (async function* () {
      yield await Promise.resolve(bytes);
    })(),
  );
}

t.test('sendfile behind 4 GiB', async (t) => {
  const kernel = await loadKernel();
  if (kernel === undefined) return;
  const folder = t.testdir();
  const [from, to] = ['from', 'to'].map((name) => openSync(join(folder, name), 'w+')) as [
    number,
    number,
  ];
  writeSync(from, 'far behind', 5 * 2 ** 30);
  t.equal(kernel.sendfileNow(to, from, 5 * 2 ** 30, 4), 4);
  t.equal(await kernel.sendfile(to, from, 5 * 2 ** 30 + 4, 100), 6);
  t.equal(readFileSync(join(folder, 'to'), 'utf8'), 'far behind');
  for (const fd of [from, to]) closeSync(fd);
});

for (const sendfile of [true, false]) {
  t.test(sendfile ? 'by sendfile' : 'as a stream', (t) => {
    t.test('around 256 MiB, where the tree grows a level', async (t) => {
      const folder = t.testdir();
      for (const delta of FULL ? [-1, 0, 1] : sendfile ? [0, 1] : [1])
        writeLarge(join(folder, `m${delta}`), 256 * MiB + delta);
      const node = await startIndexed(t, folder, { sendfile });
      const peer = await connectTo(t, node);
      for await (const { hash, path, size } of peer.search('m')) {
        // Compared as it comes: neither side holds the file.
        const fd = openSync(join(folder, path), 'r');
        const mine = Buffer.alloc(4 * MiB);
        let bytes = 0;
        for await (const chunk of peer.fetch(hash) as AsyncIterable<Buffer>) {
          const n = readSync(fd, mine, 0, chunk.length, bytes);
          if (!mine.subarray(0, n).equals(chunk)) throw new Error(`differs behind ${bytes}`);
          bytes += chunk.length;
        }
        closeSync(fd);
        t.equal(bytes, size, path);
        const tail = await bytesOf(peer.fetch(hash, { offset: size - 3 }));
        t.equal(tail.length, 3);
      }
      rmSync(folder, { recursive: true });
    });

    t.test('ranges', async (t) => {
      const content = random(5 * BLOCK_BYTES + 99);
      const folder = t.testdir();
      writeFiles(folder, { f: content, empty: '' });
      const peer = await connectTo(t, await startIndexed(t, folder, { sendfile }));
      const hash = await hashOf(content);
      const next = seeded(1);
      const at = (): number => Math.floor(next() * content.length);
      for (let i = 0; i < sizeOf(20, 40); i++) {
        const [offset, end] = [at(), at()].sort((a, b) => a - b) as [number, number];
        const range = { offset, length: end - offset };
        const got = await bytesOf(peer.fetch(hash, range));
        if (!got.equals(content.subarray(offset, end))) t.fail(`${offset} to ${end}`);
      }
      const beyond = await bytesOf(peer.fetch(hash, { offset: content.length - 5, length: 500 }));
      t.ok(beyond.equals(content.subarray(-5)), 'clipped to the end');
      t.equal((await bytesOf(peer.fetch(hash, { offset: 7, length: 0 }))).length, 0);
      const empty = await hashOf(Buffer.alloc(0));
      t.equal((await bytesOf(peer.fetch(empty, { offset: 0 }))).length, 0, 'an empty file');
      for (const offset of [content.length, content.length + 1, Number.MAX_SAFE_INTEGER]) {
        await t.rejects(bytesOf(peer.fetch(hash, { offset })), { code: 'ERR_RANGE' }, `${offset}`);
      }
      t.throws(() => peer.fetch(hash, { offset: -1 }), { code: 'ERR_USAGE' });
      t.throws(() => peer.fetch('xyz'), { code: 'ERR_USAGE' });
    });

    t.test('a file that shrinks or changes while it is sent ends the connection', async (t) => {
      for (const change of ['shrink', 'overwrite'] as const) {
        const folder = t.testdir();
        const file = join(folder, 'f');
        writeLarge(file, 64 * MiB);
        const node = await startIndexed(t, folder, { sendfile });
        const peer = await connectTo(t, node);
        const [found] = await listOf(peer.search(''));
        const stream = peer.fetch(found?.hash ?? '');
        let bytes = 0;
        await t.rejects(
          pipeline(
            stream,
            new Writable({
              write(chunk: Buffer, _encoding, done) {
                if (bytes === 0) {
                  if (change === 'shrink') truncateSync(file, MiB);
                  else writeFileSync(file, pattern(64 * MiB), { flag: 'r+' });
                }
                bytes += chunk.length;
                done();
              },
            }),
          ),
          { code: change === 'shrink' ? 'ERR_CLOSED' : 'ERR_MISMATCH' },
          change,
        );
        t.ok(bytes < 64 * MiB);
      }
    });

    t.test('a reader that stops stops the disk', async (t) => {
      const folder = t.testdir();
      writeLarge(join(folder, 'f'), 128 * MiB);
      const node = await startIndexed(t, folder, { sendfile });
      const peer = await connectTo(t, node);
      const other = await connectTo(t, node);
      const [found] = await listOf(peer.search(''));
      const stream = peer.fetch(found?.hash ?? '');
      let bytes = 0;
      stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
      await once(stream, 'data');
      stream.pause();
      t.ok(bytes > 0);
      // Until nothing moves any more: the loop of pings gives both ends their turns.
      let read = -1;
      for (let same = 0; same < sizeOf(20, 50);) {
        await other.ping();
        same = node.stats.bytesRead === read ? same + 1 : 0;
        read = node.stats.bytesRead;
      }
      t.ok(read < 32 * MiB, `${read} bytes read of ${128 * MiB}`);
      stream.resume();
      await once(stream, 'end');
      t.equal(bytes, 128 * MiB, 'and goes on');
      // The last bytes are there before the call that sent them has told so.
      while (node.stats.sent === 0) await other.ping();
      t.equal(node.stats.bytesRead, 128 * MiB);
      rmSync(folder, { recursive: true });
    });

    t.test('given up in the middle', async (t) => {
      const folder = t.testdir();
      writeFiles(folder, { small: 'small' });
      writeLarge(join(folder, 'large'), 100 * MiB);
      const node = await startIndexed(t, folder, { sendfile });
      const peer = await connectTo(t, node);
      const [large, small] = await listOf(peer.search(''));
      const abort = new AbortController();
      const stream = peer.fetch(large?.hash ?? '', { signal: abort.signal });
      await once(stream, 'data');
      abort.abort();
      await t.rejects(once(stream, 'end'), { code: 'ERR_ABORTED' }, 'by a signal');
      t.equal((await bytesOf(peer.fetch(small?.hash ?? ''))).toString(), 'small', 'connects again');
      for await (const chunk of peer.fetch(large?.hash ?? '') as AsyncIterable<Buffer>) {
        t.ok(chunk.length > 0);
        break;
      }
      t.equal(
        (await bytesOf(peer.fetch(small?.hash ?? ''))).toString(),
        'small',
        'by leaving the loop',
      );
      const before = AbortSignal.abort();
      await t.rejects(bytesOf(peer.fetch(large?.hash ?? '', { signal: before })), {
        code: 'ERR_ABORTED',
      });
    });

    t.test('many requests at once, over a few connections', async (t) => {
      const folder = t.testdir();
      const contents = Array.from({ length: 300 }, (_, i) => random((i * 7919) % 700_000));
      writeFiles(folder, Object.fromEntries(contents.map((content, i) => [`f${i}`, content])));
      const node = await startIndexed(t, folder, { sendfile });
      const peer = await connectTo(t, node);
      const hashes = await Promise.all(contents.map(hashOf));
      const ended: number[] = [];
      // More than one connection may have unanswered: the rest waits its turn.
      const wanted = hashes;
      const got = await Promise.all(
        wanted.map(async (hash, i) => {
          const bytes = await bytesOf(peer.fetch(hash));
          ended.push(i);
          return bytes;
        }),
      );
      t.ok(got.every((bytes, i) => bytes.equals(contents[i] ?? Buffer.alloc(0))));
      t.ok(node.stats.connections <= 33, `${node.stats.connections} connections`);
      const absent = await Promise.allSettled([
        bytesOf(peer.fetch(ABSENT)),
        bytesOf(peer.fetch(hashes[5] ?? '')),
        bytesOf(peer.fetch(ABSENT)),
        bytesOf(peer.fetch(hashes[6] ?? '')),
      ]);
      t.same(
        absent.map(({ status }) => status),
        ['rejected', 'fulfilled', 'rejected', 'fulfilled'],
      );
    });
    t.test('which way it was', async (t) => {
      const folder = t.testdir();
      writeLarge(join(folder, 'f'), 20 * MiB);
      const node = await startIndexed(t, folder, { sendfile });
      const peer = await connectTo(t, node);
      const [found] = await listOf(peer.search(''));
      t.equal((await bytesOf(peer.fetch(found?.hash ?? ''))).length, 20 * MiB);
      const there = (await loadKernel()) !== undefined;
      if (process.platform === 'linux') t.ok(there, 'koffi is installed');
      // The last bytes are there before the call that sent them has told so.
      while (node.stats.sent === 0) await peer.ping();
      const { bytesRead, zeroCopied } = node.stats;
      t.equal(bytesRead, 20 * MiB);
      // What TLS encrypts is copied for that.
      if (sendfile && there && !OVER_TLS) {
        t.ok(zeroCopied > 10 * MiB, `${zeroCopied} bytes without a copy`);
      } else {
        t.equal(zeroCopied, 0);
      }
    });

    t.test('nothing follows a gap when the connection is destroyed', async (t) => {
      const folder = t.testdir();
      const content = marked(7, 24 * MiB);
      writeFileSync(join(folder, 'f'), content);
      const lists = bodyBytes(content.length, 0, content.length) - content.length;
      for (let run = 0; run < 6; run++) {
        const node = await startIndexed(t, folder, { sendfile });
        const peer = await connectTo(t, node);
        const [found] = await listOf(peer.search(''));
        const socket = connectSocket(node.address);
        socket.on('error', () => undefined);
        socket.write(encodeMessage({ type: 'RQFH', hash: found?.hash ?? '' }, 1));
        // Until all buffers are full: the sender waits in the middle of a write.
        let sent = -1;
        for (let same = 0; same < sizeOf(12, 30);) {
          await peer.ping();
          // The buffers hold more than 1 MiB: with less, the disk is slow, and nothing is full.
          same = sent > MiB && node.stats.bytesRead === sent ? same + 1 : 0;
          sent = node.stats.bytesRead;
        }
        // Destroyed while there is room again that the sender has not been told of.
        let closed: Promise<void> | undefined;
        const chunks: Buffer[] = [];
        for await (const chunk of socket as AsyncIterable<Buffer>) {
          chunks.push(chunk);
          if (chunks.length > run * 4) closed ??= node.close();
        }
        await closed;
        const got = Buffer.concat(chunks);
        const { used } = new FrameDecoder().write(got);
        const body = got.subarray(used + lists);
        t.ok(body.length > MiB && body.length < content.length, `${body.length} bytes`);
        t.ok(content.subarray(0, body.length).equals(body), 'up to the end they are right');
      }
    });

    t.test('nobody gets a byte meant for another', async (t) => {
      const folder = t.testdir();
      const files = 24;
      const size = MiB + 1000;
      const contents = Array.from({ length: files }, (_, i) => marked(i, size));
      for (const [i, content] of contents.entries()) writeFileSync(join(folder, `f${i}`), content);
      const node = await startIndexed(t, folder, { sendfile });
      const peer = await connectTo(t, node);
      const hashes = new Map<number, string>();
      for (const { path, hash } of await listOf(peer.search(''))) {
        hashes.set(Number(path.slice(1)), hash);
      }
      const next = seeded(sendfile ? 5 : 6);
      const lists = bodyBytes(size, 0, size) - size;
      let broken = 0;
      let bytes = 0;
      // Each reads some of its file and goes, mostly while the other side is in the middle of a call;
      // the next one gets the descriptor's number.
      const client = async (): Promise<void> => {
        while (broken < STORM) {
          broken++;
          const i = Math.floor(next() * files);
          const got = await readSome(node.address, hashes.get(i) ?? '', lists, next() * size);
          bytes += got.length;
          if (contents[i]?.subarray(0, got.length).equals(got) !== true)
            t.fail(`a wrong byte of file ${i}`);
        }
      };
      await Promise.all(Array.from({ length: 40 }, client));
      t.comment(`${broken} broken off after ${bytes} bytes`);
      t.ok(bytes > (STORM * size) / 4);
      const last = hashes.get(3) ?? '';
      t.ok((await bytesOf(peer.fetch(last))).equals(marked(3, size)), 'served as before');
      // All that was duplicated is closed again.
      while (node.stats.openConnections > 1) await peer.ping();
      const descriptors = readdirSync('/proc/self/fd').length;
      for (let i = 0; i < 40; i++) await readSome(node.address, last, lists, size / 2);
      while (node.stats.openConnections > 1) await peer.ping();
      t.ok(readdirSync('/proc/self/fd').length < descriptors + 20, 'no descriptor is left open');
    });
    t.end();
  });
}

/** Bytes of which each 8 say which file they are of, and where they stand. */
function marked(file: number, size: number): Buffer {
  const words = new Uint32Array(Math.ceil(size / 8) * 2);
  for (let i = 0; i < words.length; i += 2) {
    words[i] = file;
    words[i + 1] = i;
  }
  return Buffer.from(words.buffer, 0, size);
}

/** Ask for a file, take about so many bytes of it, and break off. */
async function readSome(
  address: { host: string; port: number },
  hash: string,
  lists: number,
  bytes: number,
): Promise<Buffer> {
  const socket = connectSocket(address);
  socket.on('error', () => undefined);
  socket.write(encodeMessage({ type: 'RQFH', hash }, 1));
  const decoder = new FrameDecoder();
  const chunks: Buffer[] = [];
  let have = -lists;
  let head = true;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    let rest = chunk;
    if (head) {
      const { used, frame } = decoder.write(chunk);
      if (frame === undefined) continue;
      if (frame.id !== 'ACKN') throw new Error(`got ${frame.id}`);
      head = false;
      rest = chunk.subarray(used);
    }
    chunks.push(rest);
    have += rest.length;
    if (have >= bytes) break;
  }
  reset(socket);
  return Buffer.concat(chunks).subarray(lists);
}
