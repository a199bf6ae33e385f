/** Calls of one Peer: whatever a program does with it, they neither delay nor end one another. */
import { once } from 'node:events';
import { connect as connectSocket, type Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Writable } from 'node:stream';
import t from '../fixtures/tap.js';
import { isTransient } from '../../lib/errors.js';
import { Peer } from '../../lib/fetch/peer.js';
import { hashBlock } from '../../lib/hash/blake3.js';
import type { PeerAddress } from '../../lib/net/address.js';
import type { PeerNode } from '../../lib/node.js';
import { FrameDecoder } from '../../lib/wire/frame.js';
import type { FileMatch, Pong } from '../../lib/wire/messages.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { startCountingRelay } from '../fixtures/counting-relay.js';
import { provableId } from '../fixtures/certificates.js';
import { bytesOf, connectTo, listOf, startIndexed, stateOf } from '../fixtures/node.js';
import { RawPeer, startFake } from '../fixtures/raw.js';
import { TRANSPORTS, connect } from '../fixtures/transport.js';

const MiB = 1024 * 1024;
const LARGE = random(12 * MiB);
/** The id of the node. */
const SHARER = provableId(1);

type Test = Pick<typeof t, 'testdir' | 'teardown'>;

interface Started {
  node: PeerNode;
  peer: Peer;
  /** Hash of the large file. */
  large: string;
  small: readonly FileMatch[];
}

/** A node with files of 12 MiB (`large`), and 100 bytes (`small0`, ...). */
async function start(t: Test, tls = false): Promise<Started> {
  const folder = t.testdir({ share: {} });
  const small = Array.from({ length: 20 }, (_, i) => [`share/small${i}`, random(100)] as const);
  writeFiles(folder, { 'share/large': LARGE, ...Object.fromEntries(small) });
  const state = stateOf(t, SHARER);
  const node = await startIndexed(t, join(folder, 'share'), { workers: false, state });
  const peer = await connectTo(t, node, { tls });
  const files = await listOf(peer.search(''));
  const large = files.find(({ path }) => path === 'large')?.hash ?? '';
  return { node, peer, large, small: files.filter(({ path }) => path.startsWith('small')) };
}

/** Pings until it is known that the last connection was lost. */
async function pingAgain(peer: Peer): Promise<Pong> {
  for (;;) {
    try {
      return await peer.ping();
    } catch (error) {
      if (!isTransient(error)) throw error;
    }
  }
}

const first = (files: readonly FileMatch[]): string => files[0]?.hash ?? '';

for (const { transport, tls } of TRANSPORTS) {
  t.test(`${transport}: a stream whose reader makes other calls`, async (t) => {
    const { peer, large, small } = await start(t, tls);
    let bytes = 0;
    for await (const chunk of peer.fetch(large) as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      await peer.ping();
      if (bytes === chunk.length) {
        t.equal((await bytesOf(peer.fetch(first(small)))).length, 100, 'another stream');
        t.equal((await peer.fetchSmall(first(small), 100)).length, 100, 'a small file');
        t.equal((await listOf(peer.search('small'))).length, 20, 'a search');
      }
    }
    t.equal(bytes, LARGE.length);
  });
}

for (const { transport, tls } of TRANSPORTS) {
  t.test(`${transport}: more streams than connections, each read a piece at a time`, async (t) => {
    const { peer, large } = await start(t, tls);
    const streams = Array.from({ length: 7 }, () => peer.fetch(large).iterator());
    let bytes = 0;
    for (let open = streams; open.length > 0;) {
      const still: typeof open = [];
      for (const stream of open) {
        const next = (await stream.next()) as IteratorResult<Buffer>;
        if (next.done === true) continue;
        bytes += next.value.length;
        still.push(stream);
      }
      open = still;
    }
    t.equal(bytes, 7 * LARGE.length);
  });
}

