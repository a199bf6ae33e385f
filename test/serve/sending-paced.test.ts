/** What goes out under a rate: no piece larger than the rate allows, and all in the right order. And by which thread. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from '../fixtures/tap.js';
import { TreeHasher, listBytes } from '../../lib/hash/tree.js';
import type { Exchange } from '../../lib/net/exchange.js';
import { Outbound } from '../../lib/net/outbound.js';
import { identityOf } from '../../lib/disk/open.js';
import { ByteBudget } from '../../lib/limits/byte-budget.js';
import type { ClientRate } from '../../lib/limits/rate-limiter.js';
import { ZeroCopySender } from '../../lib/serve/range-sender.js';
import { sendInPieces } from '../../lib/serve/send-file.js';
import { loadKernel, type Kernel } from '../../lib/serve/sendfile.js';
import { BLOCK_BYTES, bodyParts } from '../../lib/wire/body.js';
import { random } from '../fixtures/bytes.js';

const PIECE = 50_000;

async function socketPair(t: Test): Promise<{ near: Socket; far: Socket }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const far = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [near] = (await once(server, 'connection')) as [Socket];
  t.teardown(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far };
}

for (const zeroCopy of [true, false]) {
  for (const size of [1000, BLOCK_BYTES - 1, 2 * BLOCK_BYTES - 100, 5 * BLOCK_BYTES + 1]) {
    t.test(`${size} bytes, ${zeroCopy ? 'by sendfile' : 'as a stream'}`, async (t) => {
      const content = random(size);
      const file = join(t.testdir(), 'f');
      writeFileSync(file, content);
      const handle = await open(file);
      t.teardown(() => handle.close());
      const tree = new TreeHasher().update(content).digest();
      const { near, far } = await socketPair(t);
      const account = new ByteBudget().account('test');
      const outbound = new Outbound(near, {
        account,
        onWrite: () => undefined,
        onSent: () => undefined,
      });
      const head = Buffer.from('the head');
      const exchange = {
        account,
        closed: new AbortController().signal,
        sendBody: (_head, write) => outbound.frameAndBody(head, write),
      } satisfies Partial<Exchange>;
      const taken: number[] = [];
      const rate: ClientRate = {
        pieceBytes: PIECE,
        take: (bytes) => {
          taken.push(bytes);
          return Promise.resolve();
        },
      };
      const expected: Uint8Array[] = [head];
      for (const part of bodyParts(size, 0, size)) {
        const begin = part.kind === 'blocks' ? part.first * BLOCK_BYTES : 0;
        expected.push(
          part.kind === 'list'
            ? listBytes(tree, part.level, part.index)
            : content.subarray(begin, begin + part.bytes),
        );
      }
      const chunks: Buffer[] = [];
      far.on('data', (chunk: Buffer) => chunks.push(chunk));
      const identity = identityOf(await handle.stat({ bigint: true }));
      const lists = { list: (level: number, index: number) => listBytes(tree, level, index) };
      await sendInPieces(
        exchange as unknown as Exchange,
        { type: 'ACKN', of: 'RQFH', size, offset: 0, length: size },
        { handle, identity, lists },
        { zeroCopy, crowded: false, rate, onBytes: () => undefined },
      );
      near.end();
      await once(far, 'end');
      t.ok(Buffer.concat(chunks).equals(Buffer.concat(expected)));
      t.ok(Math.max(...taken) <= PIECE, String(taken));
      const bytes = Buffer.concat(expected).length - head.length;
      t.equal(
        taken.reduce((sum, n) => sum + n, 0),
        bytes,
      );
    });
  }
}

t.test(
  'what is in memory is moved by this thread alone, and other work has its turn',
  async (t) => {
    const kernel = await loadKernel();
    if (kernel === undefined) {
      t.pass('there is no sendfile here');
      return;
    }
    const content = random(12 * 1024 * 1024);
    const file = join(t.testdir(), 'f');
    writeFileSync(file, content);
    const handle = await open(file);
    t.teardown(() => handle.close());
    const { near, far } = await socketPair(t);
    const chunks: Buffer[] = [];
    far.on('data', (chunk: Buffer) => chunks.push(chunk));
    let turns = 0;
    let turn = setImmediate(function count() {
      turns++;
      turn = setImmediate(count);
    });
    const moves: number[] = [];
    const watched: Kernel = {
      ...kernel,
      isCached: () => true,
      sendfile: () => Promise.reject(new Error('another thread was told')),
      sendfileNow: (to, from, position, count) => {
        moves.push(turns);
        return kernel.sendfileNow(to, from, position, count);
      },
    };
    const sender = ZeroCopySender.open(watched, {
      handle,
      socket: near,
      closed: new AbortController().signal,
      account: new ByteBudget().account('test'),
      onBytes: () => undefined,
    });
    await sender?.send(0, content.length);
    clearImmediate(turn);
    sender?.close();
    near.end();
    await once(far, 'end');
    t.ok(Buffer.concat(chunks).equals(content));
    for (const now of new Set(moves)) {
      const most = moves.filter((at) => at === now).length;
      t.ok(most <= 8, `${most} calls in one turn`);
    }
  },
);
