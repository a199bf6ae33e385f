/** What the README says a program can do, done. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from './fixtures/tap.js';
import { run } from './fixtures/cli.js';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** Named below the table: several commands have them. */
const COMMON = ['help', 'version', 'completion', 'plain', 'tls', 'identity'];

t.test('every option of --help is named, and no other', async (t) => {
  for (const name of ['serve', 'search', 'fetch', 'peers', 'ping', 'id', 'hash'].map(
    (c) => `p2p-${c}`,
  )) {
    const { stdout } = await run(name, ['--help']);
    const [, options = ''] = /^Options:\n([^]*?)\n\n/m.exec(stdout.toString()) ?? [];
    const there = [...options.matchAll(/^ {2,6}(?:-\w, )?--([a-z-]+)/gm)].map(
      ([, option = '']) => option,
    );
    t.ok(there.includes('completion'), name);
    const rows = [...readme.matchAll(new RegExp(`^\\| \`${name}[ \`].*$`, 'gm'))].join('\n');
    const named = [...rows.matchAll(/[` ](?:-o|--(?:no-)?([a-z-]+))\b/g)];
    const said = new Set(named.map(([, option = 'output']) => option));
    const own = (options: Iterable<string>): string[] =>
      [...options].filter((option) => !COMMON.includes(option)).sort();
    t.same(own(said), own(there), name);
  }
});

t.test('the example of the library', (t) => {
  const [, example = ''] = /^## As a library\n[^]*?```js\n([^]*?)```/m.exec(readme) ?? [];
  const folder = t.testdir({ data: { 'a holiday.jpg': 'content' }, 'example.mjs': example });
  // Inside the package its own name means what is built (Node's self-referencing).
  const args = ['-u', 'NODE_OPTIONS', process.execPath, 'example.mjs'];
  const { status, stderr, stdout } = spawnSync('env', args, {
    cwd: folder,
    encoding: 'utf8',
    timeout: 60_000,
  });
  t.same([status, stderr], [0, '']);
  t.match(stdout, 'a holiday.jpg');
  for (const file of ['out', 'copy', 'third', 'photos/a holiday.jpg']) {
    t.equal(readFileSync(join(folder, file), 'utf8'), 'content', file);
  }
  t.end();
});
