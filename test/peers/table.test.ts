/** The table of known peers, on a clock of its own. */
import fc from 'fast-check';
import t from 'tap';
import { decodePeers, encodePeers } from '../../lib/state/saved-peers.js';
import { listPeers } from '../../lib/peers/peer-list.js';
import { PeerTable, type TableOptions } from '../../lib/peers/table.js';
import { PEER_TIMES } from '../../lib/peers/times.js';
import type { PeerAddress } from '../../lib/net/address.js';
import { Random } from '../../lib/support/random.js';
import type { ListedPeer, PeerContact } from '../../lib/wire/messages.js';
import { seeded } from '../fixtures/bytes.js';
import { size as sizeOf } from '../hostile/sizes.js';

const SELF = 'ff'.repeat(32);
const MAX = 1000;
const SHARE = MAX / 8;
const { pauses, fresh, dropped, alias, namedPause, revisit } = PEER_TIMES;

const idOf = (n: number): string => n.toString(16).padStart(64, '0');
/** An address in a private network, where every one is a source of its own. */
const at = (n: number, port = 7000): PeerAddress => ({
  host: `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`,
  port,
});
const nobody = (): boolean => false;
const all = (): boolean => true;

type Wanted = (peer: PeerContact) => boolean;

interface World {
  /** With what it tells others. */
  table: PeerTable & { list: (max: number, wanted: Wanted, first?: Wanted) => ListedPeer[] };
  clock: { now: number };
  changes: string[];
}

function world(seed = 1, options: Partial<TableOptions> = {}): World {
  const clock = { now: 1_000_000_000 };
  const changes: string[] = [];
  const table = new PeerTable({
    self: SELF,
    times: PEER_TIMES,
    now: () => clock.now,
    random: seeded(seed),
    onChange: (kind, { host }) => changes.push(`${kind} ${host}`),
    ...options,
  });
  const choice = new Random(seeded(seed));
  const list = (max: number, wanted: Wanted, first?: Wanted): ListedPeer[] =>
    listPeers(table.up(), { max, now: clock.now, fresh, random: choice, wanted, first });
  return { table: Object.assign(table, { list }), clock, changes };
}

t.test('only what this node reached itself, and lately, is listed', (t) => {
  const { table, clock, changes } = world();
  table.hear(at(1), 'a');
  t.same(table.list(50, all), [], 'heard of');
  t.equal(table.reached(at(1), idOf(1), 5), 'kept');
  t.same(table.list(50, all), [{ id: idOf(1), ...at(1), seen: 0 }], 'reached');
  clock.now += 7_900;
  t.equal(table.list(50, all)[0]?.seen, 7);
  t.same(table.list(50, nobody), [], 'of no use to the asker');
  clock.now += fresh;
  t.same(table.list(50, all), [], 'a while ago');
  table.seen({ id: idOf(1), ...at(1) }, 3);
  t.equal(table.list(50, all).length, 1);
  table.failed(at(1));
  t.same(table.list(50, all), [], 'and it failed since');
  t.same(changes, ['up 10.0.0.1', 'down 10.0.0.1']);
  t.end();
});

