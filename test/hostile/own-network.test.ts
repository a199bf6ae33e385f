/** A peer on the internet names addresses in this network and on this machine: none of them is dialled. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const hasNetworks =
  spawnSync('unshare', ['-Urn', 'ip', 'link', 'set', 'lo', 'up'], { stdio: 'ignore' }).status === 0;

t.test('who is asked', { skip: hasNetworks ? false : 'no namespaces' }, (t) => {
  const script = fileURLToPath(new URL('./own-network/public-peer.js', import.meta.url));
  const env = { ...process.env };
  delete env['NODE_OPTIONS'];
  const run = spawnSync('unshare', ['-Urn', process.execPath, script], { env, encoding: 'utf8' });
  t.equal(run.stderr, '');
  const counts = JSON.parse(run.stdout) as Record<string, [number, number]>;
  for (const [name, [inside, outside]] of Object.entries(counts)) {
    t.equal(inside, 0, `${name}: no connection inside`);
    t.ok(outside > 0, 'while it names others as it likes');
  }
  t.equal(Object.keys(counts).length, 4);
  t.end();
});
