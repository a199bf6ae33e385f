/**
 * Names and texts that are chosen to do harm: to the terminal where they are shown, and to the disk of a
 * client that fetches files under them.
 */
import { mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { fetchAll } from '../../lib/fetch/folder/fetch-all.js';
import { formatAddress } from '../../lib/net/address.js';
import { printable } from '../../lib/support/printable.js';
import { seeded, writeFiles } from '../fixtures/bytes.js';
import { run, serve } from '../fixtures/cli.js';
import { DISK, RAW, TERMINAL } from '../fixtures/hostile-names.js';
import { CONTENT, HASH, evil, startHostile } from '../fixtures/hostile-peer.js';
import { RawPeer } from '../fixtures/raw.js';
import { FULL, size } from './sizes.js';
import { connect } from '../fixtures/transport.js';

/** Whether a path may be in an answer at all. */
function isLegal(path: string): boolean {
  const parts = path.split('/');
  return !path.includes('\0') && !parts.some((part) => /^\.{0,2}$/.test(part));
}

/** Names that are put together from bits of bad ones. */
function mixed(count: number): string[] {
  const next = seeded(5);
  const pick = (from: readonly string[]): string => from[Math.floor(next() * from.length)] ?? '';
  return Array.from({ length: count }, () => {
    return [pick(DISK), pick(TERMINAL), pick(DISK)].join(next() < 0.5 ? '/' : '').slice(0, 1000);
  });
}

const ALL = [...new Set([...TERMINAL, ...DISK, ...mixed(size(60, 4000))])];
// An answer lists 1,000 at most.
const LEGAL = ALL.filter(isLegal).slice(0, 1000);
const ILLEGAL = ALL.filter((path) => !isLegal(path)).slice(0, size(30, 2000));

/** Everything below a folder, links not followed. */
function tree(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

interface Sandbox {
  out: string;
  /** What is there that must not change. */
  outside: () => string[];
}

function sandbox(folder: string): Sandbox {
  const out = join(folder, 'box/out');
  mkdirSync(out, { recursive: true });
  writeFiles(folder, { 'box/beside/canary': 'canary', canary: 'canary' });
  symlinkSync(join(folder, 'box/beside'), join(out, 'link'));
  return { out, outside: () => tree(folder).filter((path) => !path.startsWith(`${out}/`)) };
}

t.test('commands say nothing raw, whatever a peer says', async (t) => {
  const folder = t.testdir();
  const { out, outside } = sandbox(folder);
  const before = outside();
  const peers = {
    plain: formatAddress(await startHostile(t, { paths: LEGAL })),
    refusing: formatAddress(await startHostile(t, { paths: [], refuses: 'requests' })),
    mute: formatAddress(await startHostile(t, { paths: [], refuses: 'all' })),
    malformed: formatAddress(await startHostile(t, { paths: [...TERMINAL, '../up'] })),
  };
  const other = 'cd'.repeat(32);
  const evilOut = join(out, `${TERMINAL[0]}/${TERMINAL[11]}`);
  const commands: string[][] = [];
  for (const [kind, peer] of Object.entries(peers)) {
    commands.push(
      ['p2p-ping', peer, '--count', '2', '--interval', '0'],
      ['p2p-search', peer, '', '--ttl', '0'],
    );
    if (!FULL && kind !== 'plain') continue;
    commands.push(
      ['p2p-peers', peer],
      ['p2p-search', peer, evil(60)],
      ['p2p-search', peer, '', '--json'],
      ['p2p-fetch', peer, HASH, '-o', evilOut],
      ['p2p-fetch', peer, other, '--find', '-o', join(out, 'found')],
    );
    if (!FULL) continue;
    commands.push(
      ['p2p-ping', peer, '--json'],
      ['p2p-peers', peer, '--json'],
      ['p2p-fetch', peer, other],
      ['p2p-fetch', peer, HASH, '--from', TERMINAL[0]],
      ['p2p-fetch', peer, evil(60)],
      ['p2p-fetch', peer, '--all', evil(60), '-o', out],
    );
  }
  let shown = 0;
  const worker = async (): Promise<void> => {
    for (let next = commands.shift(); next !== undefined; next = commands.shift()) {
      const [name = '', ...args] = next;
      const { stdout, stderr, code } = await run(name, args);
      const text = stdout.toString() + stderr;
      const raw = RAW.exec(text);
      if (raw !== null) {
        t.fail(
          `${next.map(printable).join(' ')}: ${printable(text.slice(raw.index, raw.index + 80))}`,
        );
      }
      if (code === null || /^ {4}at /m.test(stderr)) t.fail(`${name}: ${printable(stderr)}`);
      if (/\\u(?:\{1b\}|001b)/.test(text)) shown++;
    }
  };
  await Promise.all([worker(), worker(), worker()]);
  t.ok(shown >= size(8, 40), `${shown} commands showed such a text, as plain characters`);
  t.same(outside(), before, 'nothing was made outside');
});

t.test('--all: no file outside the folder, and no name that does harm', async (t) => {
  const folder = t.testdir();
  const { out, outside } = sandbox(folder);
  const before = outside();
  const address = await startHostile(t, { paths: LEGAL });
  const { code, stderr } = await run('p2p-fetch', [formatAddress(address), '--all', '', '-o', out]);
  t.ok(code === 0 || code === 1, stderr.split('\n').at(-2) ?? '');
  t.match(stderr, /^fetched \d+ files/m);
  t.notMatch(stderr, RAW);
  t.same(outside(), before, 'nothing was made outside');
  t.equal(readFileSync(join(folder, 'box/beside/canary')).toString(), 'canary');
  const made = tree(out).filter((path) => path !== join(out, 'link'));
  t.ok(made.length > LEGAL.length / 2, `${made.length} entries`);
  for (const path of made) {
    const below = path.slice(out.length + 1);
    const isBad = RAW.test(below) || below.includes('\n') || /[\\:*?"<>|]/.test(below);
    const parts = below.split('/');
    if (isBad || parts.some((part) => /^\.|[. ]$|^(?:con|nul|aux)(?:\.|$)|\.part$/i.test(part))) {
      t.fail(printable(below));
    }
  }
  const peer = await connect(address);
  t.teardown(() => peer.close());
  let failed = 0;
  for await (const { file, path, status, error } of fetchAll(peer, '', out)) {
    if (status === 'failed') {
      failed++;
      t.match({ path, error }, { path: /^link\//, error: { code: 'ERR_FORBIDDEN' } });
    } else if (!readFileSync(join(out, file)).equals(CONTENT)) t.fail(printable(file));
  }
  t.ok(failed > 0, `${failed} failed: what would go through a link`);
  t.same(outside(), before);
});

t.test('paths that may not be in an answer: refused, and nothing made', async (t) => {
  const folder = t.testdir();
  const { out, outside } = sandbox(folder);
  const before = [...outside(), ...tree(out)];
  for (const path of ILLEGAL) {
    const peer = await connect(await startHostile(t, { paths: ['good', path] }));
    try {
      for await (const { file } of fetchAll(peer, '', out)) t.fail(printable(file));
      t.fail(printable(path));
    } catch (error) {
      t.match(error, { code: 'ERR_MALFORMED' });
    }
    await peer.close();
  }
  t.same([...outside(), ...tree(out)], before);
});

t.test('p2p-serve: names on its disk, and what peers say to it, in its log', async (t) => {
  const folder = t.testdir({ share: {}, state: {} });
  const share = join(folder, 'share');
  const names = TERMINAL.filter((name) => !name.includes('/'));
  const fill = (prefix: string): void => {
    writeFiles(
      share,
      Object.fromEntries(names.map((name) => [`${prefix}/${name}`, prefix + name])),
    );
  };
  fill('before');
  const hostile = await startHostile(t, { paths: LEGAL });
  const refusing = await startHostile(t, { paths: [], refuses: 'all' });
  const known = [hostile, refusing].flatMap((peer) => ['--peer', formatAddress(peer)]);
  const args = [share, '--state', join(folder, 'state'), '--verbose', ...known];
  const served = await serve(t, args);
  await served.indexed;
  await served.says('watching');
  fill('after');
  for (const name of names) {
    const said = `added: after/${printable(name)}`;
    while (!served.stderr().includes(said)) await served.hears();
  }
  rmSync(join(share, 'after'), { recursive: true });
  await served.says('removed: after/');
  const [host = '', port = ''] = served.peer.split(':');
  const raw = await RawPeer.to(t, { host, port: Number(port) });
  const info = { version: 1, id: 'ef'.repeat(32), agent: evil(128), features: [evil(32)] };
  raw.send({ type: 'PING', info: { ...info, host: evil(255), port: 7000, link: true } }, 1);
  raw.send({ type: 'RQFS', query: evil(1000), ttl: 4, queryId: 'aa'.repeat(16) }, 2);
  raw.send({ type: 'ERRR', code: 'ERR_INTERNAL', message: evil(1000) }, 0);
  await raw.next();
  await raw.next();
  raw.raw(`${evil(100)}\r\n\r\n`);
  while ((await raw.next()) !== undefined);
  served.child.kill('SIGHUP');
  await served.says('SIGHUP');
  t.notMatch(served.stderr(), RAW, 'no raw byte');
  t.match(served.stderr(), '\\u{1b}', 'they are shown');
  t.notMatch(served.stderr(), /^ {4}at /m);
});
