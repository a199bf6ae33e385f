/**
 * Peer-list abuse: addresses of every kind are named in RQLT's answers and in PING, and decoys listen at all of
 * them. What is dialled is what the rules of PROTOCOL.md allow, and nothing else.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { AddressPolicy, literal } from '../../lib/net/scope.js';
import {
  HOSTS,
  LINK_LOCAL,
  LOOPBACK,
  NAMES,
  NOWHERE,
  PORTS,
  PRIVATE,
  PUBLIC,
  SHARED,
  SPEAKERS,
} from './peer-list/corpus.js';
import { size } from './sizes.js';

/** Which peers one may name: those in its own scope, and in wider ones. */
const ALLOWED: Record<(typeof SPEAKERS)[number], readonly string[]> = {
  '127.0.0.1': [
    ...LOOPBACK,
    ...PRIVATE,
    ...LINK_LOCAL.filter((x) => !x.includes(':')),
    ...SHARED,
    ...PUBLIC,
  ],
  '192.168.7.7': [...PRIVATE, ...PUBLIC],
  '8.8.4.4': PUBLIC,
  '2a00:1:2:3::7': PUBLIC,
};

t.test('the policy by itself', (t) => {
  const policy = new AddressPolicy(() => []);
  for (const speaker of SPEAKERS) {
    for (const host of [...HOSTS, ...NAMES]) {
      for (const port of [...PORTS, -1, 65_536, 1.5, NaN]) {
        const isAllowed = port === 9000 && ALLOWED[speaker].includes(host);
        const believed = policy.believed(speaker, { host, port });
        const wanted = isAllowed ? { host: literal(host), port } : undefined;
        if (JSON.stringify(believed) !== JSON.stringify(wanted)) {
          t.same(believed, wanted, `${host} port ${port}, named by ${speaker}`);
        }
      }
    }
  }
  t.equal(NOWHERE.filter((host) => policy.believed('127.0.0.1', { host, port: 9000 })).length, 0);
  const own = new AddressPolicy(() => ['9.9.9.9', '192.168.1.1']);
  for (const speaker of ['8.8.4.4', '192.168.7.7']) {
    t.equal(own.believed(speaker, { host: '9.9.9.9', port: 9000 }), undefined, 'its own address');
    t.equal(own.believed(speaker, { host: '::ffff:9.9.9.9', port: 9000 }), undefined);
  }
  t.end();
});

const hasNetworks =
  spawnSync('unshare', ['-Urn', 'ip', 'link', 'set', 'lo', 'up'], { stdio: 'ignore' }).status === 0;

t.test('decoys', { skip: hasNetworks ? false : 'no network namespaces here' }, (t) => {
  const script = fileURLToPath(new URL('./peer-list/decoys.js', import.meta.url));
  const env = { ...process.env };
  delete env['NODE_OPTIONS'];
  for (const speaker of SPEAKERS.slice(0, size(3, 4))) {
    const args = ['-Urn', process.execPath, script, speaker, String(size(1, 20))];
    const { stdout, stderr } = spawnSync('unshare', args, { env, encoding: 'utf8' });
    t.equal(stderr, '', speaker);
    const { hits, told } = JSON.parse(stdout) as { hits: Record<string, number>; told: number };
    t.comment(`named by ${speaker}: ${told} addresses told, dialled ${JSON.stringify(hits)}`);
    // In the namespace all of them are this machine's own: what a stranger names is dialled least of all.
    const may = speaker === '127.0.0.1' ? ALLOWED[speaker] : [...ALLOWED[speaker], speaker];
    const allowed = new Set(may.map((host) => `${literal(host) ?? ''} 9000`));
    const wrong = Object.keys(hits).filter((at) => !allowed.has(at));
    t.same(wrong, [], 'nothing else is dialled');
    if (speaker === '127.0.0.1') t.ok((hits['127.0.0.9 9000'] ?? 0) > 0, 'the decoys work');
  }
  t.end();
});
