/** Nodes that find one another on loopback, with short times; and peers that keep to no rules among them. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import type { PeerNode } from '../../lib/node.js';
import type { PeerAddress } from '../../lib/net/address.js';
import { formatAddress } from '../../lib/net/address.js';
import type { NodeOptions } from '../../lib/options.js';
import type { PeerTimes } from '../../lib/peers/times.js';
import type { ListedPeer } from '../../lib/wire/messages.js';
import { connectTo, idsOf, linksOf, until } from '../fixtures/node.js';
import { RawPeer, startFake } from '../fixtures/raw.js';
import { createNode } from '../fixtures/transport.js';

const TIMES: Partial<PeerTimes> = {
  connect: 1000,
  answer: 2000,
  ping: 200,
  firstList: 20,
  list: 200,
  revisit: 400,
  betweenVisits: 1,
  fresh: 5000,
  pauses: [50, 100],
  reachedPause: { base: 50, cap: 400 },
  namedPause: 200,
  isolatedPause: 100,
  soon: 20,
  stable: 100,
  hostPause: 1,
  dropped: 300,
  alias: 60_000,
  listCached: 100,
  resolve: 100,
};

interface Test {
  teardown(end: () => Promise<void>): void;
}

/** What all of them share: nothing. */
const SHARE = t.testdir();

async function startNode(t: Test, options: Partial<NodeOptions> = {}): Promise<PeerNode> {
  const node = createNode({
    share: SHARE,
    host: '127.0.0.1',
    port: 0,
    watch: false,
    threads: 1,
    times: TIMES,
    ...options,
  });
  t.teardown(() => node.close());
  await node.start();
  return node;
}

const nameOf = (node: PeerNode): string => formatAddress(node.address);

const knows = (node: PeerNode, others: readonly PeerNode[]): Promise<void> => {
  const wanted = idsOf(others.filter((other) => other !== node)).join();
  return until(node, () => idsOf(node.peers).join() === wanted);
};

/** What a node tells a stranger. */
async function listOf(t: Test, node: PeerNode): Promise<readonly ListedPeer[]> {
  return (await connectTo(t, node)).listPeers();
}

t.test('ten know only the first: all know all; half go, and come back', async (t) => {
  const first = await startNode(t);
  const others = await Promise.all(
    Array.from({ length: 9 }, (_, i) =>
      startNode(t, { host: `127.0.0.${i + 2}`, peers: [nameOf(first)] }),
    ),
  );
  const all = [first, ...others];
  await Promise.all(all.map((node) => knows(node, all)));
  for (const node of all) {
    const list = await listOf(t, node);
    t.same(idsOf(list), idsOf(all.filter((other) => other !== node)), 'lists all but itself');
    t.same(
      idsOf(list.filter(({ link }) => link === true)),
      linksOf(node),
      'and says to which it has links',
    );
    t.ok(linksOf(node).length >= 4);
  }
  const gone = all.slice(5);
  const left = all.slice(0, 5);
  await Promise.all(gone.map((node) => node.close()));
  await Promise.all(left.map((node) => knows(node, left)));
  for (const node of left) {
    t.same(idsOf(await listOf(t, node)), idsOf(left.filter((other) => other !== node)));
  }
  const back = await Promise.all(
    gone.map(({ address }) => startNode(t, { ...address, peers: [nameOf(first)] })),
  );
  const now = [...left, ...back];
  await Promise.all(now.map((node) => knows(node, now)));
  t.same(idsOf(await listOf(t, left[4] ?? first)), idsOf(now.filter((node) => node !== left[4])));
});

t.test('without discovery a line stays a line', async (t) => {
  const line: PeerNode[] = [];
  for (let i = 0; i < 4; i++) {
    const before = line.at(-1);
    const peers = before === undefined ? [] : [nameOf(before)];
    line.push(await startNode(t, { host: `127.0.0.${i + 1}`, peers, discover: false }));
  }
  const neighbours = (i: number): PeerNode[] =>
    [line[i - 1], line[i + 1]].filter((node) => node !== undefined);
  for (const [i, node] of line.entries()) {
    const wanted = idsOf(neighbours(i)).join();
    await until(node, () => linksOf(node).join() === wanted);
  }
  // Lists that were asked for meanwhile changed nothing.
  const [one] = line;
  if (one === undefined) return;
  for (let i = 0; i < 5; i++) {
    const list = await listOf(t, line[1] ?? one);
    t.same(idsOf(list), idsOf(neighbours(1)));
  }
  for (const [i, node] of line.entries()) t.same(idsOf(node.peers), idsOf(neighbours(i)));
});

