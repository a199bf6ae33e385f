/** One file from many real peers, over real sockets: throttled, lying, stalling, lost ones among them. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectSocket, createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from '../../fixtures/tap.js';
import { ThrottledRelay, type Faults } from '../../fixtures/throttled-relay.js';
import { ManyPeers, type FetchManyOptions } from '../../../lib/fetch/sources/fetch-many.js';
import { TreeHasher, listBytes } from '../../../lib/hash/tree.js';
import { formatAddress, type PeerAddress } from '../../../lib/net/address.js';
import { Connection, type RequestHandler } from '../../../lib/net/connection.js';
import { BlockSet } from '../../../lib/fetch/block-set.js';
import type { SourceEvent } from '../../../lib/fetch/sources/events.js';
import type { ByteSink } from '../../../lib/fetch/receive/body-receiver.js';
import { grantRange } from '../../../lib/wire/range.js';
import { BLOCK_BYTES, bodyParts } from '../../../lib/wire/body.js';
import { encodeMessage, type FileHead } from '../../../lib/wire/messages.js';
import { writeLarge } from '../../fixtures/bytes.js';
import { provableId } from '../../fixtures/certificates.js';
import { connectTo, listOf, startIndexed, stateOf } from '../../fixtures/node.js';
import { startFake } from '../../fixtures/raw.js';
import { TRANSPORT, fetchFromMany } from '../../fixtures/transport.js';

const BLOCKS = 41;
const SIZE = 40 * BLOCK_BYTES + 1000;
/** Bytes a second of a source that is slow enough for the others to be faster. */
const SLOW = 4_000_000;

/** The id of the peer that shares. */
const SHARER = provableId(1);

interface Shared {
  hash: string;
  content: Buffer;
  address: PeerAddress;
}

async function share(t: Test, size = SIZE): Promise<Shared> {
  const folder = join(t.testdir({ share: {}, empty: {} }), 'share');
  writeLarge(join(folder, 'f'), size);
  const node = await startIndexed(t, folder, { workers: false, state: stateOf(t, SHARER) });
  const [found] = await listOf((await connectTo(t, node)).search(''));
  return {
    hash: found?.hash ?? '',
    content: readFileSync(join(folder, 'f')),
    address: node.address,
  };
}

async function relay(
  t: Test,
  target: PeerAddress,
  faults: Faults = {},
): Promise<{ relay: ThrottledRelay; at: PeerAddress; name: string }> {
  const relay = new ThrottledRelay(target, faults);
  const at = await relay.listen();
  t.teardown(() => relay.close());
  return { relay, at, name: formatAddress(at) };
}

/** A peer that says the file has `claim` bytes, and gives of the true tree what fits that. */
async function startLiar(t: Test, content: Buffer, claim: number): Promise<PeerAddress> {
  const tree = new TreeHasher().update(content).digest();
  const handler: RequestHandler = async (request, exchange) => {
    if (request.type === 'PING') {
      const info = { version: 1 };
      exchange.send({ type: 'ACKN', of: 'PING', info, files: 1, bytes: claim, state: 'ready' });
    } else if (request.type === 'RQFH') {
      const range = grantRange(request, claim);
      await exchange.sendBody({ type: 'ACKN', of: 'RQFH', size: claim, ...range }, (socket) => {
        for (const part of bodyParts(claim, range.offset, range.length)) {
          const bytes = Buffer.alloc(part.bytes);
          const begin = part.kind === 'list' ? 0 : part.first * BLOCK_BYTES;
          const from =
            part.kind === 'list'
              ? listBytes(tree, part.level, part.index)
              : content.subarray(begin);
          bytes.set(from.subarray(0, part.bytes));
          socket.write(bytes);
        }
        return Promise.resolve();
      });
    }
  };
  const { address } = await startFake(t, (socket) => {
    new Connection(socket, { handler, name: 'client', answerTimeout: 30_000 }).readEvents();
  });
  return address;
}

/** Keeps what is written, and whether it came in order. */
class Memory implements ByteSink {
  readonly bytes: Buffer;
  inOrder = true;
  written = 0;
  readonly #base: number;