for (const { transport, tls } of TRANSPORTS) {
  t.test(`${transport}: one that ends early ends no other`, async (t) => {
    const { peer, large, small } = await start(t, tls);
    const abort = new AbortController();
    const aborted = peer.fetch(large, { signal: abort.signal });
    const other = peer.fetch(large);
    await Promise.all([once(aborted, 'readable'), once(other, 'readable')]);
    const ping = peer.ping();
    const some = small.map(({ hash }) => peer.fetchSmall(hash, 100));
    abort.abort();
    await t.rejects(bytesOf(aborted), { code: 'ERR_ABORTED' });
    t.ok((await bytesOf(other)).equals(LARGE));
    t.equal((await ping).files, 21);
    t.equal((await Promise.all(some)).length, 20);
  });
}

t.test('a signal is for the call it is given to', async (t) => {
  const { node, large, small } = await start(t);
  const relay = await startCountingRelay(t, node.address);
  const old = new AbortController();
  const peer = await connect(relay.address, { signal: old.signal });
  t.teardown(() => peer.close());
  old.abort();
  relay.cut();
  t.equal((await pingAgain(peer)).files, 21, 'a new connection is none of its business');
  const gone = new AbortController();
  const fresh = new Peer(node.address, {});
  t.teardown(() => fresh.close());
  const calls = [fresh.ping({ signal: gone.signal }), fresh.ping(), fresh.listPeers({ max: 1 })];
  gone.abort();
  const outcomes = await Promise.allSettled(calls);
  t.same(
    outcomes.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled'],
    'those that wait for the same connection continue',
  );
  const warnings: Error[] = [];
  const onWarning = (warning: Error): number => warnings.push(warning);
  process.on('warning', onWarning);
  const { signal } = new AbortController();
  await Promise.all([
    ...Array.from({ length: 15 }, () => peer.ping({ signal })),
    ...Array.from({ length: 15 }, () => bytesOf(peer.fetch(first(small), { signal }))),
    ...small.map(({ hash }) => peer.fetchSmall(hash, 100, { signal })),
    ...Array.from({ length: 15 }, () => listOf(peer.search('', { signal }))),
  ]);
  await new Promise(setImmediate);
  process.off('warning', onWarning);
  t.same(warnings, [], 'no warning of a leak');
  const none = { signal: null };
  const nobody = await connect(node.address, none);
  await nobody.ping(none);
  await nobody.listPeers(none);
  t.equal((await listOf(nobody.search('', none))).length, 21);
  t.equal((await bytesOf(nobody.fetch(large, none))).length, LARGE.length);
  await nobody.fetchTo(large, { write: () => Promise.resolve() }, none);
  await nobody.close();
});

t.test('a dial that failed is not kept', async (t) => {
  const { node } = await start(t);
  const relay = await startCountingRelay(t, node.address);
  const peer = await connect(relay.address);
  t.teardown(() => peer.close());
  relay.aim({ host: '127.0.0.1', port: 1 });
  relay.cut();
  await t.rejects(peer.ping());
  await t.rejects(peer.ping(), { code: 'ERR_NOT_A_PEER' });
  relay.aim(node.address);
  t.equal((await pingAgain(peer)).files, 21);
});

