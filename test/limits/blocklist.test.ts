/** Addresses that are blocked for a while. */
import t from 'tap';
import { Blocklist } from '../../lib/limits/blocklist.js';
import { ExpiringMap } from '../../lib/limits/expiring-map.js';

t.test('a block lasts from the last time on', (t) => {
  let now = 0;
  const list = new Blocklist({ first: 1000, now: () => now });
  t.notOk(list.has('a'));
  list.add('a');
  now = 500;
  list.add('b');
  now = 999;
  t.same([list.has('a'), list.has('b')], [true, true]);
  now = 1000;
  t.same([list.has('a'), list.has('b')], [false, true]);
  list.add('b');
  now = 1999;
  t.ok(list.has('b'), 'it did it again');
  now = 2000;
  t.notOk(list.has('b'));
  t.end();
});

t.test('each block is longer than the last one, and their number is bounded', (t) => {
  let now = 1000;
  const list = new Blocklist({ first: 100, longest: 1600, max: 5, now: () => now });
  list.add('1');
  now += 100;
  t.notOk(list.has('1'));
  list.add('1');
  now += 199;
  t.ok(list.has('1'), 'twice as long');
  now += 1;
  t.notOk(list.has('1'));
  for (let i = 0; i < 10; i++) list.add('1');
  t.equal(list.until('1'), now + 1600, 'but not for ever');
  for (let i = 2; i < 10; i++) list.add(`${i}`);
  t.equal(list.size, 5);
  t.same([list.has('1'), list.has('9')], [false, true], 'the oldest is forgotten');
  t.end();
});

t.test('three members of a group block all of it, as long as three are blocked', (t) => {
  let now = 0;
  const list = new Blocklist({ first: 100, now: () => now });
  for (const key of ['a', 'b', 'a']) list.add(key, 'host');
  t.notOk(list.has('other', 'host'));
  now = 50;
  list.add('c', 'host');
  t.ok(list.has('other', 'host'));
  t.notOk(list.has('other', 'another host'));
  t.equal(list.until('other', 'host'), 100);
  for (const key of ['d', 'e', 'f']) list.add(key, 'host');
  t.equal(list.until('other', 'host'), 150, 'those blocked longest count');
  now = 150;
  t.notOk(list.has('other', 'host'));
  t.end();
});

t.test('10,000 hosts: a block takes no longer than with few', (t) => {
  const looks: number[] = [];
  const list = new Blocklist({ first: 1000, max: 4096, now: () => looks.push(0) && 0 });
  const cost = (key: string, group: string): number => {
    looks.length = 0;
    list.add(key, group);
    return looks.length;
  };
  const first = cost('0', 'host 0');
  for (let i = 1; i < 10_000; i++) cost(`${i}`, `host ${i}`);
  t.equal(cost('last', 'last host'), first);
  t.ok(list.size <= 2 * 4096, `${list.size} things remembered`);
  t.end();
});

t.test('an expiring map: entries end by themselves, and the oldest makes room', (t) => {
  let now = 0;
  const map = new ExpiringMap<number>(3, 100, () => now);
  map.set('a', 1);
  map.set('b', 2, 10);
  now = 50;
  t.same([map.get('a'), map.get('b'), map.has('c')], [1, undefined, false]);
  map.set('a', 3);
  now = 149;
  t.equal(map.get('a'), 3, 'set again it lives longer');
  for (const key of ['c', 'd', 'e']) map.set(key, 0);
  t.same([map.size, map.has('a'), map.has('e')], [3, false, true]);
  map.delete('e');
  t.equal(map.size, 2);
  t.end();
});