  constructor(length: number, base = 0) {
    this.bytes = Buffer.alloc(length);
    this.#base = base;
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    if (position !== this.#base + this.written) this.inOrder = false;
    this.bytes.set(bytes, position - this.#base);
    this.written += bytes.length;
    return Promise.resolve();
  }
}

async function fetch(
  { hash, content }: Shared,
  peers: readonly PeerAddress[],
  options: FetchManyOptions = {},
): Promise<{ memory: Memory; counts: number[]; again: number; events: SourceEvent[] }> {
  const memory = new Memory(content.length);
  const events: SourceEvent[] = [];
  const summary = await fetchFromMany(hash, peers, memory, {
    onSource: (one) => events.push(one),
    ...options,
  });
  const counts = summary.map(({ blocks }) => blocks);
  return {
    memory,
    counts,
    again: summary.reduce((n, { duplicates }) => n + duplicates, 0),
    events,
  };
}

for (const order of ['file', 'any'] as const) {
  t.test(`${order}: all at once, the fastest gives most`, async (t) => {
    const shared = await share(t);
    // So slow that a busy machine keeps up.
    const slow = await relay(t, shared.address, { rate: SLOW / 4 });
    const medium = await relay(t, shared.address, { rate: SLOW });
    const fast = await relay(t, shared.address, { rate: 5 * SLOW });
    const peers = [slow.at, medium.at, fast.at];
    const { memory, counts, again } = await fetch(shared, peers, { order });
    t.ok(memory.bytes.equals(shared.content));
    t.equal(memory.written, SIZE, 'every byte once');
    if (order === 'file') t.ok(memory.inOrder);
    const [a = 0, b = 0, c = 0] = counts;
    t.equal(a + b + c, BLOCKS);
    t.ok(a >= 1 && a < c && b >= 1 && b < c, `${a} < ${b} < ${c}`);
    t.comment(counts, again);
  });

  t.test(
    `${order}: a source that lies is dropped and named, what was right of it counts`,
    async (t) => {
      const shared = await share(t);
      const liar = await relay(t, shared.address, { as: SHARER, lieEvery: 5 * BLOCK_BYTES });
      const honest = await relay(t, shared.address, { rate: 16 * SLOW });
      const { memory, counts, events } = await fetch(shared, [liar.at, honest.at], { order });
      t.ok(memory.bytes.equals(shared.content));
      t.equal(memory.written, SIZE);
      t.match(
        events.filter(({ state }) => state === 'lied'),
        [{ peer: liar.name, error: { code: 'ERR_MISMATCH' } }],
      );
      t.equal(liar.relay.connections, 1, 'it is not asked again');
      t.ok((counts[0] ?? 0) > 0 && (counts[0] ?? 0) < 6, `${counts[0] ?? 0} blocks were right`);
    },
  );

  t.test(`${order}: a source that stalls is replaced`, async (t) => {
    const shared = await share(t);
    const stalls = await relay(t, shared.address, { rate: 16 * SLOW, stallAfter: 9 * BLOCK_BYTES });
    const other = await relay(t, shared.address, { rate: 4 * SLOW });
    const { memory, counts, events } = await fetch(shared, [stalls.at, other.at], {
      order,
      stallTimeout: 200,
    });
    t.ok(memory.bytes.equals(shared.content));
    t.equal(memory.written, SIZE);
    t.ok((counts[0] ?? 0) > 0 && (counts[0] ?? 0) < 10);
    t.ok(events.some(({ peer, state }) => peer === stalls.name && state === 'stalled'));
    t.notOk(events.some(({ peer, state }) => peer === other.name && state !== 'ready'));
  });

  t.test(`${order}: a source that is cut off is connected again`, async (t) => {
    const shared = await share(t);
    const cut = await relay(t, shared.address, { rate: 8 * SLOW });
    const other = await relay(t, shared.address, { rate: SLOW });
    let blocks = 0;
    const memory = new Memory(SIZE);
    const events: SourceEvent[] = [];
    await fetchFromMany(
      shared.hash,
      [cut.at, other.at],
      {
        write: (bytes, position) => {
          if (++blocks === 8) cut.relay.cut();
          return memory.write(bytes, position);
        },
      },
      { order, onSource: (one) => events.push(one) },
    );
    t.ok(memory.bytes.equals(shared.content));
    t.equal(memory.written, SIZE);
    t.equal(cut.relay.connections, 2);
    t.match(
      events.filter(({ peer }) => peer === cut.name).map(({ state }) => state),
      ['ready', 'lost', 'ready'],
    );
  });

  t.test(`${order}: a range, of which the ends are parts of blocks`, async (t) => {
    const shared = await share(t);
    const [offset, length] = [3 * BLOCK_BYTES + 77, 20 * BLOCK_BYTES + 5];
    const memory = new Memory(length, offset);
    const peers = [await relay(t, shared.address), await relay(t, shared.address)];
    const heads: FileHead[] = [];
    await fetchFromMany(
      shared.hash,
      peers.map(({ at }) => at),
      memory,
      { order, offset, length, onHead: (head) => heads.push(head) },
    );
    t.ok(memory.bytes.equals(shared.content.subarray(offset, offset + length)));
    t.equal(memory.written, length);
    t.match(heads, [{ size: SIZE, offset, length }]);
    await t.rejects(
      fetchFromMany(
        shared.hash,
        peers.map(({ at }) => at),
        memory,
        { order, offset: SIZE + 1 },
      ),
      { code: 'ERR_RANGE' },
    );
  });

  t.test(`${order}: a lie about the size is found out, whichever source is first`, async (t) => {
    const shared = await share(t);
    // One that a list shows to be wrong, one that only the last block does, an empty file.
    for (const claim of [SIZE - 1000, SIZE - 1, 0]) {
      const liar = await startLiar(t, shared.content, claim);
      const honest = await relay(t, shared.address, { rate: 50 * SLOW });
      for (const peers of [
        [liar, honest.at],
        [honest.at, liar],
      ]) {
        const { memory, events } = await fetch(shared, peers, { order });
        t.ok(memory.bytes.equals(shared.content));
        t.equal(memory.written, SIZE, `claims ${claim}`);
        t.same(
          events.filter(({ state }) => state === 'lied').map(({ peer }) => peer),
          [formatAddress(liar)],
        );
      }
    }
  });
}

t.test('a source with nothing to give is skipped, and says why when none has', async (t) => {
  const shared = await share(t);
  const empty = await startIndexed(t, join(t.testdirName, 'empty'), { workers: false });
  const nobody = await relay(t, shared.address);
  await nobody.relay.close();
  const peers = [empty.address, nobody.at];
  await t.rejects(fetchFromMany(shared.hash, peers, new Memory(0)), {
    code: 'ERR_NOT_FOUND',
    message: /no file with this hash; no source is left of 2$/,
  });
  await t.rejects(fetchFromMany(shared.hash, [nobody.at], new Memory(0)), {
    code: 'ERR_UNREACHABLE',
  });
  await t.rejects(fetchFromMany(shared.hash, [], new Memory(0)), { code: 'ERR_NOT_FOUND' });
  await t.rejects(fetchFromMany(shared.hash, ['no host!'], new Memory(0)), { code: 'ERR_USAGE' });
  const { memory } = await fetch(shared, [...peers, shared.address]);
  t.ok(memory.bytes.equals(shared.content));
});

t.test('what is there is not fetched; one after the other over the same connections', async (t) => {
  const shared = await share(t);
  const one = await relay(t, shared.address);
  const many = new ManyPeers([one.at], TRANSPORT);
  t.teardown(() => many.close());
  const have = new BlockSet(BLOCKS);
  for (let block = 0; block < BLOCKS; block++) if (block % 3 > 0) have.add(block);
  const memory = new Memory(SIZE);
  await many.fetchBlocks(shared.hash, memory, { have });
  t.equal(memory.written, 14 * BLOCK_BYTES, 'every third block');
  const at = 30 * BLOCK_BYTES;
  const wanted = shared.content.subarray(at, at + BLOCK_BYTES);
  t.ok(memory.bytes.subarray(at, at + BLOCK_BYTES).equals(wanted));
  let size = 0;
  await many.fetchTo(shared.hash, memory, { length: 0, onHead: (head) => (size = head.size) });
  t.equal(size, SIZE);
  t.equal(one.relay.connections, 1);
  t.same(many.summary, [{ peer: one.name, blocks: 14, duplicates: 0 }]);
});

t.test('a sink that fails, and a caller that gives up', async (t) => {
  const shared = await share(t);
  const full = new Error('the disk is full');
  await t.rejects(
    fetchFromMany(shared.hash, [shared.address], { write: () => Promise.reject(full) }),
    full,
  );
  const cancel = new AbortController();
  const sink: ByteSink = {
    write: () => {
      cancel.abort();
      return Promise.resolve();
    },
  };
  await t.rejects(fetchFromMany(shared.hash, [shared.address], sink, { signal: cancel.signal }), {
    code: 'ERR_ABORTED',
  });
  await t.rejects(fetchFromMany(shared.hash, [shared.address], sink, { signal: cancel.signal }), {
    code: 'ERR_ABORTED',
  });
});

t.test('what a callback throws ends its own download, and no source takes the blame', async (t) => {
  const shared = await share(t);
  const many = new ManyPeers([shared.address], {
    ...TRANSPORT,
    onSource: ({ state }) => {
      t.equal(state, 'ready');
      if (failing) fail();
    },
  });
  const mine = new TypeError('mine');
  const fail = (): never => {
    throw mine;
  };
  let failing = false;
  const memory = new Memory(SIZE);
  await t.rejects(many.fetchTo(shared.hash, memory, { onHead: fail }), mine);
  await t.rejects(many.fetchTo(shared.hash, memory, { onList: fail }), mine);
  failing = true;
  await t.rejects(many.fetchTo(shared.hash, memory), mine);
  failing = false;
  const last = many.fetchTo(shared.hash, memory);
  await many.close();
  await last;
  t.ok(memory.bytes.equals(shared.content), 'close lets a download end');
  await t.rejects(many.fetchTo(shared.hash, memory), { code: 'ERR_CLOSED' });
});

t.test('a peer that never closes its side is not waited for', async (t) => {
  const shared = await share(t);
  const far = connectSocket(shared.address);
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    far.destroy();
  });
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'connection').then(([near]: Socket[]) => {
    if (near === undefined) throw new Error('no connection');
    // But not the end.
    near.pipe(far, { end: false });
    far.pipe(near, { end: false });
    near.on('error', () => undefined);
    return near;
  });
  const { memory } = await fetch(shared, [{ host: '127.0.0.1', port }]);
  t.ok(memory.bytes.equals(shared.content));
  const near = await accepted;
  // That the other side is gone shows when something is sent.
  const ping = encodeMessage({ type: 'PING', info: { version: 1 } }, 7);
  const timer = setInterval(() => near.write(ping), 20);
  t.teardown(() => {
    clearInterval(timer);
    near.destroy();
  });
  // Not `once` of node:events, for which the error that tells it is one.
  await new Promise((resolve) => near.once('close', resolve));
  t.ok(near.destroyed);
});