for (const { transport, tls } of TRANSPORTS) {
  t.test(`${transport}: what a callback or sink throws fails its own call`, async (t) => {
    const { peer, large, small } = await start(t, tls);
    const mine = new TypeError('mine');
    const fail = (): never => {
      throw mine;
    };
    const sink = { write: () => Promise.resolve() };
    const other = peer.fetch(large);
    await once(other, 'readable');
    const smalls = small.map(({ hash }) => peer.fetchSmall(hash, 100));
    const listens = peer.fetch(large).on('data', fail);
    const heads = peer.fetch(large).on('head', fail).resume();
    const given = [
      bytesOf(peer.fetch(large, { onHead: fail })),
      bytesOf(peer.fetch(large, { onList: fail })),
      peer.fetchTo(large, sink, { onHead: fail }),
      peer.fetchTo(large, sink, { onList: fail }),
      peer.fetchTo(large, { write: fail }),
      peer.fetchTo(large, { write: () => Promise.reject(mine) }),
      peer.fetchSmall(first(small), 100, { onHead: fail }),
      once(listens, 'end'),
      once(heads, 'end'),
      listOf(peer.searchNetwork('small', { ttl: 0, onEnd: fail })),
    ];
    for (const outcome of await Promise.allSettled(given)) {
      t.equal(outcome.status === 'rejected' && outcome.reason, mine);
    }
    await t.rejects(peer.fetchSmall(first(small), 99), { code: 'ERR_MISMATCH' });
    t.equal((await Promise.all(smalls)).length, 20, 'small files on the same connection');
    t.ok((await bytesOf(other)).equals(LARGE));
  });
}

t.test('one wrong small file fails alone, on the connection that it shares', async (t) => {
  const wanted = Array.from({ length: 12 }, (_, i) => Buffer.from(`content ${i}`));
  const hashes = wanted.map((bytes) => Buffer.from(hashBlock(bytes)).toString('hex'));
  let connections = 0;
  const { address } = await startFake(t, (socket) => {
    const peer = new RawPeer(socket);
    connections++;
    void serveSmall(peer, (hash) => {
      const bytes = wanted[hashes.indexOf(hash)] ?? Buffer.alloc(0);
      // Wrong bytes; and a head that says more than is worth reading to its end.
      if (hash === hashes[3]) return { bytes: Buffer.alloc(bytes.length), size: bytes.length };
      return { bytes, size: hash === hashes[7] ? 8 * MiB : bytes.length };
    });
  });
  const peer = await connect(address);
  t.teardown(() => peer.close());
  const outcomes = await Promise.allSettled(
    hashes.map((hash, i) => peer.fetchSmall(hash, wanted[i]?.length ?? 0)),
  );
  for (const [i, outcome] of outcomes.entries()) {
    if (i === 3 || i === 7) t.match(outcome, { reason: { code: 'ERR_MISMATCH' } });
    else t.same(outcome.status === 'fulfilled' && outcome.value, wanted[i]);
  }
  t.equal(connections, 2, 'one more, after the one that could not be read to its end');
});

t.test('ranges are asked for ahead', async (t) => {
  const { node, large } = await start(t);
  // The peer's answers wait until so many requests have come: PING, and all ranges.
  const ranges = Array.from({ length: 40 }, (_, i) => ({ offset: i * 300_000, length: 10 }));
  const relay = await startHoldingRelay(t, node.address, ranges.length);
  const peer = await connect(relay.address);
  t.teardown(() => peer.close());
  relay.hold();
  const got: Buffer[] = [];
  await peer.fetchRanges(large, ranges, {
    write: (bytes) => {
      got.push(Buffer.from(bytes));
      return Promise.resolve();
    },
  });
  const expected = ranges.map(({ offset }) => LARGE.subarray(offset, offset + 10));
  t.ok(Buffer.concat(got).equals(Buffer.concat(expected)));
});

