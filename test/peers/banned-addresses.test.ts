/** Addresses that are not dialled for a while. */
import t from 'tap';
import { PeerTable } from '../../lib/peers/table.js';
import { PEER_TIMES } from '../../lib/peers/times.js';
import { id } from '../fixtures/search.js';

const at = (n: number, port = 7000): { host: string; port: number } => ({
  host: `192.168.0.${n}`,
  port,
});

t.test('the table does not take up, list or try what is banned', (t) => {
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
  t.same([...table.up()], []);
  t.notOk(table.hear(at(2), 'somebody else'), 'whoever speaks of it');
  table.greet(at(2), 'itself');
  t.equal(table.at(at(2)), undefined);
  t.ok(table.at(at(1)), 'what the user named is not forgotten');
  now += PEER_TIMES.banned - 1;
  t.equal(
    table.order.next(true, () => false),
    undefined,
  );
  t.equal(
    table.order.nextDue(() => false),
    now + 1,
  );
  t.equal(table.reached(at(2), id(2), 1), 'full', 'it was dialled when it was banned');
  now += 1;
  t.same(table.order.next(true, () => false)?.address, at(1), 'afterwards it is tried again');
  t.ok(table.hear(at(2), 'somebody else'));
  // Another with the same id, elsewhere, is not concerned.
  t.equal(table.reached(at(3), id(2), 1), 'kept');
  t.end();
});

t.test('three banned addresses of a host ban all of it, except on loopback', (t) => {
  const options = { self: id(0), times: PEER_TIMES, now: () => 0, random: Math.random };
  const table = new PeerTable(options);
  for (const port of [7001, 7002]) table.ban(at(1, port));
  t.notOk(table.isBanned(at(1, 7009)));
  table.ban(at(1, 7003));
  t.ok(table.isBanned(at(1, 7009)));
  t.notOk(table.isBanned(at(2, 7009)));
  for (const port of [7001, 7002, 7003, 7004]) table.ban({ host: '127.0.0.1', port });
  t.notOk(table.isBanned({ host: '127.0.0.1', port: 7009 }));
  t.end();
});
