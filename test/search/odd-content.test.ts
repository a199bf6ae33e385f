/** What a relay passes on is not its fault: after odd names and odd queries all links are still there. */
import fc from 'fast-check';
import t from 'tap';
import { formatAddress } from '../../lib/net/address.js';
import { provableId } from '../fixtures/certificates.js';
import { startNeighbour } from '../fixtures/fake-neighbour.js';
import { outcomeOf, startSharing } from '../fixtures/network.js';
import { linksOf, until } from '../fixtures/node.js';
import { id, searchEnd } from '../fixtures/search.js';

t.test('names and queries of U+FEFF and the like, by way of an honest relay', async (t) => {
  let names: string[] = [];
  // Shares what no disk holds; the relay is an honest node, and so is the one that asks.
  const odd = await startNeighbour(t, provableId(77), ({ peer, tag }) => {
    const files = names.map((path) => ({ path, hash: id(1), size: 1 }));
    peer.send({ type: 'RPFL', total: files.length, files }, tag).send(searchEnd(), tag);
  });
  const relay = await startSharing(t, 1, { '\uFEFF\uFEFFa x': '1' }, { peers: [odd] });
  const peers = [formatAddress(relay.address)];
  const first = await startSharing(t, 0, { '\uFEFFx': '0' }, { peers });
  await until(first, () => linksOf(first).length === 1);
  await until(relay, () => linksOf(relay).length === 2);
  const char = fc.oneof(
    fc.constantFrom('\uFEFF', '\u200B', '\u202E', '\u0000', '\n', 'é', 'e\u0301', '\u{1F600}', 'x'),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 2 }),
  );
  const text = fc.array(char, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''));
  const name = text
    .map((some) => some.replaceAll(/[/\0]/g, '') || 'x')
    .filter((some) => !/^\.\.?$/.test(some));
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(name, { minLength: 1, maxLength: 5 }),
      text,
      async (some, query) => {
        names = some;
        const { summary } = await outcomeOf((all) => first.search(query, all), { ttl: 2 });
        t.equal(summary?.late, 0);
      },
    ),
    {
      numRuns: 30,
      examples: [
        [['\uFEFF\uFEFF'], '\uFEFF\uFEFF'],
        [['\uFEFFx', 'x'], '\uFEFFx'],
      ],
    },
  );
  const { results } = await outcomeOf((all) => first.search('x', all), { ttl: 2 });
  t.ok(results.some(({ files }) => files.some(({ path }) => path === '\uFEFF\uFEFFa x')));
  for (const node of [first, relay])
    t.match(node.misbehaviour, { malformed: 0, stray: 0, ended: 0, banned: 0 });
  t.same([linksOf(first).length, linksOf(relay).length], [1, 2], 'all links are there');
});
