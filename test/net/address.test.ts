/** Addresses as people write them. */
import t from 'tap';
import { formatAddress, parseAddress } from '../../lib/net/address.js';

t.test('good ones', (t) => {
  for (const [text, host, port] of [
    ['localhost', 'localhost', 7000],
    ['localhost:1', 'localhost', 1],
    ['example.org:65535', 'example.org', 65535],
    ['127.0.0.1:80', '127.0.0.1', 80],
    ['[::1]:7001', '::1', 7001],
    ['[::1]', '::1', 7000],
    ['::1', '::1', 7000],
    ['2001:db8::7', '2001:db8::7', 7000],
    ['[fe80::1%lo]:5', 'fe80::1%lo', 5],
  ] as const) {
    t.same(parseAddress(text), { host, port }, text);
    t.same(parseAddress(formatAddress({ host, port })), { host, port }, 'and back');
  }
  t.end();
});

t.test('with the id of the peer', (t) => {
  const key = 'ab'.repeat(32);
  t.same(parseAddress(`${key}@[::1]:7001`), { host: '::1', port: 7001, key });
  t.same(parseAddress(`${key.toUpperCase()}@example.org`), {
    host: 'example.org',
    port: 7000,
    key,
  });
  for (const text of [
    '@host',
    `${key}@`,
    `${key}0@host`,
    `${key.slice(1)}@host`,
    `${key}@a@b`,
    `${key} @host`,
  ]) {
    t.throws(() => parseAddress(text), { code: 'ERR_USAGE' }, text);
  }
  t.end();
});

t.test('bad ones', (t) => {
  for (const text of [
    ...['', ':', ':7000', 'host:', 'host:0', 'host:65536', 'host:x', 'host:-1', 'host:1.5'],
    ...['[::1', '[::1]x', '[]:1', '[zz]:1', 'a b:1', 'a@b:1', 'http://x:1', '::1:99999x', 'a\0b'],
    ...['x'.repeat(256), 'host:0x10', 'host: 1'],
  ]) {
    t.throws(() => parseAddress(text), { code: 'ERR_USAGE' }, JSON.stringify(text.slice(0, 20)));
  }
  t.end();
});
