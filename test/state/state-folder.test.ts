/** The state folder: one node at a time, in every container; names in it outlast a power failure. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { lockFile } from '../../lib/disk/file-lock.js';
import { PeerError } from '../../lib/errors.js';
import { loadIdentity } from '../../lib/state/identity.js';
import { defaultStateFolder, openStateFolder } from '../../lib/state/state-folder.js';
import { command, run, serve } from '../fixtures/cli.js';

const works = (program: string, ...args: string[]): boolean =>
  spawnSync(program, args, { stdio: 'ignore' }).status === 0;
/** Every namespace that a container has. */
const CONTAINER = ['-Urmnpf', '--mount-proc'];

t.test('a second node on the same folder', async (t) => {
  const folder = t.testdir({ share: { a: 'a' } });
  symlinkSync('state', join(folder, 'link'));
  const args = [join(folder, 'share'), '--state', join(folder, 'state')];
  const { child } = await serve(t, args);
  const twice = [join(folder, 'share'), '--state', join(folder, 'link'), '--port', '0'];
  for (const [program, list] of [
    command('p2p-serve', twice),
    ['unshare', [...CONTAINER, ...command('p2p-serve', twice).flat()]] as const,
  ] as const) {
    if (program === 'unshare' && !works('unshare', ...CONTAINER, 'true')) continue;
    const { status, stderr } = spawnSync(program, list, { encoding: 'utf8', timeout: 60_000 });
    t.equal(status, 1);
    t.match(stderr, /^p2p-serve: .*another node is using this state folder\n$/);
  }
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
  const { lock } = await openStateFolder(join(folder, 'state'));
  lock.release();
});

t.test('another user cannot hold the lock', async (t) => {
  const folder = t.testdir({ share: { a: 'a' } });
  const state = join(folder, 'state');
  const { lock } = await openStateFolder(state);
  lock.release();
  t.equal(statSync(state).mode & 0o777, 0o700);
  t.equal(statSync(join(state, 'lock')).mode & 0o777, 0o600);
  chmodSync(state, 0o755);
  const asOther = [
    '--reuid',
    '65534',
    '--clear-groups',
    'flock',
    '-n',
    join(state, 'lock'),
    'true',
  ];
  if (!works('setpriv', '--reuid', '65534', '--clear-groups', 'true')) return;
  t.notOk(works('setpriv', ...asOther));
});

t.test('without flock(2) a file names the process', async (t) => {
  const file = join(t.testdir(), 'lock');
  const taken = (): PeerError => new PeerError('ERR_USAGE', 'taken');
  const none = Promise.resolve(undefined);
  const first = await lockFile(file, taken, none);
  await t.rejects(lockFile(file, taken, none), { message: 'taken' });
  const name = readFileSync(`${file}.pid`, 'utf8');
  first.release();
  const stale = {
    'its id has another process now': name.replace(/ \d+ /, ' 1 '),
    'it ended with the last boot': name.replace(/ [0-9a-f]+-/, ' 0-'),
    'it is gone': name.replace(/^\d+/, '4194305'),
  };
  for (const [why, content] of Object.entries(stale)) {
    if (process.platform !== 'linux') continue;
    writeFileSync(`${file}.pid`, content);
    const again = await lockFile(file, taken, none);
    again.release();
    t.pass(why);
  }
  writeFileSync(`${file}.pid`, name.replace(/\d+\]$/, '1]'));
  await t.rejects(lockFile(file, taken, none), 'one in another container may still run');
});

t.test('the key is on the disk before it has its name', async (t) => {
  if (!works('strace', '-qq', '-o', '/dev/null', 'true')) return;
  const folder = t.testdir({ share: { a: 'a' } });
  const state = join(folder, 'deep/state');
  const trace = join(folder, 'trace');
  const calls = 'trace=mkdir,fsync,fdatasync,rename,renameat,renameat2';
  const args = [join(folder, 'share'), '--state', state, '--port', '0', '--host', '127.0.0.1'];
  const child = spawn('strace', [
    '-fy',
    '-o',
    trace,
    '-e',
    calls,
    ...command('p2p-serve', args).flat(),
  ]);
  const exited = once(child, 'exit');
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
    if (said.includes('indexed'))
      process.kill(Number(/^\d+/.exec(readFileSync(trace, 'utf8'))?.[0]));
  });
  await exited;
  const order = [
    `mkdir("${state}", 0700)`,
    `fsync(`,
    `<${join(folder, 'deep')}>)`,
    `<${join(state, 'key.pem.new')}>)`,
    `rename("${join(state, 'key.pem.new')}", "${join(state, 'key.pem')}")`,
    `<${state}>)`,
  ];
  let text = readFileSync(trace, 'utf8');
  for (const call of order) {
    const at = text.indexOf(call);
    t.ok(at >= 0, call.replaceAll(folder, ''));
    text = text.slice(at);
  }
});

t.test('the key survives a start that was killed while it was written', async (t) => {
  const state = t.testdir({ 'key.pem.new': 'half' });
  const { id } = await loadIdentity(state);
  t.equal((await loadIdentity(state)).id, id);
  t.same(readdirSync(state), ['key.pem']);
  t.equal(statSync(join(state, 'key.pem')).mode & 0o777, 0o600);
});

t.test('a relative $XDG_STATE_HOME or $HOME is ignored', async (t) => {
  const before: NodeJS.ProcessEnv = { ...process.env };
  t.teardown(() => {
    for (const name of ['XDG_STATE_HOME', 'HOME'] as const) {
      if (before[name] === undefined) Reflect.deleteProperty(process.env, name);
      else process.env[name] = before[name];
    }
  });
  if (process.platform !== 'linux') return;
  const folder = t.testdir();
  process.env['XDG_STATE_HOME'] = 'here';
  process.env['HOME'] = folder;
  t.ok((await defaultStateFolder(folder)).startsWith(join(folder, '.local/state/p2p-serve/')));
  for (const home of ['', 'here']) {
    process.env['HOME'] = home;
    const there = join(userInfo().homedir, '.local/state/p2p-serve/');
    t.ok((await defaultStateFolder(folder)).startsWith(there), `HOME=${home}`);
  }
  process.env['XDG_STATE_HOME'] = folder;
  t.ok((await defaultStateFolder(folder)).startsWith(folder));
});

t.test('a state folder that cannot be used: one line, code 2', async (t) => {
  const folder = t.testdir({ share: { a: 'a' }, file: 'a' });
  const args = [join(folder, 'share'), '--port', '0', '--state', join(folder, 'file/state')];
  const { code, stderr } = await run('p2p-serve', args);
  t.equal(code, 2);
  t.match(stderr, /^p2p-serve: cannot keep state in .*: ENOTDIR\n$/);
});