t.test('a random choice of many, linked ones first', (t) => {
  const { table } = world();
  for (let n = 1; n <= 200; n++) table.reached(at(n), idOf(n), 1);
  const first = table.list(50, all);
  t.equal(first.length, 50);
  t.equal(new Set(first.map(({ id }) => id)).size, 50, 'no one twice');
  t.notSame(table.list(50, all), first);
  const linked = new Set([idOf(7), idOf(150)]);
  const some = table.list(5, all, ({ id }) => linked.has(id)).map(({ id }) => id);
  t.same(new Set(some.slice(0, 2)), linked);
  t.equal(some.length, 5);
  const counts = new Map<string, number>();
  for (let i = 0; i < 400; i++) {
    for (const { id } of table.list(50, all)) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  t.equal(counts.size, 200, 'each has its turn');
  t.ok(Math.max(...counts.values()) < 160 && Math.min(...counts.values()) > 50, 'about as often');
  t.end();
});

t.test('three failures with growing pauses, then dropped and not heard of for a while', (t) => {
  const { table, clock } = world();
  t.ok(table.hear(at(1), 'a'));
  let last = 0;
  for (const pause of pauses) {
    t.same(table.order.next(true, nobody)?.address, at(1));
    table.trying(at(1));
    table.failed(at(1));
    t.equal(table.order.next(true, nobody), undefined, 'not at once');
    const due = table.order.nextDue(nobody) - clock.now;
    t.ok(due >= pause * 0.75 && due <= pause * 1.25 && due > last, `${due} ms`);
    last = due;
    // Hearsay changes nothing.
    t.notOk(table.hear(at(1), 'b'));
    t.equal(table.order.nextDue(nobody) - clock.now, due);
    clock.now += due;
  }
  table.trying(at(1));
  table.failed(at(1));
  t.equal(table.size, 0, 'dropped');
  t.notOk(table.hear(at(1), 'b'), 'not taken up');
  clock.now += dropped;
  t.ok(table.hear(at(1), 'b'), 'after a while');
  t.end();
});

t.test('a dropped peer that comes itself has one more attempt', (t) => {
  const { table, clock } = world();
  const fail = (): void => {
    table.trying(at(1));
    table.failed(at(1));
  };
  table.hear(at(1), 'a');
  for (let i = 0; i <= pauses.length; i++) {
    clock.now += PEER_TIMES.hostPause;
    fail();
  }
  table.greet(at(1), 'a');
  t.equal(table.order.next(true, nobody), undefined, 'not at once');
  clock.now += PEER_TIMES.soon;
  t.same(table.order.next(true, nobody)?.address, at(1));
  fail();
  t.equal(table.size, 0, 'and no more');
  table.greet(at(1), 'a');
  clock.now += PEER_TIMES.soon;
  t.equal(table.reached(at(1), idOf(1), 1), 'kept');
  fail();
  t.equal(table.at(at(1))?.failures, 1, 'reached, its failures are forgotten');
  const due = table.order.nextDue(nobody);
  table.greet(at(1), 'a');
  t.ok(table.order.nextDue(nobody) < due, 'tried soon');
  t.equal(table.at(at(1))?.failures, 1, 'without forgetting them');
  t.end();
});

t.test('one that the user named is never dropped', (t) => {
  const { table, clock } = world();
  table.reached(at(0), idOf(0), 1);
  table.hear(at(1), 'a');
  table.name(at(1));
  // Another answers: the network is there.
  const isUp = ({ up }: { up: boolean }): boolean => up;
  let longest = 0;
  for (let i = 0; i < 20; i++) {
    t.same(table.order.next(false, isUp)?.address, at(1));
    table.trying(at(1));
    table.failed(at(1));
    const due = table.order.nextDue(isUp) - clock.now;
    longest = Math.max(longest, due);
    clock.now += due;
  }
  t.ok(longest > namedPause * 0.75 && longest <= namedPause * 1.25, `${longest} ms at most`);
  for (let n = 2; n < 20 * MAX; n++) table.hear(at(n), `source ${n % 50}`);
  t.equal(table.size, MAX);
  t.ok(table.at(at(1)), 'not even for others');
  table.name(at(99_999));
  t.equal(table.size, MAX, 'room is made');
  t.ok(table.at(at(99_999)));
  table.unname(at(99_999));
  t.equal(table.at(at(99_999)), undefined);
  t.end();
});

t.test('an id is a claim: at another address it is another peer', (t) => {
  const { table, changes } = world();
  const ids = (): string[] => table.list(50, all).map(({ host }) => host);
  t.equal(table.reached(at(1), idOf(1), 1), 'kept');
  t.equal(table.reached(at(2), idOf(1), 1), 'kept', 'who came first keeps nobody out');
  t.same(ids().sort(), ['10.0.0.1', '10.0.0.2']);
  table.failed(at(1));
  t.same(ids(), ['10.0.0.2']);
  table.lost({ id: idOf(1), ...at(2) });
  t.equal(table.reached(at(1), idOf(1), 1), 'kept', 'it comes back');
  t.same(changes, ['up 10.0.0.1', 'up 10.0.0.2', 'down 10.0.0.1', 'up 10.0.0.1']);
  // Another peer at the address.
  t.equal(table.reached(at(2), idOf(3), 1), 'kept');
  t.same(
    table.withId(idOf(1)).map(({ address }) => address),
    [at(1)],
  );
  t.same(changes.slice(4), ['down 10.0.0.2', 'up 10.0.0.2']);
  t.end();
});

t.test('a proven id ends the claims', (t) => {
  const { table, clock } = world();
  for (const n of [1, 2]) table.reached(at(n), idOf(1), 1);
  t.equal(table.reached(at(3), idOf(1), 1, { proven: true }), 'kept');
  t.same(
    table.list(50, all).map(({ host }) => host),
    ['10.0.0.3'],
  );
  t.equal(table.reached(at(4), idOf(1), 1), 'alias', 'a claim is worth nothing now');
  t.equal(
    table.reached(at(5), idOf(1), 1, { proven: true }),
    'alias',
    'proven, it is another address of it',
  );
  t.notOk(table.hear(at(5), 'b'), 'which is remembered');
  table.greet(at(5), 'b');
  table.name(at(5));
  t.equal(table.size, 1, 'whoever says it');
  // The first stops working: the other takes its place.
  table.failed(at(3));
  table.greet(at(5), 'b');
  t.equal(table.reached(at(5), idOf(1), 1, { proven: true }), 'kept');
  t.same(table.list(50, all)[0], { id: idOf(1), ...at(5), seen: 0 });
  t.equal(table.size, 1);
  clock.now += alias;
  t.ok(table.hear(at(3), 'a'), 'not for ever');
  t.end();
});

t.test('a peer that the user named is where the user says', (t) => {
  const { table } = world();
  t.equal(table.reached(at(1), idOf(1), 1), 'kept');
  table.name(at(2));
  t.equal(table.reached(at(2), idOf(1), 1), 'kept');
  t.equal(table.at(at(1)), undefined);
  t.equal(table.reached(at(1), idOf(1), 1), 'alias');
  table.name(at(3));
  t.equal(table.reached(at(3), idOf(1), 1), 'alias', 'one name may have two addresses');
  t.end();
});

t.test('this node has no address, a listener on this machine one', (t) => {
  const { table } = world();
  table.name(at(9));
  t.equal(table.reached(at(9), SELF, 1), 'self');
  t.equal(table.at(at(9)), undefined);
  table.hear(at(9), 'a');
  table.greet(at(9), 'a');
  table.name(at(9));
  t.equal(table.at(at(9)), undefined, 'never dialled again');
  t.equal(table.reached({ host: '127.0.0.1', port: 7000 }, idOf(1), 1), 'kept');
  t.equal(table.reached({ host: '::1', port: 7000 }, idOf(1), 1), 'alias');
  t.equal(table.reached({ host: '127.0.0.1', port: 7001 }, idOf(1), 1), 'kept');
  t.end();
});

t.test('a proven id counts for more than a claim', (t) => {
  const { table, clock } = world();
  t.equal(table.reached(at(1), idOf(1), 1), 'kept');
  t.equal(
    table.reached(at(2), idOf(1), 1, { proven: true }),
    'kept',
    'in the place of one that claims it',
  );
  t.match(table.withId(idOf(1)), [{ address: at(2) }]);
  t.equal(table.at(at(1)), undefined);
  t.equal(table.reached(at(3), idOf(1), 1), 'alias', 'a claim changes nothing');
  t.equal(table.reached(at(1), idOf(1), 1), 'alias', 'nor at the former address');
  table.failed(at(2));
  t.equal(table.reached(at(3), idOf(1), 1), 'alias', 'nor when the peer cannot be reached');
  t.equal(table.reached(at(1), idOf(1), 1), 'alias');
  t.equal(
    table.reached(at(4), idOf(1), 1, { proven: true }),
    'kept',
    'where it has moved it proves itself',
  );
  clock.now += alias;
  const saved = table.save();
  t.match(saved, [{ id: idOf(1), ...at(4), proven: true }]);
  const again = world().table;
  again.restore(saved);
  t.equal(again.reached(at(5), idOf(1), 1), 'alias', 'after a restart, too');
  t.end();
});

t.test('another key at an address is another peer', (t) => {
  const { table, changes } = world();
  table.reached(at(1), idOf(1), 1, { proven: true });
  for (let n = 0; n < 3; n++) table.lost({ id: idOf(1), ...at(1) }, 0);
  t.equal(table.reached(at(1), idOf(2), 1, { proven: true }), 'kept');
  t.match(table.at(at(1)), { id: idOf(2), losses: 0, nextLink: 0, proven: true });
  t.same(table.withId(idOf(1)), []);
  t.same(changes, ['up 10.0.0.1', 'down 10.0.0.1', 'up 10.0.0.1']);
  t.end();
});

t.test('reached peers are visited again, the longest unvisited first', (t) => {
  const { table, clock } = world();
  table.reached(at(1), idOf(1), 1);
  clock.now += 1000;
  table.reached(at(2), idOf(2), 1);
  table.hear(at(3), 'a');
  t.same(table.order.next(true, nobody)?.address, at(3));
  t.equal(table.order.next(false, nobody), undefined);
  clock.now += revisit * 2;
  t.ok(table.order.next(true, nobody)?.id, 'before what was only heard of');
  t.same(
    table.order.next(true, ({ id }) => id !== undefined)?.address,
    at(3),
    'unless there is a link to it',
  );
  const before = table.order.nextDue(({ id }) => id === undefined);
  table.lost({ id: idOf(2), ...at(2) });
  t.ok(table.order.nextDue(({ id }) => id !== idOf(2)) <= Math.max(before, clock.now + 1000));
  t.end();
});

t.test('every source has the same chance', (t) => {
  const { table } = world();
  for (let n = 0; n < 100; n++) table.hear(at(n), 'loud');
  table.hear(at(100_000), 'quiet');
  let quiet = 0;
  for (let i = 0; i < 1000; i++) if (table.order.next(true, nobody)?.source === 'quiet') quiet++;
  t.ok(quiet > 400 && quiet < 600, `${quiet} of 1000`);
  t.end();
});

t.test('peers of one public network fill only a part', (t) => {
  const { table } = world();
  let kept = 0;
  for (let n = 1; n < 65_536; n += 13) {
    if (table.reached({ host: `2a00:1:1::${n.toString(16)}`, port: 7000 }, idOf(n), 1) === 'kept') {
      kept++;
    }
  }
  t.equal(kept, SHARE);
  let others = 0;
  for (let n = 1; n < 5000; n++) if (table.reached(at(n), idOf(70_000 + n), 1) === 'kept') others++;
  t.equal(kept + others, MAX * 0.75, 'and what is heard has some room');
  t.equal(table.hear(at(9_000_000 & 0xffffff), 'a'), true);
  t.equal(table.order.next(true, nobody), undefined, 'not tried while no more can be kept');
  t.end();
});

t.test('kept and restored; nothing of it is told before it is reached again', (t) => {
  const first = world();
  for (let n = 1; n <= 900; n++) {
    first.clock.now += 1000;
    first.table.reached(at(n), idOf(n), 1);
  }
  first.table.hear(at(5000), 'a');
  const bytes = encodePeers(first.table.save());
  const second = world();
  second.clock.now = first.clock.now + 5000;
  const saved = decodePeers(bytes);
  t.equal(saved.length, 750);
  t.equal(saved[0]?.id, idOf(750), 'the latest first');
  second.table.restore([{ id: SELF, ...at(7777), seen: 1 }, ...saved, ...saved]);
  t.equal(second.table.size, 750);
  t.same(second.table.list(50, all), []);
  t.ok(second.table.order.next(false, nobody));
  t.equal(second.table.at(at(3))?.id, idOf(3));
  t.equal(second.table.at(at(7777)), undefined);

  const peer = { id: idOf(1), ...at(1), seen: 1 };
  for (const wrong of [{ host: 'example.org' }, { host: '0.0.0.0' }, { host: '' }, { port: 0 }]) {
    const { table } = world();
    table.restore(decodePeers(encodePeers([{ ...peer, ...wrong }])));
    t.equal(table.size, 0, JSON.stringify(wrong));
  }
  for (const wrong of [{ id: 'ab' }, { port: 65_536 }, { host: 'x'.repeat(256) }]) {
    t.throws(() => decodePeers(encodePeers([{ ...peer, ...wrong }])), { code: 'ERR_MALFORMED' });
  }
  t.throws(() => encodePeers([{ ...peer, seen: -1 }]), TypeError);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (junk) => {
      try {
        return decodePeers(junk).length === 0;
      } catch (error) {
        return (error as { code?: string }).code === 'ERR_MALFORMED';
      }
    }),
  );
  t.end();
});

