/** A limit of few open files: clients are served a few at a time, all in the end; below the least, one line says so. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from '../fixtures/tap.js';
import { parseAddress } from '../../lib/net/address.js';
import { command } from '../fixtures/cli.js';
import { HELLO } from '../fixtures/messages.js';
import { RawPeer } from '../fixtures/raw.js';

const CLIENTS = 60;

/** The command with so many open files at most. */
function startWith(files: number, args: readonly string[]): ChildProcess {
  const [node, rest] = command('p2p-serve', args);
  return spawn('sh', ['-c', `ulimit -n ${files}; exec "$0" "$@"`, node, ...rest], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

t.test('96 open files', async (t) => {
  const folder = t.testdir({ share: { hello: 'hello\n' } });
  const args = [join(folder, 'share'), '--state', join(folder, 'state')];
  const child = startWith(96, [...args, '--port', '0', '--host', '127.0.0.1']);
  const exited = once(child, 'exit');
  child.stderr?.resume();
  const lines: string[] = [];
  if (child.stdout === null) throw new Error();
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line.startsWith('indexed')) break;
  }
  const address = /listening on (\S+)/.exec(lines[0] ?? '')?.[1] ?? '';
  /** Comes back at once until it is served. Half of them greet first, as peers do. */
  const served = async (_: unknown, n: number): Promise<boolean> => {
    for (;;) {
      const peer = await RawPeer.to(t, parseAddress(address)).catch(() => undefined);
      if (n % 2 === 0) await peer?.send({ type: 'PING', info: { version: 1 } }, 2).next();
      const answer = await peer?.send({ type: 'RQFH', hash: HELLO }, 1).next();
      if (answer?.message.type === 'ACKN') {
        peer?.expectBody(6);
        const body = await peer?.body();
        peer?.socket.destroy();
        if (body?.toString() === 'hello\n') return true;
      }
      peer?.socket.destroy();
    }
  };
  const all = await Promise.all(Array.from({ length: CLIENTS }, served));
  t.same(new Set(all), new Set([true]), 'all were served in the end');
  child.kill('SIGTERM');
  t.same(await exited, [0, null], 'and it ends');
});

t.test('too few to start', async (t) => {
  const folder = t.testdir({ share: {} });
  // Fewer than 40 or so, and Node itself cannot load a command.
  for (const [files, line] of [
    [63, /^p2p-serve: only 63 files may be open at once; a node needs 64[^\n]*\n$/],
    [48, /^p2p-serve: [^\n]*\(ulimit -n\)\n$/],
  ] as const) {
    const child = startWith(files, [join(folder, 'share'), '--port', '0']);
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
    const [code] = (await once(child, 'close')) as [number];
    t.not(code, 0);
    t.match(said, line);
  }
});
