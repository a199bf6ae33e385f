/** What a node says of itself, its peers and the network: JSON, and lines of it. */
import { once } from 'node:events';
import { formatAddress } from '../../lib/net/address.js';
import { startNeighbour } from '../fixtures/fake-neighbour.js';
import { ask, requestText, sending } from '../fixtures/http.js';
import { provableId } from '../fixtures/certificates.js';
import { TIMES, startNetwork } from '../fixtures/network.js';
import { linksOf, startIndexed, until } from '../fixtures/node.js';
import t from '../fixtures/tap.js';

interface Line {
  readonly type: string;
  readonly path?: string;
  readonly hash?: string;
  readonly hops?: number;
  readonly peers?: { id: string; address: string }[];
}

const linesOf = (body: Buffer): Line[] =>
  body
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

t.test('the network through one node', async (t) => {
  const nodes = await startNetwork(t, [[1], [0, 2], [1]]);
  const [first, second] = nodes;
  if (first === undefined || second === undefined) throw new TypeError('there are three');
  const { address, id } = first;
  await t.test('a search', async (t) => {
    const { status, headers, body } = await ask(address, 'GET', '/search?q=x-');
    t.equal(status, 200);
    t.match(headers, { 'content-type': /^application\/x-ndjson/, 'cache-control': 'no-store' });
    const lines = linesOf(body);
    const files = lines.filter(({ type }) => type === 'file');
    t.same(
      files.map(({ path, hops }) => [path, hops]).sort(),
      [0, 1, 2].map((i) => [`x-${i}.txt`, i]),
    );
    t.match(files[0], {
      name: 'x-0.txt',
      size: 9,
      peers: [{ id, address: formatAddress(address) }],
    });
    t.same(
      files.map(({ peers }) => peers?.[0]?.id).sort(),
      nodes.map((node) => node.id).sort(),
      'who has it',
    );
    t.same(lines.at(-1), { type: 'end', asked: 2, answered: 2, late: 0 });
  });
  await t.test('not so far', async (t) => {
    const near = linesOf((await ask(address, 'GET', '/search?q=x-&ttl=0')).body);
    t.match(near, [{ path: 'x-0.txt' }, { type: 'end', asked: 0 }]);
    t.equal(near.length, 2);
    const one = linesOf((await ask(address, 'GET', '/search?q=x&ttl=0&max=1')).body);
    t.equal(one.length, 2);
  });
  await t.test('by hash', async (t) => {
    const [{ hash = '' } = {}] = linesOf((await ask(address, 'GET', '/search?q=x-2')).body);
    const found = linesOf((await ask(address, 'GET', `/search?hash=${hash}`)).body);
    t.match(found, [{ path: 'x-2.txt', hops: 2 }, { type: 'end' }]);
  });
  await t.test('what is no search', async (t) => {
    for (const query of ['', '?q=a&hash=b', '?hash=x', '?q=a&ttl=8', '?q=a&max=0', '?q=a&max=x']) {
      t.equal((await ask(address, 'GET', `/search${query}`)).status, 400, query);
    }
    t.equal((await ask(address, 'GET', `/search?q=${'a'.repeat(1025)}`)).status, 400);
    t.equal((await ask(address, 'HEAD', '/search?q=x-')).status, 200);
  });
  await t.test('peers', async (t) => {
    const { body } = await ask(address, 'GET', '/peers');
    const at = formatAddress(second.address);
    t.match(JSON.parse(body.toString()), {
      peers: [{ id: second.id, address: at, seen: Number, rtt: Number }],
    });
  });
  await t.test('its state', async (t) => {
    const { body } = await ask(address, 'GET', '/status');
    t.match(JSON.parse(body.toString()), {
      id,
      port: address.port,
      version: /^p2p-serve\//,
      share: { files: 2, bytes: 19, hashing: false },
      uploads: [],
      sentBytes: 0,
    });
  });
  await t.test('pages of other sites', async (t) => {
    for (const path of ['/search?q=x-', '/peers', '/status']) {
      const from = (site: string, mode: string) =>
        ask(address, 'GET', path, { 'Sec-Fetch-Site': site, 'Sec-Fetch-Mode': mode });
      t.equal((await from('cross-site', 'no-cors')).status, 403, path);
      t.equal((await from('same-site', 'cors')).status, 403, path);
      t.equal((await from('same-origin', 'cors')).status, 200, path);
      t.equal((await from('cross-site', 'navigate')).status, 200, path);
    }
  });
});

t.test('a client that goes ends its search', async (t) => {
  let asked: () => void = () => undefined;
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  // It never answers.
  const silent = await startNeighbour(t, provableId(78), asked);
  const options = { peers: [silent], times: TIMES };
  const node = await startIndexed(t, t.testdir({ 'travel.txt': 'a' }), options);
  await until(node, () => linksOf(node).length === 1);
  const socket = sending(node.address, requestText('GET', '/search?q=travel'));
  await Promise.all([once(socket, 'data'), isAsked]);
  t.equal(node.searchStats.open, 1);
  socket.resetAndDestroy();
  while (node.stats.openConnections > 0) await new Promise(setImmediate);
  t.equal(node.searchStats.open, 0);
});

t.test('a client that asks too often', async (t) => {
  const { address } = await startIndexed(t, t.testdir({ 'travel.txt': 'a' }));
  const text = requestText('GET', '/search?q=travel&ttl=1').repeat(250);
  const socket = sending(address, text + requestText('GET', '/healthz', { Connection: 'close' }));
  let all = '';
  socket.on('data', (chunk: Buffer) => (all += chunk.toString('latin1')));
  await once(socket, 'close');
  t.match(all, /HTTP\/1.1 503 /, 'some are refused');
  t.match(all, /Retry-After: /);
  t.match(all, /ok\n$/, 'and all are answered');
});