t.test('each has a link to the other, and makes it again when it is lost', async (t) => {
  const a = await startNode(t);
  const b = await startNode(t, { host: '127.0.0.2', peers: [nameOf(a)] });
  await until(a, () => linksOf(a).length === 1);
  await until(b, () => linksOf(b).length === 1);
  t.match(b.peers, [{ id: a.id, ...a.address, link: 'out' }]);
  t.match(a.peers, [{ id: b.id, ...b.address }]);
  t.ok((b.peers[0]?.rtt ?? 0) > 0);
  const { address } = a;
  await a.close();
  await until(b, () => b.peers.length === 0);
  const again = await startNode(t, address);
  await until(b, () => linksOf(b)[0] === again.id);
  t.equal(b.peers.length, 1, 'the old id is gone');
});

t.test('a node never has itself for a peer', async (t) => {
  // Its port is known beforehand only to a peer that has used it before.
  const { address, server } = await startFake(t, () => undefined);
  server.close();
  await once(server, 'close');
  const own = [`127.0.0.1:${address.port}`, `localhost:${address.port}`];
  const node = await startNode(t, { port: address.port, peers: own });
  const other = await startNode(t, { host: '127.0.0.2', peers: own });
  await knows(node, [node, other]);
  await knows(other, [node, other]);
  for (let i = 0; i < 5; i++) t.same(idsOf(await listOf(t, node)), [other.id]);
  t.same(linksOf(node), [other.id]);
});

const ID = 'ab'.repeat(32);

t.test('what a stranger says is dialled before it is listed', async (t) => {
  const node = await startNode(t);
  // Nobody listens there.
  const liar = await RawPeer.to(t, node.address);
  liar.send({ type: 'PING', info: { version: 1, id: ID, port: 9 } }, 1);
  t.match(await liar.next(), { message: { of: 'PING', info: { id: node.id } } });
  // Somebody listens, and is dialled back: at the address it asks for.
  let take: ((socket: Socket) => void) | undefined;
  const dialled = new Promise<Socket>((resolve) => {
    take = resolve;
  });
  const { address } = await startFake(t, (socket) => {
    take?.(socket);
  });
  liar.send({ type: 'PING', info: { version: 1, id: ID, ...address } }, 2);
  const peer = new RawPeer(await dialled);
  const ping = await peer.next();
  t.match(ping?.message, { type: 'PING', info: { id: node.id, ...node.address } });
  t.same(await listOf(t, node), [], 'not before it answers');
  const up = once(node, 'peer');
  const info = { version: 1, id: ID };
  const ack = { type: 'ACKN', of: 'PING', info, files: 0, bytes: 0, state: 'ready' } as const;
  peer.send(ack, ping?.tag ?? 0);
  t.match(await up, [{ kind: 'up', id: ID }]);
  t.equal((await listOf(t, node))[0]?.id, ID);
  // The link is the connection that the node made: what comes in proves no id.
  await until(node, () => linksOf(node).length === 1);
  t.match([await peer.next(), await peer.next()].map((got) => got?.message.type).sort(), [
    'PING',
    'RQLT',
  ]);
  t.match(await liar.next(), { tag: 2, message: { of: 'PING' } });
});

/** A peer that answers PING with an id, and everything else as it is told. */
function fakePeer(id: string, rest: (peer: RawPeer, tag: number) => void) {
  return (socket: Socket): void => {
    const peer = new RawPeer(socket);
    void (async () => {
      for (let got = await peer.next(); got !== undefined; got = await peer.next()) {
        const { tag, message } = got;
        const info = { version: 1, id };
        const ack = { type: 'ACKN', of: 'PING', info, files: 0, bytes: 0, state: 'ready' } as const;
        if (message.type === 'PING') peer.send(ack, tag);
        else rest(peer, tag);
      }
    })();
  };
}

