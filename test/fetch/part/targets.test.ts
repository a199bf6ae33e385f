/** What `-o` and fetchToFile do with whatever stands at the name, before and while they fetch. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from '../../fixtures/tap.js';
import { fetchToFile } from '../../../lib/fetch/part/fetch-to-file.js';
import { formatAddress } from '../../../lib/net/address.js';
import { BLOCK_BYTES } from '../../../lib/wire/body.js';
import { random } from '../../fixtures/bytes.js';
import { command, run } from '../../fixtures/cli.js';
import { connectTo, listOf, startIndexed } from '../../fixtures/node.js';
import { partOf } from '../../fixtures/part.js';

const content = random(3 * BLOCK_BYTES + 7);

t.test('targets', async (t) => {
  const folder = t.testdir({ share: {}, out: {} });
  writeFileSync(join(folder, 'share/f'), content);
  const node = await startIndexed(t, join(folder, 'share'), { workers: false });
  const peer = await connectTo(t, node);
  const hash = (await listOf(peer.search('')))[0]?.hash ?? '';
  const address = formatAddress(node.address);
  const out = join(folder, 'out');
  const at = (name: string): string => join(out, name);
  const isWhole = (file: string): boolean => readFileSync(file).equals(content);
  const fetch = (name: string, onProgress?: () => void): Promise<string> =>
    fetchToFile(peer, hash, at(name), { onProgress });
  /** Does something once, when bytes have come. */
  const when = (name: string, act: (part: string) => void): (() => void) => {
    const part = partOf(at(name), hash);
    let done = false;
    return () => {
      if (done || !existsSync(part)) return;
      done = true;
      act(part);
    };
  };

  t.equal(await fetch('new'), 'fetched', 'nothing is there');
  t.ok(isWhole(at('new')));
  t.equal(statSync(at('new')).mode & 0o002, 0, 'others cannot write to it');
  const { sent } = node.stats;
  const before = statSync(at('new'));
  t.equal(await fetch('new'), 'there', 'the file itself is there');
  t.match(statSync(at('new')), { ino: before.ino, mtimeMs: before.mtimeMs });
  t.ok(node.stats.sent - sent < 1000, 'it is not sent again');
  const again = await run('p2p-fetch', [address, hash, '-o', at('new')]);
  t.match(again, { code: 0, stderr: `${at('new')} is already there\n` });

  writeFileSync(at('other'), 'other');
  chmodSync(at('other'), 0o640);
  t.equal(await fetch('other'), 'fetched', 'another file is replaced');
  t.equal(statSync(at('other')).mode & 0o777, 0o640, 'its mode is kept');
  writeFileSync(at('readonly'), 'mine');
  chmodSync(at('readonly'), 0o444);
  await t.rejects(fetch('readonly'), { code: 'ERR_FORBIDDEN', message: /read-only/ });
  t.equal(readFileSync(at('readonly'), 'utf8'), 'mine');

  symlinkSync('nowhere', at('dangling'));
  await t.rejects(fetch('dangling'), {
    code: 'ERR_FORBIDDEN',
    message: /a symbolic link to nothing/,
  });
  t.ok(lstatSync(at('dangling')).isSymbolicLink());
  writeFileSync(at('pointed'), 'old');
  symlinkSync('pointed', at('link'));
  t.equal(await fetch('link'), 'fetched');
  t.ok(lstatSync(at('link')).isSymbolicLink() && isWhole(at('pointed')), 'a link stays a link');
  mkdirSync(at('folder'));
  await t.rejects(fetch('folder'), { code: 'ERR_USAGE' });
  await t.rejects(fetch('absent/'), { code: 'ERR_USAGE' });
  for (const length of [200, 201, 217, 218, 250, 251, 254, 255]) {
    const name = 'é'.repeat(length / 2) + (length % 2 === 0 ? '' : 'x');
    t.equal(await fetch(name), 'fetched', `a name of ${length} bytes`);
  }
  writeFileSync(at('foreign.part'), 'mine');
  t.equal(await fetch('foreign'), 'fetched');
  t.equal(readFileSync(at('foreign.part'), 'utf8'), 'mine', 'a FILE.part of others is left alone');

  // While it is fetched.
  const got = fetch(
    'first',
    when('first', () => {
      writeFileSync(at('first'), 'first');
    }),
  );
  await t.rejects(got, { code: 'ERR_FORBIDDEN', message: /another file has got this name/ });
  t.equal(readFileSync(at('first'), 'utf8'), 'first');
  const planted = fetch(
    'planted',
    when('planted', (part) => {
      renameSync(part, at('away'));
      writeFileSync(part, Buffer.alloc(content.length));
    }),
  );
  await t.rejects(planted, { code: 'ERR_FORBIDDEN', message: /was moved or removed/ });
  t.notOk(readdirSync(out).includes('planted'), 'only the file that was verified gets the name');
  const moved = fetch(
    'moved',
    when('moved', () => {
      renameSync(out, join(folder, 'elsewhere'));
      mkdirSync(out);
    }),
  );
  await t.rejects(moved, { code: 'ERR_FORBIDDEN', message: /elsewhere\/moved/ });
  t.ok(isWhole(join(folder, 'elsewhere/moved')), 'it is where its folder is now');

  // Killed between the two renames.
  const part = partOf(at('left'), hash);
  const left = at(part.slice(out.length + 1).replace(/\.part$/, '-0123456789abcdef.part'));
  writeFileSync(left, content);
  const early = node.stats.sent;
  t.equal(await fetch('left'), 'fetched');
  t.ok(node.stats.sent - early < 2 * BLOCK_BYTES, 'what was verified is not fetched again');
  t.same(readdirSync(out), ['left']);

  // Devices and descriptors.
  t.match(await run('p2p-fetch', [address, hash, '-o', '/dev/null']), { code: 0, stderr: '' });
  for (const name of ['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1']) {
    writeFileSync(at('log'), 'before\n');
    const log = openSync(at('log'), 'a');
    const child = spawn(...command('p2p-fetch', [address, hash, '-o', name]), {
      stdio: ['ignore', log, 'ignore'],
    });
    closeSync(log);
    t.same(await once(child, 'exit'), [0, null]);
    t.ok(readFileSync(at('log')).equals(Buffer.concat([Buffer.from('before\n'), content])), name);
  }

  // The disk: bytes before the name, the name before the end.
  if (spawnSync('strace', ['-V'], { stdio: 'ignore' }).status !== 0) {
    t.pass('calls not looked at', { skip: 'no strace(1)' });
    return;
  }
  for (const [more, wanted] of [
    [[], /fdatasync.* = 0[^]*rename[^]*link\([^]*fsync.* = 0/],
    [['--no-fsync'], /^(?![^]*sync\(\d+\) *= 0)/],
  ] as const) {
    const [program, args] = command('p2p-fetch', [address, hash, '-o', at('synced'), ...more]);
    const trace = [
      '-f',
      '-qq',
      '-e',
      'trace=fdatasync,fsync,rename,link,linkat',
      '-o',
      at('trace'),
    ];
    const child = spawn('strace', [...trace, program, ...args], { stdio: 'ignore' });
    t.same(await once(child, 'exit'), [0, null]);
    t.match(readFileSync(at('trace'), 'utf8'), wanted, more.join());
    renameSync(at('synced'), at('old'));
  }
  const into = command('p2p-fetch', [address, '--all', '', '-o', at('made/below')]).flat();
  const syncs = ['-fyqq', '-e', 'trace=fsync', '-o', at('trace')];
  const traced = spawn('strace', [...syncs, ...into], { stdio: 'ignore' });
  t.same(await once(traced, 'exit'), [0, null]);
  for (const folder of [out, at('made'), at('made/below')]) {
    t.match(readFileSync(at('trace'), 'utf8'), `<${folder}>`, 'a folder that was made');
  }

  // Replaced by another run while it waits for the name to be on the disk: 3 s, until the test goes on.
  const [program, args] = command('p2p-fetch', [address, hash, '-o', at('late')]);
  const slow = ['-f', '-qq', '-e', 'trace=fsync', '-e', 'inject=fsync:delay_enter=3000000:when=1'];
  const child = spawn('strace', [...slow, '-o', '/dev/null', program, ...args]);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const watcher = watch(out);
  while (!existsSync(at('late'))) await once(watcher, 'change');
  watcher.close();
  writeFileSync(at('other run'), 'other');
  renameSync(at('other run'), at('late'));
  t.same(await once(child, 'close'), [1, null]);
  t.equal(said, `p2p-fetch: ${at('late')}: another file has got this name meanwhile\n`);
});
