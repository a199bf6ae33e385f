/** `--` ends options, and what stands behind it may begin with a dash. */
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { writeFiles } from '../fixtures/bytes.js';
import { run, serve } from '../fixtures/cli.js';

t.test('operands behind --', async (t) => {
  const folder = t.testdir({ share: {} });
  writeFiles(join(folder, 'share'), { 'a -rf': 'dashes', '--help': 'help' });
  const { peer, indexed } = await serve(t, [join(folder, 'share'), '--state', join(folder, 's')]);
  await indexed;
  const cwd = join(folder, 'share');
  const found = await run('p2p-search', [peer, '--ttl', '0', '--', '-rf']);
  t.match(found.stdout.toString(), /a -rf\n$/, found.stderr);
  const hash = found.stdout.toString().slice(0, 64);
  const fetched = await run('p2p-fetch', ['--', peer, hash]);
  t.match(fetched, { code: 0, stdout: Buffer.from('dashes') }, fetched.stderr);
  const hashed = await run('p2p-hash', ['--', '--help', 'a -rf'], {
    cwd,
    input: Buffer.from('no'),
  });
  t.match(hashed.stdout.toString(), new RegExp(`^[0-9a-f]{64}  --help\n${hash}  a -rf\n$`));
  t.match(await run('p2p-hash', ['-'], { input: Buffer.from('dashes') }), {
    code: 0,
    stdout: Buffer.from(`${hash}  -\n`),
  });
  t.match(await run('p2p-hash', ['-', 'x'], { input: Buffer.from('') }), { code: 2 });
  t.match(await run('p2p-ping', ['--', peer]), { code: 0 });
  t.match(await run('p2p-peers', ['--', peer]), { code: 0 });
  const wrong = await run('p2p-ping', ['--', peer, '--json']);
  t.match(wrong, { code: 2, stderr: /^p2p-ping: [^\0]*--json[^\0]*\n$/ });
});
