/** Ids that no peer proves: somebody says the id of an honest peer, beside it or while it restarts. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { formatAddress } from '../../lib/net/address.js';
import type { PeerNode } from '../../lib/node.js';
import type { Neighbour } from '../../lib/peers/neighbours-options.js';
import { serveAs } from '../fixtures/fake-neighbour.js';
import { outcomeOf, startSharing } from '../fixtures/network.js';
import { linksOf, until } from '../fixtures/node.js';
import { RawPeer, startFake } from '../fixtures/raw.js';
import { connect } from '../fixtures/socket.js';
import { OVER_TLS } from '../fixtures/transport.js';

const HOST = '127.0.2.1';
const skip = OVER_TLS ? 'over TLS ids are proven' : false;

/** A node and an honest peer that named it, unless it names others. */
async function startPair(
  t: Test,
): Promise<{ node: PeerNode; start: (peers?: string[]) => Promise<PeerNode> }> {
  const node = await startSharing(t, 0, { 'x-0.txt': 'own' }, { discover: true });
  // Not in the test's own folder, which each node with files begins anew.
  const state = mkdtempSync(join(tmpdir(), 'state-'));
  t.teardown(() => {
    rmSync(state, { recursive: true, force: true });
  });
  let port = 0;
  const start = async (peers = [formatAddress(node.address)]): Promise<PeerNode> => {
    const options = { host: HOST, port, peers, state, discover: true };
    const peer = await startSharing(t, 1, { 'x-1.txt': 'honest' }, options);
    ({ port } = peer.address);
    return peer;
  };
  return { node, start };
}

async function finds(t: Test, node: PeerNode, peer: PeerNode): Promise<void> {
  const { results } = await outcomeOf((all) => node.search('x-1', all), { timeout: 2000 });
  const found = results.filter(({ peer: { id, host } }) => id === peer.id && host === HOST);
  t.equal(found.length, 1, 'its file is found at its address');
}

/** Somebody at another address who says an id, and answers there under it. */
async function startClaimant(
  t: Test,
  { address }: PeerNode,
  id: string,
): Promise<{ claim: () => Promise<void> }> {
  const serve = serveAs(id, () => undefined);
  const fake = await startFake(t, serve, { host: '127.0.66.1' });
  const claim = async (): Promise<void> => {
    const socket = connect({ ...address, localAddress: '127.0.66.1' });
    t.teardown(() => socket.destroy());
    await once(socket, 'connect');
    const info = { version: 1, id, ...fake.address, link: true };
    await new RawPeer(socket).send({ type: 'PING', info }, 1).next();
  };
  return { claim };
}

const isAt =
  (at: string) =>
  ({ host, link }: Neighbour): boolean =>
    host === at && link !== undefined;

t.test('its id is claimed from elsewhere while it restarts', { skip }, async (t) => {
  const { node, start } = await startPair(t);
  const peer = await start();
  const { id } = peer;
  await until(node, () => linksOf(node).includes(id));
  await peer.close();
  await until(node, () => node.peers.length === 0);
  const { claim } = await startClaimant(t, node, id);
  await claim();
  await until(node, () => node.peers.some(isAt('127.0.66.1')));
  const begin = performance.now();
  const again = await start();
  await claim();
  await until(node, () => node.peers.some(isAt(HOST)));
  t.comment(
    `the honest peer is linked ${Math.round(performance.now() - begin)} ms after its start`,
  );
  t.equal(again.id, id);
  await claim();
  await finds(t, node, again);
});

t.test('its id is claimed from elsewhere before it is known', { skip }, async (t) => {
  const { start } = await startPair(t);
  // It has run before, elsewhere: its id is known to others.
  const before = await start();
  const { id } = before;
  await before.close();
  const other = await startSharing(t, 2, { 'x-2.txt': 'other' }, { discover: true });
  const { claim } = await startClaimant(t, other, id);
  await claim();
  await until(other, () => other.peers.some(isAt('127.0.66.1')));
  const peer = await start([formatAddress(other.address)]);
  t.equal(peer.id, id);
  await until(other, () => other.peers.some(isAt(HOST)));
  await claim();
  await finds(t, other, peer);
  const asker = await RawPeer.to(t, other.address);
  const answer = await asker.send({ type: 'RQLT' }, 1).next();
  const listed = JSON.stringify(answer?.message);
  t.ok(listed.includes(`"${HOST}"`), 'and it is listed to others');
});

t.test(
  'beside it, at its own address, an impostor says its id and misbehaves',
  { skip },
  async (t) => {
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
  },
);
