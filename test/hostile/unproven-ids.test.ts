/** Ids that no peer proves: somebody says the id of an honest peer, beside it or while it restarts. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { formatAddress } from '../../lib/net/address.js';
import type { PeerNode } from '../../lib/node.js';
import { serveAs } from '../fixtures/fake-neighbour.js';
import { outcomeOf, startSharing } from '../fixtures/network.js';
import { linksOf, until } from '../fixtures/node.js';
import { RawPeer, startFake } from '../fixtures/raw.js';

const HOST = '127.0.2.1';

/** A node and an honest peer that named it. */
async function startPair(t: Test): Promise<{ node: PeerNode; start: () => Promise<PeerNode> }> {
  const node = await startSharing(t, 0, { 'x-0.txt': 'own' }, { discover: true });
  // Not in the test's own folder, which each node with files begins anew.
  const state = mkdtempSync(join(tmpdir(), 'state-'));
  t.teardown(() => {
    rmSync(state, { recursive: true, force: true });
  });
  let port = 0;
  const start = async (): Promise<PeerNode> => {
    const peers = [formatAddress(node.address)];
    const options = { host: HOST, port, peers, state, discover: true };
    const peer = await startSharing(t, 1, { 'x-1.txt': 'honest' }, options);
    ({ port } = peer.address);
    return peer;
  };
  return { node, start };
}

async function finds(t: Test, node: PeerNode, peer: PeerNode): Promise<void> {
  const { results } = await outcomeOf((all) => node.search('x-1', all), { timeout: 2000 });
  t.match(
    results.map(({ peer: { id, host } }) => ({ id, host })),
    [{ id: peer.id, host: HOST }],
    'its file is found at its address',
  );
}

t.test('its id is claimed from elsewhere while it restarts', async (t) => {
  const { node, start } = await startPair(t);
  const peer = await start();
  const { id } = peer;
  await until(node, () => linksOf(node).includes(id));
  await peer.close();
  await until(node, () => node.peers.length === 0);
  const fake = await startFake(
    t,
    serveAs(id, () => undefined),
    '127.0.66.1',
  );
  const claim = async (): Promise<void> => {
    const socket = connect({ ...node.address, localAddress: '127.0.66.1' });
    t.teardown(() => socket.destroy());
    await once(socket, 'connect');
    const info = { version: 1, id, ...fake.address, link: true };
    await new RawPeer(socket).send({ type: 'PING', info }, 1).next();
  };
  await claim();
  await until(node, () => node.peers.some(({ host }) => host === '127.0.66.1'));
  const begin = performance.now();
  const again = await start();
  await claim();
  await until(node, () => node.peers.some(({ host, link }) => host === HOST && link !== undefined));
  t.comment(
    `the honest peer is linked ${Math.round(performance.now() - begin)} ms after its start`,
  );
  t.equal(again.id, id);
  await claim();
  await finds(t, node, again);
});

t.test('beside it, at its own address, an impostor says its id and misbehaves', async (t) => {
  const { node, start } = await startPair(t);
  const peer = await start();
  const { id } = peer;
  for (let i = 0; i < 3; i++) {
    const impostor = connect(node.address);
    t.teardown(() => impostor.destroy());
    const raw = new RawPeer(impostor);
    const { port } = peer.address;
    raw.send({ type: 'PING', info: { version: 1, id, host: HOST, port, link: true } }, 1);
    await raw.next();
    // Not a frame.
    raw.raw('?'.repeat(100));
    await raw.next();
    impostor.destroy();
  }
  await until(node, () => linksOf(node).includes(id));
  t.equal(node.misbehaviour.banned, 0, 'no address is banned for it');
  t.equal(peer.misbehaviour.banned, 0);
  await finds(t, node, peer);
});