t.test('one lying source with 100,000 addresses owns no more than its share', (t) => {
  const RUNS = sizeOf(200, 1000);
  const INVENTED = 100_000;
  let most = 0;
  let largest = 0;
  let honest = 0;
  const invented = Array.from({ length: INVENTED }, (_, n) => at(n));
  for (let seed = 1; seed <= RUNS; seed++) {
    const random = seeded(seed);
    const { table, clock } = world(seed);
    for (let n = 0; n < 40; n++) table.reached(at(0xff0000 + n), idOf(n), 1);
    for (let n = 0; n < 20; n++) table.hear(at(0xfe0000 + n), 'honest');
    // All 100,000 are said, in lists of 50, in another order each time; some are tried between.
    const step = 1 + 2 * Math.floor(random() * 20_000);
    let place = Math.floor(random() * INVENTED);
    for (let n = 0; n < INVENTED; n++) {
      place = (place + step) % INVENTED;
      const address = invented[place];
      if (address !== undefined) table.hear(address, 'liar');
      if (n % 500 === 499) {
        const peer = table.order.next(true, ({ source }) => source !== 'liar');
        if (peer !== undefined) {
          table.trying(peer.address);
          table.failed(peer.address);
        }
        clock.now += random() * 5000;
        most = Math.max(most, table.heardFrom('liar'));
        largest = Math.max(largest, table.size + table.remembered);
      }
    }
    honest += table.heardFrom('honest');
    if (table.list(100, all).length > 40) t.fail('an invented address is listed');
    if ([...table.up()].length !== 40) t.fail('a reached peer is gone');
  }
  t.equal(most, SHARE, 'its share, and no more');
  t.ok(largest <= MAX + 2 * 4096, `${largest} things remembered at most`);
  t.equal(honest, 20 * RUNS, 'what others said stays');
  t.end();
});