t.test('peers that hang, dribble, lie or talk nonsense hold nobody up', async (t) => {
  let invented = 0;
  let said = (): void => undefined;
  const saidMuch = new Promise<void>((resolve) => {
    said = resolve;
  });
  const timers: NodeJS.Timeout[] = [];
  t.teardown(() => {
    for (const timer of timers) clearInterval(timer);
    return Promise.resolve();
  });
  const dialledAt: number[] = [];
  const victim = await startFake(t, (socket) => {
    dialledAt.push(socket.localPort ?? 0);
  });
  const bad: PeerAddress[] = [];
  for (const serve of [
    // Takes the connection and says nothing.
    () => undefined,
    // One byte a second of something that could become an answer.
    (socket: Socket) => {
      timers.push(setInterval(() => socket.write('A'), 1000));
    },
    (socket: Socket) => {
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    },
    // Answers PING, and never RQLT.
    fakePeer('01'.repeat(32), () => undefined),
    // Answers with tags nobody asked with.
    fakePeer('02'.repeat(32), (peer, tag) => {
      for (let i = 1; i < 100; i++) {
        peer.send({ type: 'ACKN', of: 'RQLT', peers: [] }, tag + 1000 + i);
      }
    }),
    // Lies.
    fakePeer('03'.repeat(32), (peer, tag) => {
      const peers = Array.from({ length: 50 }, () => {
        const n = invented++;
        return {
          id: n.toString(16).padStart(64, 'f'),
          host: '127.9.9.9',
          port: 20_000 + n,
          seen: 0,
        };
      });
      if (invented > 500) said();
      const { port } = victim.address;
      peers[0] = { id: ID, host: 'localhost', port, seen: 0 };
      peers[1] = { id: ID, host: '0.0.0.0', port, seen: 0 };
      peers[2] = { id: ID, host: '::', port, seen: 0 };
      peers[3] = { id: ID, host: '127.0.0.1', port: 22, seen: 0 };
      peer.send({ type: 'ACKN', of: 'RQLT', peers }, tag);
    }),
  ]) {
    bad.push((await startFake(t, serve)).address);
  }
  const peers = bad.map(formatAddress);
  const node = await startNode(t, {
    peers,
    times: { ...TIMES, answer: 300, firstList: 10, list: 20 },
  });
  const friend = await startNode(t, { host: '127.0.0.2', peers: [nameOf(node)] });
  await until(node, () => node.peers.some(({ id }) => id === friend.id));
  await until(friend, () => linksOf(friend).includes(node.id));
  // By the time the liar has said a lot, nothing of it is listed.
  await saidMuch;
  const listed = await listOf(t, node);
  t.ok(listed.some(({ id }) => id === friend.id));
  t.notOk(listed.some(({ id, host }) => id === ID || host === '127.9.9.9'));
  t.same(dialledAt, [], 'no name, and no address of nobody, was dialled');
});

t.test('a peer that answers no more is given up, though its connection stays', async (t) => {
  let silent = false;
  const { address } = await startFake(t, (socket) => {
    const serve = fakePeer(ID, (peer, tag) => {
      peer.send({ type: 'ACKN', of: 'RQLT', peers: [] }, tag);
    });
    serve(socket);
    const write = socket.write.bind(socket);
    socket.write = (bytes: string | Uint8Array) => silent || write(bytes);
  });
  const times = { ...TIMES, answer: 300 };
  const node = await startNode(t, { peers: [formatAddress(address)], times });
  await until(node, () => linksOf(node).length === 1);
  silent = true;
  await until(node, () => node.peers.length === 0);
  t.same(await listOf(t, node), []);
  silent = false;
  await until(node, () => linksOf(node).length === 1);
});

t.test('the peers of the last run are tried at the next start', async (t) => {
  const state = join(t.testdir({}), 'state');
  const a = await startNode(t, { state });
  const b = await startNode(t, { host: '127.0.0.2', peers: [nameOf(a)] });
  await knows(a, [b]);
  await a.close();
  await until(b, () => b.peers.length === 0);
  // Named by nobody, at another address: it knows b from before, and b learns where it is now.
  const again = await startNode(t, { state, host: '127.0.0.3' });
  t.equal(again.id, a.id);
  await knows(again, [b]);
  await until(b, () => b.peers.some(({ host }) => host === '127.0.0.3'));
  await again.close();
  const without = await startNode(t);
  t.same(without.peers, []);
});

t.test('no more links than wished, but one to the peer that the user named', async (t) => {
  const hub = await startNode(t, { maxPeers: 3 });
  const others = await Promise.all(
    Array.from({ length: 6 }, (_, i) =>
      startNode(t, { host: `127.0.0.${i + 2}`, peers: [nameOf(hub)], discover: false }),
    ),
  );
  await knows(hub, others);
  await until(hub, () => linksOf(hub).length === 3);
  t.equal((await listOf(t, hub)).length, 6, 'it knows all, for all that');
  const named = await startNode(t, { host: '127.0.0.20' });
  const late = await startNode(t, {
    host: '127.0.0.21',
    peers: [nameOf(hub), nameOf(named)],
    maxPeers: 2,
  });
  await until(late, () => linksOf(late).join() === idsOf([hub, named]).join());
  t.equal(linksOf(late).length, 2);
});

t.test('asked to be reached elsewhere', async (t) => {
  const node = await startNode(t);
  const { address } = await startFake(t, () => undefined);
  const other = await startNode(t, {
    host: '127.0.0.2',
    advertise: `localhost:${address.port}`,
    peers: [nameOf(node)],
  });
  await until(other, () => linksOf(other).length === 1);
  const { info } = await (await connectTo(t, other)).ping();
  t.match(info, { host: /^(127\.0\.0\.1|::1)$/, port: address.port }, 'a literal is said');
  t.same(await listOf(t, node), [], 'nobody answers there');
});
