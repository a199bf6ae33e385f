/** What p2p-fetch shows on a terminal: a pseudo-terminal that script(1) makes. */
import { spawnSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { TERMINAL, command, run, serve } from '../fixtures/cli.js';
import { readQrCode } from '../fixtures/qr.js';

const skip =
  spawnSync('script', ['-qec', 'true', '/dev/null'], { stdio: 'ignore' }).status === 0
    ? false
    : 'no script(1) here';

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Run shell lines on a terminal. @returns all that it was sent, and the exit code */
async function onTerminal(lines: string, columns = 80): Promise<{ shown: string; code: number }> {
  const script = `stty cols ${columns} rows 24; ${lines}`;
  const child = spawn('script', ['-qec', script, '/dev/null'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: TERMINAL,
  });
  let shown = '';
  child.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString('latin1')));
  const [code] = (await once(child, 'close')) as [number];
  return { shown, code };
}

t.test('a terminal', { skip }, async (t) => {
  const folder = t.testdir({ share: {} });
  writeFiles(join(folder, 'share'), {
    text: 'plain\ttext\nred \u001b[31m, bell \u0007, title \u001b]0;x\u0007\n',
    binary: random(900_000),
  });
  const { peer, indexed } = await serve(t, [join(folder, 'share'), '--state', join(folder, 's')]);
  await indexed;
  const hashOf = async (name: string): Promise<string> =>
    (await run('p2p-search', [peer, name, '--ttl', '0'])).stdout.toString().slice(0, 64);
  const [text, binary] = [await hashOf('text'), await hashOf('binary')];
  const line = (args: readonly string[]): string => {
    const [program, rest] = command('p2p-fetch', args);
    return [program, ...rest].map(quoted).join(' ');
  };

  const [program, args] = command('p2p-search', [peer, 'text', '--ttl', '0', '--qr']);
  const found = await onTerminal([program, ...args].map(quoted).join(' '));
  const [link, ...code] = Buffer.from(found.shown, 'latin1').toString().trimEnd().split('\r\n');
  const colours = /^\x1b\[40m\x1b\[97m(.*)\x1b\[39m\x1b\[49m$/;
  t.equal(readQrCode(code.map((row) => colours.exec(row)?.[1] ?? '').join('\n')), link);

  const shown = await onTerminal(line([peer, text]));
  t.equal(shown.code, 0);
  t.match(shown.shown, 'plain\ttext\r\nred \\u{1b}[31m, bell \\u{7}, title \\u{1b}]0;x\\u{7}\r\n');
  t.notMatch(shown.shown, '\u001b', 'no bar, and no escape byte of the file');
  const refused = await onTerminal(line([peer, binary]));
  t.equal(refused.code, 2);
  t.match(
    refused.shown,
    /^p2p-fetch: a binary file is not written to a terminal: [^\r]*-o -[^\r]*\r\n$/,
  );
  const raw = await onTerminal(line([peer, text, '-o', '-']));
  t.match(raw.shown, '\u001b[31m', 'as it is, if that is asked for');

  const slow = [peer, binary, '--down-limit', '1500k', '-o'];
  const bar = await onTerminal(line([...slow, join(folder, 'bar')]));
  t.match(bar.shown, /\r\u001b\[K\u00e2\u0096/, 'a bar');
  t.notMatch(bar.shown, /\u001b\[\?/, 'cursor and line wrap are left alone');
  t.match(bar.shown, /\r\u001b\[K$/, 'and it is cleared');
  const narrow = await onTerminal(line([...slow, join(folder, 'narrow')]), 20);
  const widths = narrow.shown
    .split(/\r\u001b\[K/)
    .map((one) => Buffer.from(one, 'latin1').toString().length);
  t.ok(Math.max(...widths) < 20, `${Math.max(...widths)} of 20 columns`);
  for (const set of ['TERM=dumb', 'NO_COLOR=1', 'CI=true']) {
    const name = join(folder, set.slice(0, 2));
    const plain = await onTerminal(`${set} ${line([...slow, name])}`);
    t.match(plain.shown, /^\d+% .*\r\n/m, set);
    t.notMatch(plain.shown, '\u001b', `${set}: plain lines`);
  }

  // Ended or stopped by any signal there is nothing to put back.
  for (const signal of ['INT', 'TERM', 'HUP', 'QUIT', 'TSTP']) {
    const file = join(folder, signal);
    const lines = `set -m; ulimit -c 0; ${line([...slow, file])} & p=$!
while ! ls ${quoted(file)}.*.part > /dev/null 2>&1; do :; done
kill -${signal} $p; ${signal === 'TSTP' ? 'fg' : 'wait $p'}; true`;
    writeFileSync(join(folder, 'lines'), lines);
    const { shown: all } = await onTerminal(`bash ${quoted(join(folder, 'lines'))}`);
    t.match(all, '\r\u001b[K', `${signal}: there was a bar`);
    t.notMatch(all, /\u001b\[\?/, `${signal}: cursor and line wrap are left alone`);
  }
});
