/** Limits and signals, as people give them to the commands. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { writeLarge } from '../fixtures/bytes.js';
import { command, run, serve, type Served } from '../fixtures/cli.js';

const SIZE = 16 * 2 ** 20;

interface Test {
  testdir(content: { share: Record<string, never> }): string;
  teardown(end: () => Promise<void>): void;
}

async function shared(
  t: Test,
  args: readonly string[],
): Promise<{ served: Served; hash: string; content: Buffer }> {
  const folder = t.testdir({ share: {} });
  const file = join(folder, 'share/large');
  writeLarge(file, SIZE);
  const served = await serve(t, [join(folder, 'share'), '--state', join(folder, 'state'), ...args]);
  await served.indexed;
  const hash = (await run('p2p-hash', [file])).stdout.toString().slice(0, 64);
  return { served, hash, content: readFileSync(file) };
}

/** `p2p-fetch` that has begun, and whose output is not read on before it is asked for. */
async function fetchSlowly(
  t: Test,
  peer: string,
  hash: string,
): Promise<{ rest: () => Promise<Buffer> }> {
  const child = spawn(...command('p2p-fetch', [peer, hash]), {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill();
      await once(child, 'exit');
    }
  });
  const chunks: Buffer[] = [];
  await once(child.stdout, 'readable');
  return {
    rest: async () => {
      for await (const chunk of child.stdout) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks);
    },
  };
}

t.test('rates', async (t) => {
  const { served, hash, content } = await shared(t, [
    ...['--up-limit', '40MB/s', '--max-uploads', '2', '--grace', '5'],
  ]);
  const fetched = await run('p2p-fetch', [served.peer, hash, '--down-limit', '32MiB']);
  t.match(fetched, { code: 0, stderr: '' });
  t.ok(fetched.stdout.equals(content));
  for (const [name, args, message] of [
    ['p2p-fetch', [served.peer, hash, '--down-limit', '10Mbit'], /--down-limit: "10Mbit" .*bits/],
    ['p2p-fetch', [served.peer, hash, '--down-limit=0'], /--down-limit: "0" .*at least 1 kB\/s/],
    ['p2p-serve', ['.', '--port', '0', '--up-limit', 'fast'], /--up-limit: "fast" .* 1\.5MiB/],
    ['p2p-serve', ['.', '--port', '0', '--max-uploads', '0'], /--max-uploads is a whole number/],
    ['p2p-serve', ['.', '--port', '0', '--grace', '-1'], /--grace is a number of seconds from 0/],
  ] as const) {
    const wrong = await run(name, args);
    t.equal(wrong.code, 2, args.join(' '));
    t.match(wrong.stderr, message);
    t.equal(wrong.stderr.split('\n').length, 2, 'one line');
  }
});

t.test('a signal: transfers end first', async (t) => {
  const { served, hash, content } = await shared(t, ['--grace', '600']);
  const { child, peer, says } = served;
  const slow = await fetchSlowly(t, peer, hash);
  const exited = once(child, 'exit');
  child.kill('SIGINT');
  await says('stopping: 1 transfers may take up to 600 s more');
  t.equal((await run('p2p-ping', [peer])).code, 4, 'no new connections');
  t.ok((await slow.rest()).equals(content));
  t.same(await exited, [0, null]);
});

t.test('a second signal, of either kind, ends at once; so does no grace', async (t) => {
  const { served, hash } = await shared(t, ['--grace', '600']);
  const { child, peer, says } = served;
  await fetchSlowly(t, peer, hash);
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await says('stopping: 1 transfers');
  child.kill('SIGINT');
  t.same(await exited, [null, 'SIGINT']);

  const none = await shared(t, ['--grace', '0']);
  await fetchSlowly(t, none.served.peer, none.hash);
  const noneExited = once(none.served.child, 'exit');
  none.served.child.kill('SIGTERM');
  t.same(await noneExited, [0, null]);
});