t.test('in order, a slow sink: memory is bounded', async (t) => {
  const shared = await share(t);
  const peers = [await relay(t, shared.address), await relay(t, shared.address)];
  let passed = 0;
  let written = 0;
  let most = 0;
  const sink: ByteSink = {
    write: async (bytes) => {
      await new Promise(setImmediate);
      passed = peers.reduce((n, { relay }) => n + relay.passed, 0);
      most = Math.max(most, passed - written);
      written += bytes.length;
    },
  };
  await fetchFromMany(
    shared.hash,
    peers.map(({ at }) => at),
    sink,
    { window: 8 * BLOCK_BYTES },
  );
  t.equal(written, SIZE);
  // The window, lists, and what is under way in sockets.
  t.ok(most < 20 * BLOCK_BYTES, `${most} bytes`);
});

t.test('everybody lies: ERR_MISMATCH, and what came out is right', async (t) => {
  const shared = await share(t);
  const liars = [
    await relay(t, shared.address, { as: SHARER, lieEvery: 7 * BLOCK_BYTES }),
    await relay(t, shared.address, { as: SHARER, lieEvery: 9 * BLOCK_BYTES }),
  ];
  const memory = new Memory(SIZE);
  await t.rejects(
    fetchFromMany(
      shared.hash,
      liars.map(({ at }) => at),
      memory,
    ),
    { code: 'ERR_MISMATCH', message: /no source is left of 2/ },
  );
  t.ok(memory.inOrder && memory.written > 0);
  t.ok(memory.bytes.subarray(0, memory.written).equals(shared.content.subarray(0, memory.written)));
});

t.test('a search that names many ports of one host has few of them dialled', async (t) => {
  let dialled = 0;
  const servers = Array.from({ length: 12 }, () =>
    createServer((socket) => {
      dialled++;
      socket.destroy();
    }).listen(0, '127.0.0.9'),
  );
  await Promise.all(servers.map((server) => once(server, 'listening')));
  t.teardown(() => {
    for (const server of servers) server.close();
  });
  const named = servers.map((server, i) => ({
    id: String(i).padStart(64, '0'),
    host: '127.0.0.9',
    port: (server.address() as AddressInfo).port,
  }));
  const began = performance.now();
  const sink = { write: () => Promise.resolve() };
  await t.rejects(fetchFromMany('0'.repeat(64), named, sink));
  const most = 3 + Math.ceil((performance.now() - began) / 1000);
  t.ok(dialled > 0 && dialled <= most, `${dialled} of 12, at most ${most}`);
});
