/**
 * Search abuse: what is asked and answered as it should not be is bounded and counted, a peer that does it is
 * dropped and not dialled for a while, and honest searches beside it find all that there is.
 */
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { provableId } from '../fixtures/certificates.js';
import { Child } from '../fixtures/child.js';
import { formatAddress } from '../../lib/index.js';
import { writeFiles } from '../fixtures/bytes.js';
import { TIMES } from '../fixtures/network.js';
import { linksOf, startIndexed, until } from '../fixtures/node.js';
import type { AbuserCalls, Abuse } from './search-abuse/abusers.js';
import { QUERY, type HonestCalls, type Rate } from './search-abuse/honest-network.js';
import { FULL, size } from './sizes.js';

// The other processes run as they would by themselves.
delete process.env['NODE_OPTIONS'];
process.execArgv = [];

const SECONDS = size(0.5, 10);
const RATE = 10;

t.test(
  'honest searches beside every kind of abuse',
  { timeout: 600_000, skip: FULL ? false : 'in full only: it needs a machine to itself' },
  async (t) => {
    const folder = t.testdir();
    writeFiles(join(folder, 'own'), { [`${QUERY}-0.txt`]: '0' });
    const node = await startIndexed(t, join(folder, 'own'), {
      times: { ...TIMES, banned: 600_000 },
    });
    const address = formatAddress(node.address);
    const honest = new Child<HonestCalls>('test/hostile/search-abuse/honest-network.js');
    const abusers = new Child<AbuserCalls>('test/hostile/search-abuse/abusers.js');
    t.teardown(() => Promise.all([honest.stop(), abusers.stop()]));
    const friends = await honest.call('start', { folder, node: address });
    await until(node, () => linksOf(node).length === 2);

    let links = 0;
    /** An abuser on an address of its own becomes a neighbour. */
    const link = async (): Promise<string> => {
      const n = 1_000_000 + ++links;
      await abusers.call('link', { node: address, host: `127.0.0.${100 + links}`, n });
      await until(node, () => linksOf(node).includes(provableId(n)));
      return provableId(n);
    };
    const search = (): Promise<Rate> =>
      honest.call('search', { node: address, rate: RATE, seconds: SECONDS });
    const usual = await search();
    /** @param least which part of the honest searches must find all that there is */
    const say = (what: string, rate: Rate, least = 1): void => {
      const share = Math.round((100 * rate.perSecond) / usual.perSecond);
      const times = `median ${rate.median.toFixed(1)} ms, longest ${rate.longest.toFixed(0)} ms`;
      t.comment(`${what}: ${rate.perSecond.toFixed(1)} searches/s, ${share} % of usual; ${times}`);
      t.ok(rate.complete >= least * rate.begun, `${what}: ${rate.complete} of ${rate.begun}`);
    };
    say('nobody else', usual);

    const milliseconds = SECONDS * 1000;
    const many = Array.from({ length: size(4, 20) }, (_, i) => `127.0.1.${i + 1}`);
    const floods = {
      'a flood from one address': { hosts: ['127.0.0.88'], ttl: 0, timeout: 1000 },
      'one with ttl 255': { hosts: ['127.0.0.89'], ttl: 255, timeout: 600_000 },
      'one from many': { hosts: many, ttl: 255, timeout: 600_000 },
    };
    for (const [name, query] of Object.entries(floods)) {
      const before = { ...node.stats, refusedSearches: node.searchStats.refused };
      const flood = { node: address, connections: size(4, 20), milliseconds, ...query };
      const [rate, { sent, ended }] = await Promise.all([search(), abusers.call('flood', flood)]);
      say(name, rate, 0.9);
      const refused = node.searchStats.refused - before.refusedSearches;
      const shut = node.stats.refused - before.refused;
      t.comment(`${name}: ${sent} sent, ${refused} refused; ${ended} dropped, ${shut} not let in`);
      t.ok(refused > 0, 'it is too much');
    }
    t.ok(node.searchStats.open <= 1024, 'so many are under way at most');

    const banned: [Abuse, 'malformed' | 'stray' | 'excess'][] = [
      ['unasked', 'malformed'],
      ['stray', 'stray'],
      ['large', 'excess'],
    ];
    for (const [abuse, kind] of banned) {
      const abuser = await link();
      const gone = until(node, () => !linksOf(node).includes(abuser));
      const { dials } = await abusers.call('counts', undefined);
      const before = node.misbehaviour;
      await abusers.call('behave', { as: abuse, honest: [] });
      say(`${abuse} results`, await search());
      // Those have what they want before all of it has come; this one waits for the end.
      for await (const result of node.search(QUERY, { timeout: 30_000 })) t.ok(result.peer.id);
      await gone;
      const { misbehaviour } = node;
      t.ok(misbehaviour[kind] > before[kind], kind);
      t.equal(misbehaviour.banned, before.banned + 1, 'the abuser is banned');
      await abusers.call('behave', { as: 'politely', honest: [] });
      await search();
      t.equal((await abusers.call('counts', undefined)).dials, dials, 'and not dialled any more');
      t.equal(linksOf(node).length, 2, 'nobody else');
    }

    const { misbehaviour } = node;
    for (const abuse of ['for others', 'colliding', 'endless'] as const) {
      const abuser = await link();
      await abusers.call('behave', { as: abuse, honest: [...friends, address] });
      say(abuse, await search());
      t.ok(linksOf(node).includes(abuser), 'what an honest peer could do is tolerated');
    }
    t.same(node.misbehaviour, misbehaviour);
    const { capped, refused, late } = node.searchStats;
    t.comment(JSON.stringify({ capped, refused, late, ...misbehaviour }));
    t.ok(capped > 0);
    await honest.call('stop', undefined);
  },
);
