/**
 * What a damaged index costs, and what an error that passes does not. strace(1) makes the calls fail.
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from 'lmdb';
import t from '../fixtures/tap.js';
import { LmdbStore } from '../../lib/state/lmdb-store.js';
import { CHECK } from '../../lib/state/recovery.js';
import { random } from '../fixtures/bytes.js';
import { command, hasNamespaces, serve } from '../fixtures/cli.js';
import { startIndexed, startNode } from '../fixtures/node.js';

t.test('a store that is proven to be damaged goes to quarantine and is built anew', async (t) => {
  for (const [name, harm] of [
    [
      'garbage',
      (index: string) => {
        writeFileSync(join(index, 'data.mdb'), random(100_000));
      },
    ],
    [
      'cut short',
      (index: string) => {
        truncateSync(join(index, 'data.mdb'), 12_000);
      },
    ],
    [
      'of another version',
      (index: string) => {
        const other = open<string, string>({ path: index, maxDbs: 4, encoding: 'string' });
        other.putSync('version', '0');
        return other.close();
      },
    ],
    [
      'one that ended the last start',
      (index: string) => {
        writeFileSync(`${index}.opening`, '');
        // All but the two meta pages.
        const file = join(index, 'data.mdb');
        const bytes = readFileSync(file);
        writeFileSync(file, bytes.fill(0xff, 8192));
      },
    ],
  ] as const) {
    const folder = t.testdir({ share: { a: 'a', b: 'b' }, state: {} });
    const state = join(folder, 'state');
    const first = await startIndexed(t, join(folder, 'share'), { state });
    const { id } = first;
    await first.close();
    await harm(join(state, 'index'));
    const warnings: string[] = [];
    const node = await startNode(t, join(folder, 'share'), {
      state,
      onWarning: ({ reason }) => warnings.push(reason),
    });
    await once(node, 'indexed');
    t.equal(node.shared.files, 2, name);
    t.equal(node.id, id, 'the key stays');
    t.match(warnings, [/^the index was moved here and is built anew: it /]);
    t.ok(existsSync(join(state, 'index.damaged')));
    await node.close();
  }
});

t.test('a start that was killed while it opened the store costs nothing', async (t) => {
  const folder = t.testdir({ share: { a: 'a' }, state: {} });
  const state = join(folder, 'state');
  const first = await startIndexed(t, join(folder, 'share'), { state });
  await first.close();
  writeFileSync(join(state, 'index.opening'), '');
  const node = await startNode(t, join(folder, 'share'), { state });
  const [{ hashed }] = (await once(node, 'indexed')) as [{ hashed: number }];
  t.equal(hashed, 0);
  t.notOk(existsSync(join(state, 'index.damaged')));
  await node.close();
});

const checkScript = fileURLToPath(new URL('../../lib/state/store-check.js', import.meta.url));
const check = ['-u', 'NODE_OPTIONS', process.execPath, checkScript];
/** By env(1), which runs what it is told. */
const env = (...args: string[]): { status: number | null; stderr: string } =>
  spawnSync('env', args, { encoding: 'utf8', timeout: 60_000 });
const failing = (file: string, calls: string, code: string, when: string): string[] => [
  ...['strace', '-f', '-qq', '-o', '/dev/null', '-P', file],
  ...['-e', `inject=${calls}:error=${code}:when=${when}`],
];
const skipTrace =
  env(...failing('/', 'read', 'EIO', '999'), 'true').status === 0 ? false : 'no strace(1)';

/** A store with some records. */
async function stored(folder: string): Promise<string> {
  const index = join(folder, 'index');
  const store = await LmdbStore.open(index);
  const identity = { size: 1, mtimeNs: 1n, birthNs: 1n, ino: 1n };
  for (let i = 0; i < 100; i++) store.putFile(i, { path: `${i}`, hash: random(32), identity });
  await store.close();
  return join(index, 'data.mdb');
}

t.test('an error that passes is no damage', { skip: skipTrace }, async (t) => {
  const data = await stored(t.testdir());
  const index = join(data, '..');
  for (const [calls, code, when] of [
    // The first look at the file, and LMDB's own.
    ['openat', 'EACCES', '1'],
    ['openat', 'EMFILE', '2'],
    ['pread64', 'EIO', '1'],
    ['mmap', 'ENOMEM', '1'],
  ] as const) {
    const args = [...failing(data, calls, code, when), 'env', ...check, index];
    t.not(env(...args).status, CHECK.damaged, `${calls} ${code} ${when}`);
  }
  t.equal(env(...check, index).status, CHECK.sound);
  truncateSync(data, 10_000);
  t.equal(env(...check, index).status, CHECK.damaged);
});

t.test('a user that may not read the index', async (t) => {
  const other = ['setpriv', '--reuid', '65534', '--clear-groups'];
  if (process.getuid?.() === 0 && env(...other, 'true').status !== 0) return;
  const folder = t.testdir();
  const data = await stored(folder);
  chmodSync(data, 0);
  for (let each = folder; each !== '/'; each = join(each, '..')) {
    if (env(...other, 'test', '-x', each).status !== 0) {
      t.comment('no way there for another user');
      return;
    }
  }
  const by = process.getuid?.() === 0 ? other : [];
  t.equal(env(...by, 'env', ...check, join(data, '..')).status, 1);
  chmodSync(data, 0o600);
});

t.test(
  'p2p-serve says why it cannot start, and keeps the index',
  { skip: skipTrace },
  async (t) => {
    const folder = t.testdir({ share: { a: 'a', b: 'b' }, state: {} });
    const [share, state] = [join(folder, 'share'), join(folder, 'state')];
    const first = await startIndexed(t, share, { state });
    await first.close();
    // Its last start died while it read the index: that is no proof either.
    writeFileSync(join(state, 'index.opening'), '');
    const args = command('p2p-serve', [share, '--state', state, '--port', '0']).flat();
    const data = join(state, 'index/data.mdb');
    const { status, stderr } = env(...failing(data, 'openat', 'EMFILE', '2+'), ...args);
    t.equal(status, 2);
    t.match(stderr, /^p2p-serve: cannot keep state in [^\n]*\n$/);
    const node = await startNode(t, share, { state });
    const [{ hashed }] = (await once(node, 'indexed')) as [{ hashed: number }];
    t.equal(hashed, 0);
    t.notOk(existsSync(join(state, 'index.damaged')));
  },
);

const skipFull = hasNamespaces() ? false : 'no user namespaces here (unshare -Urm)';
t.test('a node starts on a full disk with the index that it has', { skip: skipFull }, async (t) => {
  const folder = t.testdir({ share: { a: 'a', b: 'b' }, state: {}, copy: {} });
  const [share, state] = [join(folder, 'share'), join(folder, 'state')];
  const first = await startIndexed(t, share, { state });
  await first.close();
  cpSync(state, join(folder, 'copy'), { recursive: true });
  // No block and no name is left.
  const setup = `mount -t tmpfs -o size=8m,nr_inodes=20 none '${state}'
cp -r '${folder}/copy/.' '${state}'
head -c 8m /dev/zero > '${state}/other' || true
for i in $(seq 20); do touch '${state}/'$i 2>&- || true; done`;
  const served = await serve(t, [share, '--state', state, '--verbose'], { setup });
  t.match(await served.indexed, 'indexed 2 files');
  await served.says('0 of them were hashed');
  t.notMatch(served.stderr(), 'built anew');
});
