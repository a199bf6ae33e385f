/** Who is not dialled for a while, and what it takes. */
import t from 'tap';
import { Bans } from '../../lib/limits/bans.js';
import { PeerScore, OFFENCES } from '../../lib/limits/offences.js';
import { PeerTable } from '../../lib/peers/table.js';
import { PEER_TIMES } from '../../lib/peers/times.js';
import { id } from '../fixtures/search.js';

const at = (n: number, port = 7000): { host: string; port: number } => ({
  host: `192.168.0.${n}`,
  port,
});

t.test('bans end, last longer each time, and are bounded in number', (t) => {
  let now = 1000;
  const bans = new Bans(100, () => now, 5);
  bans.add(at(1));
  t.same([bans.has(at(1)), bans.has(at(1, 7001)), bans.has(at(2))], [true, false, false]);
  now += 100;
  t.notOk(bans.has(at(1)));
  bans.add(at(1));
  now += 199;
  t.ok(bans.has(at(1)), 'twice as long');
  now += 1;
  t.notOk(bans.has(at(1)));
  for (let i = 0; i < 10; i++) bans.add(at(1));
  t.equal(bans.until(at(1)), now + 1600, 'but not for ever');
  for (let i = 2; i < 10; i++) bans.add(at(i));
  t.equal(bans.size, 5);
  t.same([bans.has(at(1)), bans.has(at(9))], [false, true], 'the oldest is forgotten');
  t.end();
});

t.test('three addresses of a host are all of it, except on loopback', (t) => {
  let now = 0;
  const bans = new Bans(100, () => now);
  for (const port of [1, 2]) bans.add(at(1, port));
  t.notOk(bans.has(at(1, 9)));
  now = 50;
  bans.add(at(1, 3));
  t.ok(bans.has(at(1, 9)));
  now = 100;
  t.notOk(bans.has(at(1, 9)), 'while there are three');
  for (const port of [1, 2, 3, 4]) bans.add({ host: '127.0.0.1', port });
  t.notOk(bans.has({ host: '127.0.0.1', port: 9 }));
  t.end();
});

t.test('points', (t) => {
  const conduct = new PeerScore(0);
  for (let i = 1; i < 20; i++) t.notOk(conduct.add('stray', 0), `${i}`);
  t.ok(conduct.add('stray', 0));
  const slow = new PeerScore(0);
  for (let i = 1; i < 100; i++) t.notOk(slow.add('stray', i * 30_000), 'one in half a minute');
  for (const offence of Object.keys(OFFENCES) as (keyof typeof OFFENCES)[]) {
    t.equal(new PeerScore(0).add(offence, 0), OFFENCES[offence] >= 100, offence);
  }
  t.end();
});

t.test('the table does not take up, list or try who is banned', (t) => {
  let now = 1_000_000;
  const changes: string[] = [];
  const table = new PeerTable({
    self: id(0),
    times: PEER_TIMES,
    now: () => now,
    random: () => 0.5,
    onChange: (kind, peer) => changes.push(`${kind} ${peer.host}`),
  });
  table.name(at(1));
  table.hear(at(2), 'somebody');
  for (const n of [1, 2]) t.equal(table.reached(at(n), id(n), 1), 'kept');
  for (const n of [1, 2]) table.ban(at(n));
  t.same(changes, ['up 192.168.0.1', 'up 192.168.0.2', 'down 192.168.0.1', 'down 192.168.0.2']);
  t.same(
    table.list(10, () => true),
    [],
  );
  t.notOk(table.hear(at(2), 'somebody else'), 'whoever speaks of it');
  table.greet(at(2), 'itself');
  t.equal(table.at(at(2)), undefined);
  t.ok(table.at(at(1)), 'what the user named is not forgotten');
  now += PEER_TIMES.banned - 1;
  t.equal(
    table.next(true, () => false),
    undefined,
  );
  t.equal(
    table.nextDue(() => false),
    now + 1,
  );
  t.equal(table.reached(at(2), id(2), 1), 'full', 'it was dialled when it was banned');
  now += 1;
  t.same(table.next(true, () => false)?.address, at(1), 'afterwards it is tried again');
  t.ok(table.hear(at(2), 'somebody else'));
  // Another with the same id, elsewhere, is not concerned.
  t.equal(table.reached(at(3), id(2), 1), 'kept');
  t.end();
});