for (const { transport, tls } of TRANSPORTS) {
  t.test(`${transport}: close lets what is under way end, and is the end`, async (t) => {
    const { node, peer, large, small } = await start(t, tls);
    const chunks: Buffer[] = [];
    const piped = pipeline(
      peer.fetch(large),
      new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          chunks.push(chunk);
          setImmediate(done);
        },
      }),
    );
    const ping = peer.ping();
    const one = peer.fetchSmall(first(small), 100);
    await Promise.all([peer.close(), peer.close()]);
    await piped;
    t.ok(Buffer.concat(chunks).equals(LARGE));
    t.equal((await ping).files, 21);
    t.equal((await one).length, 100);
    const sink = { write: () => Promise.resolve() };
    const uses: Record<string, () => Promise<unknown>> = {
      ping: () => peer.ping(),
      open: () => peer.open(),
      listPeers: () => peer.listPeers(),
      search: () => listOf(peer.search('')),
      searchNetwork: () => listOf(peer.searchNetwork('')),
      fetch: () => bytesOf(peer.fetch(large)),
      fetchTo: () => peer.fetchTo(large, sink),
      fetchSmall: () => peer.fetchSmall(first(small), 100),
    };
    for (const [call, use] of Object.entries(uses)) {
      await t.rejects(use().then(nothing), { code: 'ERR_CLOSED' }, call);
    }
    await peer.close();
    const { connections } = node.stats;
    {
      await using other = await connect(node.address, { tls });
      await other.ping();
    }
    t.equal(node.stats.connections, connections + 1);
  });
}

t.test('close does not wait for a stream that nobody reads', async (t) => {
  const { node, large } = await start(t);
  const peer = await connect(node.address, { answerTimeout: 200 });
  const unread = peer.fetch(large);
  await once(unread, 'readable');
  const failed = t.rejects(once(unread, 'end'), { code: 'ERR_CLOSED' });
  await peer.close();
  await failed;
});

t.test('nothing is left open by a close or an abort while it connects', async (t) => {
  const { address, server } = await startFake(t, () => undefined);
  const count = async (): Promise<number> =>
    new Promise((resolve) => {
      server.getConnections((_error, n) => {
        resolve(n);
      });
    });
  const abort = new AbortController();
  const dialled = once(server, 'connection');
  const given = t.rejects(connect(address, { signal: abort.signal }), { code: 'ERR_ABORTED' });
  const [socket] = (await dialled) as [Socket];
  abort.abort();
  await Promise.all([given, once(socket.resume(), 'close')]);
  t.equal(await count(), 0);
});

function nothing(): void {
  // Whatever came of it.
}

/** Answers PING, and requests for files as `content` says. */
async function serveSmall(
  peer: RawPeer,
  content: (hash: string) => { bytes: Buffer; size: number },
): Promise<void> {
  const info = { version: 1, agent: 'fake' };
  const pong = { type: 'ACKN', of: 'PING', info, files: 1, bytes: 1, state: 'ready' } as const;
  for (let got = await peer.next(); got !== undefined; got = await peer.next()) {
    if (got.message.type === 'PING') peer.send(pong, got.tag);
    if (got.message.type !== 'RQFH') continue;
    const { bytes, size } = content(got.message.hash);
    peer.send({ type: 'ACKN', of: 'RQFH', size, offset: 0, length: size }, got.tag).raw(bytes);
  }
}

/** A relay that, after `hold`, passes on nothing of the peer until so many requests have gone to it. */
async function startHoldingRelay(
  t: Test,
  target: PeerAddress,
  requests: number,
): Promise<{ address: PeerAddress; hold: () => void }> {
  let left = 0;
  const held: (() => void)[] = [];
  const { address } = await startFake(
    t,
    (client) => {
      const decoder = new FrameDecoder();
      const server = connectSocket(target);
      server.on('error', () => undefined).on('close', () => client.destroy());
      client.on('close', () => server.destroy());
      client.on('data', (chunk: Buffer) => {
        server.write(chunk);
        for (let rest: Uint8Array = chunk; rest.length > 0;) {
          const { used, frame } = decoder.write(rest);
          rest = rest.subarray(used);
          if (frame !== undefined) left--;
        }
        if (left <= 0) for (const pass of held.splice(0)) pass();
      });
      server.on('data', (chunk: Buffer) => {
        const pass = (): void => {
          client.write(chunk);
        };
        if (left > 0) held.push(pass);
        else pass();
      });
    },
    { id: SHARER },
  );
  return {
    address,
    hold: () => {
      left = requests;
    },
  };
}
