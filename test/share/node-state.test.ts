/** A node's state (its private key, its index) is never shared, however it got into the shared folder. */
import { once } from 'node:events';
import {
  cpSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { rootOf, TreeHasher } from '../../lib/hash/tree.js';
import { createNode } from '../../lib/node.js';
import { writeFiles } from '../fixtures/bytes.js';
import { hasNamespaces, run, serve } from '../fixtures/cli.js';
import { connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { connect, type Peer } from '../../lib/fetch/peer.js';

interface Test {
  teardown(end: () => Promise<void>): void;
}

const hashOf = (file: string): string =>
  Buffer.from(rootOf(new TreeHasher().update(readFileSync(file)).digest())).toString('hex');

const paths = async (peer: Peer): Promise<string[]> =>
  (await listOf(peer.search(''))).map(({ path }) => path).sort();

/** The state folder of another node. */
async function otherState(t: Test, folder: string): Promise<string> {
  const share = join(folder, 'other-share');
  mkdirSync(share);
  const state = join(folder, 'other-state');
  await startIndexed(t, share, { state, workers: false });
  return state;
}

/** Everything that is kept in a state folder. */
function secretsIn(state: string): string[] {
  const files = readdirSync(state, { withFileTypes: true, recursive: true });
  return files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
}

t.test(
  'inside from the beginning, hidden or not, by link, hard link or copy, of any node',
  async (t) => {
    const folder = t.testdir({ share: { keep: 'keep', '.hidden': {} } });
    const share = join(folder, 'share');
    const state = join(share, '.hidden/mine');
    const first = createNode({ share, port: 0, host: '127.0.0.1', state, watch: false });
    await first.start();
    await first.close();
    linkSync(join(state, 'key.pem'), join(share, 'innocent.txt'));
    symlinkSync(state, join(share, 'link'));
    cpSync(await otherState(t, folder), join(share, 'copy'), { recursive: true });
    writeFiles(share, {
      'film.part': 'unfinished',
      'film.part.lock': '1',
      'other/key.pem': 'mine',
    });
    const served = await serve(t, [share, '--state', state, '--dotfiles', '--verbose']);
    await served.indexed;
    await served.says('watching');
    const peer = await connect(served.peer);
    t.teardown(() => peer.close());
    t.same(await paths(peer), ['keep', 'other/key.pem'], 'a file that is only called so is shared');
    for (const file of [...secretsIn(state), join(share, 'copy/key.pem')]) {
      const { code } = await run('p2p-fetch', [served.peer, hashOf(file)]);
      t.equal(code, 3, `${file} cannot be fetched`);
    }
    for (const path of ['.hidden/mine', 'innocent.txt', 'copy']) {
      const said = served.stderr().split(`${path}: the state of a node; skipped`).length - 1;
      t.equal(said, 1, `${path} is named once`);
    }
  },
);

t.test('what comes while the share is watched', async (t) => {
  const folder = t.testdir({ share: { keep: 'keep' }, state: {} });
  const [share, state] = [join(folder, 'share'), join(folder, 'state')];
  const node = createNode({ share, port: 0, host: '127.0.0.1', state });
  t.teardown(() => node.close());
  const offered: string[] = [];
  node.on('change', ({ kind, path }) => kind !== 'removed' && offered.push(path));
  const said: string[] = [];
  node.on('warning', ({ path, reason }) => said.push(`${path}: ${reason}`));
  const says = async (what: string): Promise<void> => {
    while (!said.includes(`${what}: the state of a node; skipped`)) await once(node, 'warning');
  };
  const watching = once(node, 'watching');
  await node.start();
  await watching;
  const peer = await connectTo(t, node);
  // Its own is renamed into the share.
  renameSync(state, join(share, 'renamed'));
  await says('renamed');
  linkSync(join(share, 'renamed/key.pem'), join(share, 'hard-link'));
  await says('hard-link');
  // Another one is, and one is made there.
  renameSync(await otherState(t, folder), join(share, 'moved'));
  await says('moved');
  await startIndexed(t, join(folder, 'other-share'), {
    state: join(share, 'sub/made'),
    workers: false,
  });
  await says('sub/made');
  // One whose key is not there yet.
  mkdirSync(join(share, 'begun/index'), { recursive: true });
  writeFileSync(join(share, 'begun/lock'), '');
  await says('begun');
  writeFileSync(join(share, 'last'), 'last');
  while (!offered.includes('last')) await once(node, 'change');
  const settled = once(node, 'settled');
  node.rescan();
  await settled;
  t.same(await paths(peer), ['keep', 'last']);
  t.same(offered, ['last'], 'nothing else was offered, not even for a moment');
});

const skip = hasNamespaces() ? false : 'no user namespaces here (unshare -Urm)';

t.test('mounted into the share', { skip }, async (t) => {
  const folder = t.testdir({ share: { keep: 'keep', folder: {}, file: '' }, state: {} });
  const [share, state] = [join(folder, 'share'), join(folder, 'state')];
  const first = createNode({ share, port: 0, host: '127.0.0.1', state, watch: false });
  await first.start();
  await first.close();
  const served = await serve(t, [share, '--state', state, '--verbose'], {
    setup: `mount --bind '${state}' '${share}/folder'; mount --bind '${state}/key.pem' '${share}/file'`,
  });
  await served.indexed;
  const peer = await connect(served.peer);
  t.teardown(() => peer.close());
  t.same(await paths(peer), ['keep']);
  t.equal((await run('p2p-fetch', [served.peer, hashOf(join(state, 'key.pem'))])).code, 3);
});

t.test('a state folder itself is not shared', async (t) => {
  const folder = t.testdir({ share: { keep: 'keep' }, plain: {} });
  const state = await otherState(t, folder);
  for (const [share, own] of [
    [state, join(folder, 'new')],
    [join(folder, 'plain'), join(folder, 'plain')],
    [join(state, 'index'), state],
  ] as const) {
    const node = createNode({ share, port: 0, host: '127.0.0.1', state: own });
    await t.rejects(node.start(), { code: 'ERR_USAGE', message: /state/ }, share);
    await node.close();
  }
  t.same(readdirSync(join(folder, 'plain')), [], 'and nothing is put there');
});
