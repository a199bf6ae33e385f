/** Links: what they say, and that they can say nothing else. */
import fc from 'fast-check';
import t from 'tap';
import { formatLink, parseLink } from '../../lib/fetch/link.js';

const HASH = '8e4c7c1b99dbfd50e7a95185fead5ee1448fa904a2fdd778eaf5f2dbfd629a99';
const KEY = 'ab'.repeat(32);

t.test('good ones', (t) => {
  t.same(parseLink(`p2p://${KEY}@host:7001,[::1]:7,127.0.0.1/${HASH}/a%20film%E2%82%AC.mkv`), {
    peers: [
      { host: 'host', port: 7001, key: KEY },
      { host: '::1', port: 7 },
      { host: '127.0.0.1', port: 7000 },
    ],
    hash: HASH,
    name: 'a film€.mkv',
  });
  t.same(parseLink(`p2p://host/${HASH}`), { peers: [{ host: 'host', port: 7000 }], hash: HASH });
  t.end();
});

t.test('bad ones', (t) => {
  for (const text of [
    ...['', 'p2p://', `http://host/${HASH}/x`, `P2P://host/${HASH}/x`, `p2p:/host/${HASH}/x`],
    ...[
      `p2p://host/${HASH.slice(1)}/x`,
      `p2p://host/${HASH}0/x`,
      `p2p://host/${HASH.toUpperCase()}/x`,
    ],
    ...[`p2p:///${HASH}/x`, `p2p://,/${HASH}/x`, `p2p://host,/${HASH}/x`, `p2p://@host/${HASH}/x`],
    ...[`p2p://${KEY}@/${HASH}/x`, `p2p://host:0/${HASH}/x`, `p2p://a@b@c/${HASH}/x`],
    ...[`p2p://host/${HASH}/`, `p2p://host/${HASH}/a/b`, `p2p://host/${HASH}/a%2Fb`],
    ...[
      `p2p://host/${HASH}/%00`,
      `p2p://host/${HASH}/%ff`,
      `p2p://host/${HASH}/%`,
      `p2p://host/${HASH}/a b`,
    ],
    ...[
      `p2p://host/${HASH}/x?o=1`,
      `p2p://host/${HASH}/x#y`,
      ` p2p://host/${HASH}/x`,
      `p2p://host/${HASH}/x\n`,
    ],
    ...[
      `p2p://${Array(17).fill('host').join(',')}/${HASH}/x`,
      `p2p://host/${HASH}/${'x'.repeat(5000)}`,
    ],
  ]) {
    t.throws(() => parseLink(text), { code: 'ERR_USAGE' }, JSON.stringify(text.slice(0, 80)));
  }
  t.end();
});

t.test('there and back, whatever the name is', (t) => {
  const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 });
  const plain = name.filter((text) => !/[/\0]/.test(text));
  fc.assert(
    fc.property(plain, fc.boolean(), (name, isProven) => {
      const link = {
        peers: [{ host: '2001:db8::7', port: 7, ...(isProven && { key: KEY }) }],
        ...{ hash: HASH, name },
      };
      return JSON.stringify(parseLink(formatLink(link))) === JSON.stringify(link);
    }),
  );
  t.equal(
    formatLink({ peers: [{ host: 'h', port: 1 }], hash: HASH, name: 'a/b c' }),
    `p2p://h:1/${HASH}/b%20c`,
  );
  t.equal(
    formatLink({ peers: [{ host: 'h', port: 1 }], hash: HASH, name: '\ud800' }),
    `p2p://h:1/${HASH}/%EF%BF%BD`,
  );
  t.equal(
    formatLink({ peers: [{ host: 'h', port: 1 }], hash: HASH, name: '€'.repeat(400) }),
    `p2p://h:1/${HASH}`,
    'a name that is too long is left out',
  );
  t.end();
});
