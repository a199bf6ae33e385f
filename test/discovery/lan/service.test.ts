/** What is announced in a network, and what is read of what others announce there. No sockets. */
import dnsPacket from 'dns-packet';
import type { NetworkInterfaceInfo } from 'node:os';
import t from 'tap';
import { FoundPeers } from '../../../lib/discovery/lan/found.js';
import { linksFor } from '../../../lib/discovery/lan/links.js';
import type { DnsRecord, Received } from '../../../lib/discovery/lan/packet.js';
import {
  SERVICE,
  announcement,
  asksFor,
  queryFor,
  servicesIn,
} from '../../../lib/discovery/lan/service.js';
import { Random } from '../../../lib/support/random.js';
import { seededRandom } from '../../fixtures/random.js';

const ID = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);
const NODE = { id: ID, port: 7000 };
const NAME = `p2p-${ID.slice(0, 32)}.${SERVICE}`;

/** As it comes out of the other end. */
function sent(packet: object, type: 'query' | 'response'): Received {
  return dnsPacket.decode(dnsPacket.encode({ ...packet, type })) as Received;
}
const response = (...answers: object[]): Received =>
  sent({ answers: answers as DnsRecord[] }, 'response');

t.test('what is announced is read', (t) => {
  const addresses = ['10.0.0.7', 'fe80::7'];
  const packet = sent(announcement(NODE, addresses), 'response');
  t.same(servicesIn(packet), [{ ...NODE, ttl: 120 }]);
  const texts = JSON.stringify(announcement(NODE, addresses));
  t.notMatch(texts, /hostname|\.txt/);
  t.same(servicesIn(sent(announcement(NODE, [], 'goodbye'), 'response')), [{ ...NODE, ttl: 0 }]);
  const legacy = announcement(NODE, addresses, 'legacy').answers;
  t.ok(legacy.every((record) => 'ttl' in record && (record.ttl ?? 0) <= 10));
  t.end();
});

t.test('what is asked', (t) => {
  t.ok(asksFor(sent(queryFor([]), 'query'), ID));
  t.ok(asksFor(sent(queryFor([OTHER]), 'query'), ID), 'another is known');
  t.notOk(asksFor(sent(queryFor([OTHER, ID]), 'query'), ID), 'it is known');
  const asked = (name: string, type: 'ANY' | 'PTR' | 'SRV' | 'TXT' | 'A'): boolean =>
    asksFor(sent({ questions: [{ name, type: type as 'A' }] }, 'query'), ID);
  t.ok(asked('_services._dns-sd._udp.local', 'PTR'));
  t.ok(asked(NAME.toUpperCase(), 'SRV'), 'in any case');
  t.ok(asked(`p2p-${ID.slice(0, 32)}.local`, 'A'));
  t.notOk(asked(SERVICE, 'TXT'));
  t.notOk(asked('_http._tcp.local', 'PTR'));
  const [known] = announcement(NODE, []).answers;
  const old = { questions: [{ name: SERVICE, type: 'PTR' }], answers: [{ ...known, ttl: 100 }] };
  t.ok(asksFor(sent(old, 'query'), ID), 'it will be forgotten soon');
  t.end();
});

t.test('what is no node of ours is ignored', (t) => {
  const name = `x.${SERVICE}`;
  const ptr = { type: 'PTR', name: SERVICE, ttl: 100, data: name };
  const srv = { type: 'SRV', name, ttl: 100, data: { port: 7000, target: 'x.local' } };
  const txt = { type: 'TXT', name, ttl: 100, data: [`ID=${OTHER.toUpperCase()}`, `id=${ID}`] };
  const found = [{ id: OTHER, port: 7000, ttl: 100 }];
  t.same(servicesIn(response(ptr, srv, txt)), found, 'the first id counts, without a version');
  t.same(servicesIn(response(txt, srv, ptr)), found, 'in any order');
  const text = (...data: string[]): object => ({ ...txt, data });
  for (const [what, ...records] of [
    ['no port', ptr, txt],
    ['port 0', ptr, txt, { ...srv, data: { port: 0, target: 'x.local' } }],
    ['no id', ptr, srv],
    ['a short id', ptr, srv, text('id=abcd')],
    ['another version', ptr, srv, text(`id=${ID}`, 'version=2')],
    ['no instance', srv, txt],
    ['another service', { ...ptr, name: '_http._tcp.local' }, srv, txt],
    ['a text without =', ptr, srv, text(ID)],
  ] as const) {
    t.same(servicesIn(response(...records)), [], what);
  }
  const many = Array.from({ length: 5000 }, (_, i) => [
    { ...ptr, data: `${i}.${SERVICE}` },
    { ...srv, name: `${i}.${SERVICE}` },
    { ...txt, name: `${i}.${SERVICE}` },
  ]);
  t.ok(servicesIn(response(...many.flat())).length <= 32, 'no more than some of one packet');
  t.end();
});

