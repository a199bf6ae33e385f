/** Addresses that a hostile peer names: of every scope, in every form, with ports that are not peers'. */

/** Peers that name them: one on this machine, one in a private network, public ones. */
export const SPEAKERS = ['127.0.0.1', '192.168.7.7', '8.8.4.4', '2a00:1:2:3::7'] as const;

/** By scope. What is on no list may be dialled by nobody. */
export const LOOPBACK = ['127.0.0.1', '127.0.0.9', '127.255.255.254', '::1', '::ffff:127.0.0.5'];
export const PRIVATE = ['10.1.2.3', '172.16.5.4', '192.168.1.1', 'fd00::1', 'fc00::2'];
export const LINK_LOCAL = ['169.254.7.7', 'fe80::77'];
/** Of a provider's network (RFC 6598): anywhere, so only this machine may name it. */
export const SHARED = ['100.64.1.1'];
export const PUBLIC = ['1.2.3.4', '9.9.9.9', '2a00:9:8:7::1', '::ffff:9.9.9.8'];
export const NOWHERE = [
  ...['0.0.0.0', '0.1.2.3', '224.0.0.1', '239.1.2.3', '255.255.255.255', '240.0.0.1'],
  ...['192.0.2.1', '198.51.100.1', '203.0.113.1', '198.18.0.1', '192.88.99.1'],
  ...['::', '::7f00:1', '::10.1.2.3', 'ff02::1', 'ff0e::1', '2001:db8::1', 'fec0::1'],
  // IPv4 inside IPv6: NAT64, 6to4, Teredo.
  ...[
    '64:ff9b::7f00:1',
    '64:ff9b::a01:203',
    '64:ff9b:1::a01:203',
    '2002:7f00:1::',
    '2002:a01:203::1',
  ],
  ...['2001:0:53aa:64c::1', '2001::1'],
];
export const HOSTS: readonly string[] = [
  ...LOOPBACK,
  ...PRIVATE,
  ...LINK_LOCAL,
  ...SHARED,
  ...PUBLIC,
  ...NOWHERE,
];
/** No addresses. */
export const NAMES = [
  ...[
    'localhost',
    'example.org',
    '127.1',
    '0x7f000001',
    '2130706433',
    '0177.0.0.1',
    '127.0.0.1.',
    '',
  ],
  ...['fe80::1%lo', '::1%lo', '[::1]', '127.0.0.1:25', ' 127.0.0.1', '127.0.0.1%lo', '१२७.0.0.1'],
];
/** 9000 is where a peer could be. */
export const PORTS = [0, 22, 25, 53, 80, 443, 1023, 9000];
