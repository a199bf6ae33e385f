/** What a watched folder can do to a node: no watches left, gone with its mount, not to be read. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { connect, type Peer } from '../../lib/index.js';
import { writeFiles } from '../fixtures/bytes.js';
import { command, hasNamespaces, serve } from '../fixtures/cli.js';

const skip = hasNamespaces() ? false : 'no user namespaces here (unshare -Urm)';

interface Test {
  teardown(end: () => Promise<void>): void;
}

async function client(t: Test, address: string): Promise<Peer> {
  const peer = await connect(address);
  t.teardown(() => peer.close());
  return peer;
}

async function paths(peer: Peer): Promise<string[]> {
  const found: string[] = [];
  for await (const { path } of peer.search('')) found.push(path);
  return found.sort();
}

t.test('not enough watches: the number needed is named, scans continue', { skip }, async (t) => {
  const folder = t.testdir({ share: {}, state: {} });
  const share = join(folder, 'share');
  for (let i = 0; i < 20; i++) writeFiles(share, { [`d${i}/sub/file${i}`]: String(i) });
  const {
    peer: address,
    says,
    indexed,
  } = await serve(t, [share, '--state', join(folder, 'state'), '--rescan', '1', '--verbose'], {
    setup: 'echo 10 > /proc/sys/user/max_inotify_watches',
  });
  await says('41 folders need a watch each (ENOSPC): raise fs.inotify.max_user_watches');
  await indexed;
  const peer = await client(t, address);
  t.equal((await paths(peer)).length, 20);
  writeFiles(share, { 'd7/sub/late': 'late' });
  await says('added: d7/sub/late');
  t.ok((await paths(peer)).includes('d7/sub/late'));
});

t.test('a mount that vanishes and comes back: nothing is hashed again', { skip }, async (t) => {
  const folder = t.testdir({ disk: { a: 'a', sub: { b: 'b' } }, share: {}, state: {} });
  const [disk, share] = [join(folder, 'disk'), join(folder, 'share')];
  const mount = `mount --bind '${disk}' '${share}'`;
  const served = await serve(t, [share, '--state', join(folder, 'state'), '--verbose'], {
    setup: mount,
  });
  const { peer: address, says, indexed, child, stderr } = served;
  const within = (command: string): void => {
    const enter = ['-t', String(child.pid), '-U', '-m', '--preserve-credentials'];
    const { status, stderr: why } = spawnSync('nsenter', [...enter, 'sh', '-c', command]);
    if (status !== 0) throw new Error(why.toString());
  };
  await indexed;
  await says('watching 2 folders');
  const peer = await client(t, address);
  t.same(await paths(peer), ['a', 'sub/b']);
  within(`umount '${share}'`);
  child.kill('SIGHUP');
  await says('the shared folder is gone');
  t.same(await paths(peer), []);
  writeFiles(disk, { c: 'c' });
  within(mount);
  await says('the shared folder is back');
  await says('added: c');
  t.same(await paths(peer), ['a', 'c', 'sub/b']);
  t.notMatch(stderr(), /(added|changed|renamed): sub.b[^]*changed: /);
  t.match(stderr(), /added: a\n/, 'what was there is shown again');
});

t.test('a folder that is empty at the start keeps what is known of it', async (t) => {
  const folder = t.testdir({ share: { a: 'a', b: 'b' }, state: {} });
  const args = [join(folder, 'share'), '--state', join(folder, 'state'), '--verbose'];
  const start = async (hashed: string): Promise<void> => {
    const { child, indexed, says } = await serve(t, args);
    await indexed;
    await says(`${hashed} of them were hashed`);
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('exit', resolve));
  };
  await start('2');
  // As when the disk is not mounted.
  renameSync(join(folder, 'share'), join(folder, 'unmounted'));
  mkdirSync(join(folder, 'share'));
  await start('0');
  rmSync(join(folder, 'share'), { recursive: true });
  renameSync(join(folder, 'unmounted'), join(folder, 'share'));
  await start('0');
});

t.test('permissions that change', async (t) => {
  // Root may read everything.
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const folder = t.testdir({ share: { a: 'a', b: 'b', half: { sub: {} } }, state: {} });
  const half = join(folder, 'share/half');
  const probe = spawnSync(...command('p2p-hash', [join(folder, 'share/a')]), nobody);
  if (probe.status !== 0) {
    t.pass('not run', { skip: 'started by root in a place that nobody else can read' });
    return;
  }
  chmodSync(join(folder, 'state'), 0o777);
  // May be listed, but not entered: the rest is watched all the same.
  chmodSync(half, 0o444);
  const args = [join(folder, 'share'), '--state', join(folder, 'state'), '--verbose'];
  const { peer: address, says, indexed } = await serve(t, args, { ...nobody, cwd: '/' });
  await indexed;
  await says('watching 2 folders');
  const peer = await client(t, address);
  chmodSync(join(folder, 'share/a'), 0o000);
  await says('removed: a');
  t.same(await paths(peer), ['b']);
  chmodSync(join(folder, 'share/a'), 0o644);
  await says('added: a');
  t.same(await paths(peer), ['a', 'b']);
  writeFileSync(join(folder, 'share/c'), 'c', { mode: 0o000 });
  await says('c: EACCES; skipped');
  chmodSync(join(folder, 'share/c'), 0o644);
  await says('added: c');
});