t.test('packets that are nearly right', (t) => {
  const random = seededRandom(1);
  const valid = dnsPacket.encode({ ...announcement(NODE, ['10.0.0.7']), type: 'response' });
  let read = 0;
  for (let i = 0; i < 5000; i++) {
    const bytes = Buffer.from(valid);
    for (let n = 0; n <= i % 4; n++) {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    }
    let packet: Received;
    try {
      packet = dnsPacket.decode(bytes) as Received;
    } catch {
      continue;
    }
    for (const { id, port, ttl } of servicesIn(packet)) {
      if (!/^[0-9a-f]{64}$/.test(id) || !(port > 0 && port < 65_536) || !(ttl >= 0 && ttl <= 4500))
        t.fail(`${id} ${port} ${ttl}`);
    }
    asksFor(packet, ID);
    read++;
  }
  t.ok(read > 1000);
  t.end();
});

const eth = (address: string, cidr: string): NetworkInterfaceInfo => ({
  ...{ address, cidr, internal: false, netmask: '', mac: '' },
  ...(address.includes(':') ? { family: 'IPv6', scopeid: 2 } : { family: 'IPv4' }),
});
const INTERFACES = {
  lo: [{ ...eth('127.0.0.1', '127.0.0.1/8'), internal: true }],
  eth0: [
    eth('10.0.0.1', '10.0.0.1/24'),
    eth('fe80::1', 'fe80::1/64'),
    eth('2a00::1', '2a00::1/64'),
  ],
  eth1: [eth('10.0.1.1', '10.0.1.1/24')],
};

t.test('links', (t) => {
  const names = (host: string): string[] =>
    linksFor(host, INTERFACES).map(({ name, family }) => `${name} ${family}`);
  t.same(names('::'), ['eth0 4', 'eth1 4', 'eth0 6']);
  t.same(names('0.0.0.0'), ['eth0 4', 'eth1 4']);
  t.same(names('10.0.1.1'), ['eth1 4']);
  t.same(names('127.0.0.1'), []);
  const [four, , six] = linksFor('::', INTERFACES);
  for (const [host, isOn4, isOn6] of [
    ['10.0.0.200', true, false],
    ['10.0.1.200', false, false],
    ['8.8.8.8', false, false],
    ['fe80::2%eth0', false, true],
    ['fe80::2%eth1', false, false],
    ['2a00::2', false, true],
    ['2a00:0:0:1::2', false, false],
  ] as const) {
    t.same([four?.has(host), six?.has(host)], [isOn4, isOn6], host);
  }
  t.end();
});

t.test('what was found', (t) => {
  const [link] = linksFor('10.0.0.1', INTERFACES);
  if (link === undefined) throw new TypeError('no link');
  const found = new FoundPeers(new Random(seededRandom(1)));
  const see = (n: number, host: string, ttl = 100): unknown =>
    found.see({ id: n.toString(16).padStart(64, '0'), port: 7000, ttl }, host, link);
  t.match(see(1, '10.0.0.2'), { host: '10.0.0.2', port: 7000, interface: 'eth0' });
  t.equal(found.freshOn(link, 10).length, 1);
  see(1, '10.0.0.2', 0);
  t.equal(found.all().length, 0, 'goodbye');
  t.equal(found.see({ ...NODE, port: 22, ttl: 100 }, '10.0.0.2', link), undefined, 'no peer port');
  for (let n = 0; n < 10_000; n++) see(n, '10.0.0.2');
  t.equal(found.all().length, 8, 'of one address a few');
  for (let n = 0; n < 10_000; n++) see(n, `10.1.${n >> 8}.${n & 255}`);
  t.equal(found.all().length, 1024, 'a bounded number in all');
  t.ok(see(1, '10.0.0.9') !== undefined, 'and yet there is room for another');
  t.end();
});
