/** Who the commands of a user are: p2p-id, private shares, links. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { formatAddress } from '../../lib/net/address.js';
import { createNode } from '../../lib/node.js';
import { isStateFolder } from '../../lib/state/state-files.js';
import { run } from '../fixtures/cli.js';
import { HELLO } from '../fixtures/messages.js';
import { connectTo, startIndexed } from '../fixtures/node.js';
import { readQrCode } from '../fixtures/qr.js';

const ID = /^[0-9a-f]{64}\n$/;

t.test('one user, one id', async (t) => {
  const home = t.testdir({ share: { hello: 'hello\n' }, out: {} });
  const env = { ...process.env, HOME: home, XDG_STATE_HOME: join(home, 'state') };
  // At the same time: one of them makes the key.
  const ids = await Promise.all([1, 2, 3].map(() => run('p2p-id', [], { env })));
  const [id = ''] = ids.map(({ stdout }) => stdout.toString());
  t.match(id, ID);
  t.ok(ids.every(({ stdout, code }) => code === 0 && stdout.toString() === id));
  const folder = join(home, 'state/p2p-serve/identity');
  t.equal(statSync(join(folder, 'key.pem')).mode & 0o777, 0o600);
  t.ok(isStateFolder(folder), 'it is never shared');
  const file = join(home, 'other.pem');
  const other = await run('p2p-id', ['--identity', file], { env });
  t.match(other.stdout.toString(), ID);
  t.not(other.stdout.toString(), id);
  t.equal(statSync(file).mode & 0o777, 0o600);
  writeFileSync(join(home, 'wrong.pem'), 'nothing');
  t.match(await run('p2p-id', ['--identity', join(home, 'wrong.pem')], { env }), { code: 2 });
  t.match(await run('p2p-id', ['--of', join(home, 'share')], { env }), { code: 3 });

  // A share for this user alone.
  const node = await startIndexed(t, join(home, 'share'), { workers: false, allow: [id.trim()] });
  const at = formatAddress(node.address);
  const named = `${node.id}@${at}`;
  const ping = await run('p2p-ping', [named], { env });
  t.match(ping, { code: 0, stderr: '' });
  t.match(ping.stdout.toString(), `${at} is ${node.id}, proven, p2p-serve/`);
  const refused = await run('p2p-ping', [named, '--identity', file], { env });
  t.match(refused, {
    code: 1,
    stderr: `p2p-ping: ${at}: this peer is there for some peers alone\n`,
  });
  const plain = await run('p2p-ping', [at], { env });
  t.match(plain, { code: 1, stderr: /prove who they are with TLS\n$/ });

  // A link is all that is needed.
  const found = await run('p2p-search', [at, '', '--links', '--tls', '--ttl', '0'], { env });
  t.equal(found.stdout.toString(), `p2p://${named}/${HELLO}/hello\n`);
  const link = found.stdout.toString().trim();
  const shown = await run('p2p-search', [at, '', '--qr', '--tls', '--ttl', '0'], { env });
  const [first, ...code] = shown.stdout.toString().trimEnd().split('\n');
  t.same([shown.code, first], [0, link], 'as a QR code');
  t.equal(readQrCode(code.join('\n')), link);
  const cwd = join(home, 'out');
  t.match(await run('p2p-fetch', [link], { env, cwd }), { code: 0, stderr: '' });
  t.equal(readFileSync(join(cwd, 'hello'), 'utf8'), 'hello\n');
  const again = await run('p2p-fetch', [link], { env, cwd });
  t.match(again, { code: 0, stderr: './hello is already there\n' });
  writeFileSync(join(cwd, 'hello'), 'mine');
  const mine = await run('p2p-fetch', [link], { env, cwd });
  t.match(mine, { code: 2, stderr: /another file: choose a name with -o/ });
  t.equal(readFileSync(join(cwd, 'hello'), 'utf8'), 'mine');
  const piped = await run('p2p-fetch', [link, '-o', '-'], { env, cwd });
  t.equal(piped.stdout.toString(), 'hello\n');
  const wrong = await run('p2p-fetch', [link.replace(node.id, '0'.repeat(64))], { env, cwd: home });
  t.match(wrong, { code: 6 });
  t.notOk(existsSync(join(home, 'hello')));
});

t.test('the name in a link is a name, and nothing else', async (t) => {
  const folder = t.testdir({ share: { hello: 'hello\n' }, in: {} });
  const node = await startIndexed(t, join(folder, 'share'), { workers: false });
  await connectTo(t, node);
  for (const [name, file] of Object.entries({
    '-o': '-o',
    '-': '-',
    '..': '__',
    '.bashrc': '_bashrc',
    'a%5Cb': 'a_b',
  })) {
    const cwd = join(folder, `in/${Buffer.from(name).toString('hex')}`);
    mkdirSync(cwd);
    const link = `p2p://${formatAddress(node.address)}/${HELLO}/${name}`;
    const { code, stdout } = await run('p2p-fetch', [link], { cwd });
    t.same([code, stdout.toString()], [0, '']);
    t.equal(readFileSync(join(cwd, file), 'utf8'), 'hello\n', name);
  }
});

t.test('the id of a share', async (t) => {
  const home = t.testdir({ share: {} });
  const env = { ...process.env, HOME: home, XDG_STATE_HOME: join(home, 'state') };
  const { XDG_STATE_HOME: before } = process.env;
  process.env['XDG_STATE_HOME'] = env.XDG_STATE_HOME;
  const { defaultStateFolder } = await import('../../lib/state/state-folder.js');
  const state = await defaultStateFolder(join(home, 'share'));
  if (before === undefined) delete process.env['XDG_STATE_HOME'];
  else process.env['XDG_STATE_HOME'] = before;
  const node = createNode({ share: join(home, 'share'), state, port: 0, host: '127.0.0.1' });
  t.teardown(() => node.close());
  await node.start();
  const { stdout } = await run('p2p-id', ['--of', join(home, 'share')], { env });
  t.equal(stdout.toString(), `${node.id}\n`);
});
