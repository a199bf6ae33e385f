/**
 * Eclipse: ids upon ids from few addresses ask a node for links, and answer when they are dialled back.
 * Honest peers that come later get theirs all the same, and the node reaches them by search.
 */
import t, { type Test } from 'tap';
import { formatAddress } from '../../lib/net/address.js';
import type { PeerNode } from '../../lib/node.js';
import { provableId } from '../fixtures/certificates.js';
import { serveAs } from '../fixtures/fake-neighbour.js';
import { outcomeOf, startSharing } from '../fixtures/network.js';
import { linksOf, until } from '../fixtures/node.js';
import { RawPeer, startFake } from '../fixtures/raw.js';
import { connect } from '../fixtures/socket.js';
import { size } from './sizes.js';

/** A peer with an id of its own at each of so many ports, spread over the hosts; each asks for a link. */
async function attack(
  t: Test,
  { address }: PeerNode,
  ids: number,
  hosts: readonly string[],
): Promise<void> {
  for (let n = 0; n < ids; n++) {
    const host = hosts[n % hosts.length] ?? '';
    const id = provableId(0xbad000 + n);
    const serve = serveAs(id, () => undefined);
    const fake = await startFake(t, serve, { host, id });
    const socket = connect({ ...address, localAddress: host }, id);
    socket.on('error', () => undefined);
    t.teardown(() => socket.destroy());
    const { port } = fake.address;
    const info = { version: 1, id, port, link: true };
    new RawPeer(socket).send({ type: 'PING', info }, 1);
  }
}

for (const hostCount of [1, 64]) {
  const ids = size(hostCount === 1 ? 40 : 128, 1000);
  t.test(`${ids} ids from ${hostCount} addresses`, async (t) => {
    const hosts = Array.from({ length: hostCount }, (_, i) => `127.0.66.${i + 1}`);
    const victim = await startSharing(t, 0, { 'x-0.txt': 'own' }, { discover: true });
    await attack(t, victim, ids, hosts);
    await until(victim, () => linksOf(victim).length > 0);
    const begin = performance.now();
    const honest: PeerNode[] = [];
    for (const n of [1, 2, 3]) {
      const files = { [`x-${n}.txt`]: `honest ${n}` };
      const peers = [formatAddress(victim.address)];
      const options = { host: `127.0.${n}.1`, peers, discover: true };
      honest.push(await startSharing(t, n, files, options));
    }
    await until(victim, () => honest.every((node) => linksOf(victim).includes(node.id)));
    t.comment(`honest peers linked ${Math.round(performance.now() - begin)} ms after their start`);
    const linked = victim.peers.filter(({ link }) => link !== undefined);
    t.ok(linked.length <= 16, `${linked.length} links`);
    for (const host of hosts) {
      const count = linked.filter((peer) => peer.host === host).length;
      if (count > 2) t.fail(`${count} links to ${host}`);
    }
    const { results } = await outcomeOf((all) => victim.search('x', all), { timeout: 1000 });
    for (const node of [victim, ...honest]) {
      t.ok(
        results.some(({ peer }) => peer.id === node.id),
        'its files are found',
      );
    }
  });
}
