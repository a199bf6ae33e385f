/** Starts and ends of a node: whatever goes wrong, it says so and leaves nothing open. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from './fixtures/tap.js';

const WANTED: Record<string, string[]> = {
  'started twice': ['done', 'ERR_USAGE'],
  'closed twice, then used': ['done', 'done', 'ERR_CLOSED', 'ERR_CLOSED', 'ERR_CLOSED'],
  'never started': ['ERR_USAGE', 'ERR_USAGE', 'done'],
  'closed while it starts': ['done', 'ERR_CLOSED'],
  'closed when it listens': ['ERR_CLOSED'],
  'the port is taken': ['ERR_IN_USE', 'ERR_CLOSED', 'done'],
  'the state folder is in use': ['ERR_IN_USE', 'ERR_CLOSED'],
  'the share is missing': ['ERR_USAGE', 'ERR_CLOSED'],
  'the index cannot be opened': ['ERR_USAGE', 'ERR_CLOSED'],
  'a listener throws': ['content', 'from listening', 'from indexed'],
};

t.test('starts and ends', (t) => {
  const folder = t.testdir({ share: { a: 'content' } });
  const script = fileURLToPath(new URL('./fixtures/lifecycle-steps.js', import.meta.url));
  const args = ['-u', 'NODE_OPTIONS', process.execPath, '--no-warnings', script, folder];
  const { stdout, stderr, status, signal } = spawnSync('env', args, {
    encoding: 'utf8',
    timeout: 60_000,
  });
  const got = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as [string, string[]]);
  for (const [name, result] of got) t.same(result, WANTED[name], name);
  t.equal(got.length, Object.keys(WANTED).length, stderr);
  t.same([status, signal], [0, null], 'it ends by itself');
  t.end();
});
