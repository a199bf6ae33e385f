/** A neighbour replays every search to nodes it knows, with a higher ttl: all files are found all the same. */
import t, { type Test } from 'tap';
import { formatAddress } from '../../lib/net/address.js';
import type { PeerNode } from '../../lib/node.js';
import { provableId } from '../fixtures/certificates.js';
import { startNeighbour } from '../fixtures/fake-neighbour.js';
import { outcomeOf, startSharing } from '../fixtures/network.js';
import { idsOf, linksOf, until } from '../fixtures/node.js';
import { RawPeer } from '../fixtures/raw.js';
import { fileList, searchEnd } from '../fixtures/search.js';
import { size } from './sizes.js';

const FAKE = provableId(0xbad);

/** A neighbour that replays a search, when `next` is set, to these peers. */
async function startReplaying(
  t: Test,
  to: readonly RawPeer[],
): Promise<{ fake: string; replay: { next: boolean; count: number } }> {
  const replay = { next: false, count: 0 };
  const fake = await startNeighbour(t, FAKE, ({ peer, tag, search }) => {
    if (replay.next) for (const one of to) one.send({ ...search, ttl: 7 }, ++replay.count);
    // Not again when that comes round.
    replay.next = false;
    peer.send(fileList(0), tag).send(searchEnd(), tag);
  });
  return { fake, replay };
}

t.test('a search replayed by its qid', async (t) => {
  const COUNT = size(5, 14);
  const nodes: PeerNode[] = [];
  for (let n = 1; n <= COUNT; n++) {
    nodes.push(await startSharing(t, n, { [`x-${n}.txt`]: `${n}` }));
  }
  const replays = await Promise.all(nodes.map(({ address }) => RawPeer.to(t, address)));
  const { fake, replay } = await startReplaying(t, replays);
  const peers = [fake, ...nodes.map(({ address }) => formatAddress(address))];
  const start = await startSharing(t, 0, { 'x-0.txt': '0' }, { peers });
  await until(start, () => linksOf(start).length === COUNT + 1);
  for (let i = 0; i < 5; i++) {
    replay.next = true;
    const { results } = await outcomeOf((all) => start.search('x', all), { ttl: 2 });
    const found = new Set(results.map(({ peer }) => peer.id));
    t.equal(found.size, COUNT + 1, 'every node has answered');
  }
  t.equal(replay.count, 5 * COUNT);
});

t.test('in a line, where nobody else leads to the far end', async (t) => {
  const COUNT = 6;
  const replays: RawPeer[] = [];
  const { fake, replay } = await startReplaying(t, replays);
  const nodes: PeerNode[] = [];
  for (let n = 0; n < COUNT; n++) {
    const before = nodes.at(-1);
    const peers = [before === undefined ? fake : formatAddress(before.address)];
    nodes.push(await startSharing(t, n, { [`x-${n}.txt`]: `${n}` }, { peers }));
  }
  const [start, ...others] = nodes;
  if (start === undefined) throw new Error();
  const links = (node: PeerNode): string[] => linksOf(node).filter((one) => one !== FAKE);
  await Promise.all(
    nodes.map((node, i) => {
      const wanted = idsOf([i - 1, i + 1].flatMap((n) => nodes[n] ?? [])).join();
      return until(node, () => links(node).join() === wanted);
    }),
  );
  await until(start, () => linksOf(start).includes(FAKE));
  for (const { address } of others) replays.push(await RawPeer.to(t, address));
  for (let i = 0; i < 5; i++) {
    replay.next = true;
    const { results } = await outcomeOf((all) => start.search('x', all), { ttl: COUNT });
    t.equal(new Set(results.map(({ peer }) => peer.id)).size, COUNT, 'every node has answered');
  }
  t.equal(replay.count, 5 * others.length);
});
