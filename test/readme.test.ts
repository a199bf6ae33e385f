/** What the README says a program can do, done. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

t.test('the example of the library', (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
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