t.test('whatever is done, the table stays in order', (t) => {
  const address = fc.nat(60).map((n) => at(n));
  const id = fc.nat(40).map((n) => (n === 0 ? SELF : idOf(n)));
  const source = fc.constantFrom('a', 'b', 'c');
  const step = fc.oneof(
    fc.record({ do: fc.constant('hear' as const), address, source }),
    fc.record({ do: fc.constant('greet' as const), address, source }),
    fc.record({ do: fc.constant('name' as const), address }),
    fc.record({ do: fc.constant('unname' as const), address }),
    fc.record({ do: fc.constant('reached' as const), address, id, isProven: fc.boolean() }),
    fc.record({ do: fc.constant('failed' as const), address }),
    fc.record({ do: fc.constant('lost' as const), id, address }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.nat(100_000) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.nat(), (steps, seed) => {
      const up = new Set<string>();
      const { table, clock } = world(seed, {
        max: 16,
        onChange: (kind, peer) => {
          const name = `${peer.id} ${peer.host}`;
          if (kind === 'up' ? up.has(name) : !up.has(name)) throw new Error(`${kind} twice`);
          if (kind === 'up') up.add(name);
          else up.delete(name);
        },
      });
      const names = new Set<string>();
      for (const step of steps) {
        if (step.do === 'hear') table.hear(step.address, step.source);
        else if (step.do === 'greet') table.greet(step.address, step.source);
        else if (step.do === 'name' && names.size < 4) {
          names.add(step.address.host);
          table.name(step.address);
        } else if (step.do === 'unname') {
          names.delete(step.address.host);
          table.unname(step.address);
        } else if (step.do === 'reached') {
          table.reached(step.address, step.id, 1, { proven: step.isProven });
        }
        if (step.do === 'failed') table.failed(step.address);
        else if (step.do === 'lost') table.lost({ id: step.id, ...step.address });
        else if (step.do === 'wait') clock.now += step.ms;
        const peers = [...table.up()];
        if (peers.some(({ id }) => id === SELF) || peers.length !== up.size) return false;
        if (!peers.every(({ id, address }) => up.has(`${id} ${address.host}`))) return false;
        const proven = peers.filter((peer) => peer.proven);
        if (proven.some(({ id }) => table.withId(id).length > 1)) return false;
        for (const from of ['a', 'b', 'c']) {
          const counted = Array.from({ length: 61 }, (_, n) => table.at(at(n))).filter(
            (peer) => peer?.source === from && peer.id === undefined && !peer.named,
          );
          if (counted.length !== table.heardFrom(from) || counted.length > 2) return false;
        }
        if (table.size > 16 + names.size) return false;
      }
      return true;
    }),
    { numRuns: 2000 },
  );
  t.end();
});
