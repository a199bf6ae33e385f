/** One file from many real peers, over real sockets: throttled, lying, stalling, lost ones among them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ThrottledRelay, type Faults } from '../bench/throttled-relay.js';
import { fetchFromMany, type FetchManyOptions } from '../lib/fetch-many.js';
import type { PeerAddress } from '../lib/net/address.js';
import { formatAddress } from '../lib/net/address.js';
import type { SourceNews } from '../lib/transfer/download/news.js';
import type { ByteSink } from '../lib/transfer/receive.js';
import { BLOCK_BYTES } from '../lib/wire/body.js';
import { writeLarge } from './fixtures/bytes.js';
import { connectTo, listOf, startIndexed } from './fixtures/node.js';

const SIZE = 60 * BLOCK_BYTES + 1000;
/** Bytes a second of a source that is slow enough for the others to be faster. */
const SLOW = 2_000_000;

interface Shared {
  hash: string;
  content: Buffer;
  address: PeerAddress;
}

async function share(t: Test, size = SIZE): Promise<Shared> {
  const folder = t.testdir();
  writeLarge(join(folder, 'f'), size);
  const node = await startIndexed(t, folder, { workers: false });
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
): Promise<{ memory: Memory; counts: number[]; again: number; news: SourceNews[] }> {
  const memory = new Memory(content.length);
  const news: SourceNews[] = [];
  const summary = await fetchFromMany(hash, peers, memory, {
    onSource: (one) => news.push(one),
    ...options,
  });
  const counts = summary.map(({ blocks }) => blocks);
  return { memory, counts, again: summary.reduce((n, { again }) => n + again, 0), news };
}

for (const order of ['file', 'any'] as const) {
  t.test(`${order}: all at once, the fastest gives most`, async (t) => {
    const shared = await share(t);
    const slow = await relay(t, shared.address, { rate: SLOW });
    const medium = await relay(t, shared.address, { rate: 4 * SLOW });
    const fast = await relay(t, shared.address, { rate: 16 * SLOW });
    const peers = [slow.at, medium.at, fast.at];
    const { memory, counts, again } = await fetch(shared, peers, { order });
    t.ok(memory.bytes.equals(shared.content));
    t.equal(memory.written, SIZE, 'every byte once');
    if (order === 'file') t.ok(memory.inOrder);
    const [a = 0, b = 0, c = 0] = counts;
    t.equal(a + b + c, 61);
    t.ok(a >= 1 && a < c && b >= 1 && b < c, `${a} < ${b} < ${c}`);
    t.comment(counts, again);
  });

  t.test(`${order}: who lies is dropped and named, what was right of it counts`, async (t) => {
    const shared = await share(t);
    const liar = await relay(t, shared.address, { lieEvery: 5 * BLOCK_BYTES });
    const honest = await relay(t, shared.address, { rate: 16 * SLOW });
    const { memory, counts, news } = await fetch(shared, [liar.at, honest.at], { order });
    t.ok(memory.bytes.equals(shared.content));
    t.equal(memory.written, SIZE);
    t.match(
      news.filter(({ state }) => state === 'lied'),
      [{ peer: liar.name, error: { code: 'ERR_MISMATCH' } }],
    );
    t.equal(liar.relay.connections, 1, 'it is not asked again');
    t.ok((counts[0] ?? 0) > 0 && (counts[0] ?? 0) < 6, `${counts[0] ?? 0} blocks were right`);
  });

  t.test(`${order}: who stalls is replaced, and may come back`, async (t) => {
    const shared = await share(t);
    const stalls = await relay(t, shared.address, { rate: 4 * SLOW, stallAfter: 5 * BLOCK_BYTES });
    const other = await relay(t, shared.address, { rate: 8 * SLOW });
    const { memory, news } = await fetch(shared, [stalls.at, other.at], {
      order,
      stallTimeout: 300,
      onSource: undefined,
    });
    t.ok(memory.bytes.equals(shared.content));
    t.equal(memory.written, SIZE);
    t.same(news, []);
  });
}

t.test('everybody lies: ERR_MISMATCH, and what came out is right', async (t) => {
  const shared = await share(t);
  const liars = [
    await relay(t, shared.address, { lieEvery: 7 * BLOCK_BYTES }),
    await relay(t, shared.address, { lieEvery: 9 * BLOCK_BYTES }),
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
