/** What is believed of the addresses that others name. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import {
  AddressPolicy,
  clientOf,
  groupOf,
  interfaceAddresses,
  literal,
  scopeOf,
} from '../../lib/net/scope.js';

t.test('literals have one form; names are none', (t) => {
  for (const [host, form] of [
    ['127.0.0.1', '127.0.0.1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['::FFFF:7f00:1', '127.0.0.1'],
    ['0:0:0:0:0:ffff:10.1.2.3', '10.1.2.3'],
    ['2A00:0:0:0:0:0:0:1', '2a00::1'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['localhost', undefined],
    ['example.org', undefined],
    ['', undefined],
    ['127.1', undefined],
    ['0x7f.0.0.1', undefined],
    ['010.0.0.1', undefined],
    ['2130706433', undefined],
    ['[::1]', undefined],
    ['127.0.0.1 ', undefined],
    ['1.2.3.4%eth0', undefined],
  ] as const) {
    t.equal(literal(host), form, JSON.stringify(host));
  }
  t.end();
});

t.test('scopes', (t) => {
  const corpus = {
    loopback: ['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.3.2.1'],
    'link-local': ['169.254.0.1', 'fe80::1', 'febf::1', 'fe80::1%eth0', '::ffff:169.254.169.254'],
    private: ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fd00::1'],
    shared: ['100.64.0.1', '100.127.255.255', '::ffff:100.64.0.1'],
    public: ['8.8.8.8', '172.32.0.1', '100.128.0.1', '2a00::1', '::ffff:8.8.8.8', '126.0.0.1'],
    never: [
      ...['0.0.0.0', '0.1.2.3', '::', '224.0.0.1', '239.1.1.1', 'ff02::1', '255.255.255.255'],
      ...['240.0.0.1', '192.0.2.1', '198.51.100.7', '203.0.113.7', '198.18.0.1', '2001:db8::1'],
      // IPv4 inside IPv6 in other ways: translated, ISATAP, compatible, NAT64, 6to4, Teredo; and site-local.
      ...['::ffff:0:127.0.0.1', '::ffff:0:7f00:1', '::ffff:0:8.8.8.8', '2a00:1:2:3:0:5efe:7f00:1'],
      ...['2a00:1:2:3:200:5efe:10.0.0.1', '2a00::5efe:10.0.0.1'],
      ...[
        '::127.0.0.1',
        '64:ff9b::7f00:1',
        '2002:7f00:1::1',
        '2001::1',
        'fec0::1',
        '::ffff:0.0.0.0',
      ],
      ...['example.org', 'localhost', ''],
    ],
  };
  for (const [scope, hosts] of Object.entries(corpus)) {
    for (const host of hosts) {
      t.equal(scopeOf(host), scope === 'never' ? undefined : scope, JSON.stringify(host));
    }
  }
  t.end();
});

const OWN = ['192.168.1.10', '2a00:1::10', 'fe80::10', '198.41.0.10'];
const policy = new AddressPolicy(() => OWN);

t.test('which peer may name what', (t) => {
  const { believed } = { believed: policy.believed.bind(policy) };
  const port = 7000;
  for (const [speaker, host, used] of [
    // The same scope, or a wider one.
    ['127.0.0.1', '127.0.3.4', true],
    ['::1', '127.0.0.1', true],
    ['::ffff:127.0.0.1', '::ffff:127.0.0.2', true],
    ['10.0.0.1', '10.9.9.9', true],
    ['10.0.0.1', '192.168.7.7', true],
    ['fd00::1', '10.0.0.1', true],
    ['100.64.0.1', '100.64.9.9', true],
    ['100.64.0.1', '8.8.8.8', true],
    ['10.0.0.1', '8.8.8.8', true],
    ['8.8.8.8', '9.9.9.9', true],
    ['169.254.1.1', '169.254.1.2', true],
    ['fe80::1%eth0', '8.8.8.8', true],
    // Somebody on this machine knows all that it can reach.
    ['127.0.0.1', '10.0.0.1', true],
    ['127.0.0.1', '8.8.8.8', true],
    ['127.0.0.1', '192.168.1.10', true],
    ['192.168.1.10', '192.168.1.10', true],
    ['192.168.1.10', '198.41.0.10', true],
    // A narrower one.
    ['8.8.8.8', '127.0.0.1', false],
    ['8.8.8.8', '::1', false],
    ['8.8.8.8', '::ffff:127.0.0.1', false],
    ['8.8.8.8', '::ffff:7f00:1', false],
    ['8.8.8.8', '10.0.0.1', false],
    ['8.8.8.8', '169.254.169.254', false],
    ['2a00::1', 'fd00::1', false],
    ['10.0.0.1', '127.0.0.1', false],
    ['100.64.0.1', '192.168.1.1', false],
    ['100.64.0.1', '10.0.0.1', false],
    ['10.0.0.1', '100.64.0.1', false],
    ['8.8.8.8', '100.64.0.1', false],
    ['10.0.0.1', '169.254.169.254', false],
    ['169.254.1.1', '10.0.0.1', false],
    ['169.254.1.1', '127.0.0.1', false],
    // This machine's own.
    ['8.8.8.8', '198.41.0.10', false],
    ['10.0.0.1', '192.168.1.10', false],
    ['8.8.8.8', '2a00:1:0::10', false],
    // No peer is there, or it is not known which.
    ['127.0.0.1', '0.0.0.0', false],
    ['127.0.0.1', '::', false],
    ['127.0.0.1', '224.0.0.1', false],
    ['127.0.0.1', '255.255.255.255', false],
    ['127.0.0.1', 'ff02::1', false],
    ['127.0.0.1', 'fe80::1', false],
    ['127.0.0.1', 'fe80::1%eth0', false],
    ['127.0.0.1', 'localhost', false],
    ['8.8.8.8', 'example.org', false],
    ['8.8.8.8', '2002:7f00:1::1', false],
    ['nonsense', '8.8.8.8', false],
    ['', '8.8.8.8', false],
  ] as const) {
    t.equal(believed(speaker, { host, port }) !== undefined, used, `${speaker} says ${host}`);
  }
  const mapped = believed('127.0.0.1', { host: '::ffff:127.0.0.9', port });
  t.same(mapped, { host: '127.0.0.9', port }, 'in its one form');
  for (const bad of [0, 22, 25, 53, 80, 443, 1023, 65_536, -1, 7000.5, NaN]) {
    t.equal(believed('127.0.0.1', { host: '127.0.0.1', port: bad }), undefined, `port ${bad}`);
    t.equal(policy.dialBack('127.0.0.1', bad), undefined, `its own port ${bad}`);
  }
  t.same(policy.dialBack('::ffff:10.0.0.7', 1024), { host: '10.0.0.7', port: 1024 });
  t.same(policy.dialBack('fe80::7%eth0', 7000), { host: 'fe80::7%eth0', port: 7000 });
  t.end();
});

t.test('which peer is told what', (t) => {
  for (const [asker, host, told] of [
    ['127.0.0.1', '127.0.0.2', true],
    ['127.0.0.1', '8.8.8.8', true],
    ['10.0.0.1', '127.0.0.2', false],
    ['10.0.0.1', '10.0.0.2', true],
    ['8.8.8.8', '10.0.0.2', false],
    ['8.8.8.8', '127.0.0.1', false],
    ['8.8.8.8', '9.9.9.9', true],
    ['127.0.0.1', 'fe80::7%eth0', false],
  ] as const) {
    t.equal(policy.mayTell(asker, host), told, `${host} to ${asker}`);
  }
  t.end();
});

t.test('clients', (t) => {
  t.equal(clientOf('8.8.8.8'), '8.8.8.8');
  t.equal(clientOf('::ffff:8.8.8.8'), '8.8.8.8', 'IPv4 in IPv6');
  t.not(clientOf('8.8.8.8'), clientOf('8.8.8.9'));
  t.equal(clientOf('2a00:1:2:3::1'), clientOf('2a00:1:2:3:ffff:1:2:3'), 'a /64');
  t.equal(clientOf('2a00::1'), clientOf('2a00:0:0:0:9::'));
  t.not(clientOf('2a00:1:2:3::1'), clientOf('2a00:1:2:4::1'));
  t.not(clientOf('fe80::1%eth0'), clientOf('fe80::2%eth0'), 'all of one wire are in one /64');
  t.not(clientOf('::1'), clientOf('127.0.0.1'));
  t.equal(clientOf('unknown'), 'unknown');
  t.end();
});

t.test('a /48 is few clients, however many /64s it has', (t) => {
  const many = Array.from({ length: 1000 }, (_, i) => clientOf(`2a01:7:7:${i.toString(16)}::1`));
  t.equal(new Set(many).size, 5);
  t.equal(clientOf('2a01:7:7:2::9'), many[2], 'the first are clients of their own');
  t.equal(clientOf('2a01:7:7:ffff::9'), many[999], 'all others are one');
  t.not(clientOf('2a01:7:8::1'), many[999], 'another /48');
  const home = Array.from({ length: 20 }, (_, i) => clientOf(`fd00:7:7:${i}::1`));
  t.equal(new Set(home).size, 20, 'in private networks a /64 is a client');
  t.end();
});

t.test('sources', (t) => {
  t.equal(groupOf('8.8.8.8'), groupOf('8.8.8.200'));
  t.equal(groupOf('::ffff:8.8.8.8'), groupOf('8.8.8.1'));
  t.not(groupOf('8.8.8.8'), groupOf('8.8.9.8'));
  t.equal(groupOf('2a00:1:2:3::1'), groupOf('2a00:1:2:4:5:6:7:8'));
  t.not(groupOf('2a00:1:2::1'), groupOf('2a00:1:3::1'));
  t.equal(groupOf('2a00::1'), groupOf('2a00:0:0:9::'));
  t.not(groupOf('127.0.0.1'), groupOf('127.0.0.2'));
  t.not(groupOf('10.0.0.1'), groupOf('10.0.0.2'));
  t.notOk(interfaceAddresses().includes('127.0.0.1'));
  t.end();
});

t.test('no descriptor is left: the last addresses that were seen', (t) => {
  const scope = new URL('../../lib/net/scope.js', import.meta.url).href;
  const script = `
    import { openSync } from 'node:fs';
    import { networkInterfaces } from 'node:os';
    import { interfaceAddresses } from ${JSON.stringify(scope)};
    const before = interfaceAddresses().join();
    let left = true;
    while (left) try { openSync('/'); } catch { left = false; }
    let refused = false;
    try { networkInterfaces(); } catch { refused = true; }
    console.log(refused, interfaceAddresses(-1).join() === before);`;
  const args = ['-c', 'ulimit -n 64; exec "$0" "$@"', process.execPath];
  const env = { ...process.env, NODE_OPTIONS: '' };
  const run = spawnSync('sh', [...args, '--input-type=module', '-e', script], {
    env,
    encoding: 'utf8',
  });
  t.equal(run.stdout, 'true true\n', run.stderr);
  t.end();
});
