/** A neighbour replays every search to nodes it knows, with a higher ttl: all files are found all the same. */
import t from 'tap';
import { formatAddress } from '../../lib/net/address.js';
import type { PeerNode } from '../../lib/node.js';
import { startNeighbour } from '../fixtures/fake-neighbour.js';
import { outcomeOf, startSharing } from '../fixtures/network.js';
import { linksOf, until } from '../fixtures/node.js';
import { RawPeer } from '../fixtures/raw.js';
import { fileList, id, searchEnd } from '../fixtures/search.js';
import { size } from './sizes.js';

t.test('a search replayed by its qid', async (t) => {
  const COUNT = size(5, 14);
  const nodes: PeerNode[] = [];
  for (let n = 1; n <= COUNT; n++) {
    nodes.push(await startSharing(t, n, { [`x-${n}.txt`]: `${n}` }));
  }
  const replays = await Promise.all(nodes.map(({ address }) => RawPeer.to(t, address)));
  let replayed = 0;
  const fake = await startNeighbour(t, id(0xbad), ({ peer, tag, search }) => {
    for (const one of replays) one.send({ ...search, ttl: 7 }, ++replayed);
    peer.send(fileList(0), tag).send(searchEnd(), tag);
  });
  const peers = [fake, ...nodes.map(({ address }) => formatAddress(address))];
  const start = await startSharing(t, 0, { 'x-0.txt': '0' }, { peers });
  await until(start, () => linksOf(start).length === COUNT + 1);
  for (let i = 0; i < 5; i++) {
    const { results } = await outcomeOf((all) => start.search('x', all), { ttl: 2 });
    const found = new Set(results.map(({ peer }) => peer.id));
    t.equal(found.size, COUNT + 1, 'every node has answered');
  }
  t.equal(replayed, 5 * COUNT);
});
