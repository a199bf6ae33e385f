/**
 * Two containers that share nothing but a volume fetch different files to the same name: namespaces of their own for
 * users, mounts, processes, the network and the host's name, so that no lock or process of one is seen by the other.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { random, seeded } from '../fixtures/bytes.js';
import { command, hasNamespaces, run, serve, type Served } from '../fixtures/cli.js';
import { size } from './sizes.js';

const NAMESPACES = '-Urmnu';
const SETUP = 'hostname container && ip link set lo up';
/** In a process namespace of its own, which ends with this process. */
const ALONE = ['unshare', '-p', '--fork', '--kill-child', '--mount-proc'];
const ROUNDS = size(3, 60);
/** With the limit a transfer takes long enough for the other to come in between. */
const BYTES = 1_500_000;
const LIMIT = '4M';

interface Container {
  served: Served;
  content: Buffer;
  hash: string;
  /** Where the volume is mounted there. */
  volume: string;
}

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stderr: string;
  /** What stood at the name then. */
  file: Buffer | undefined;
}

/** p2p-fetch in the container. */
function fetching({ served, hash, volume }: Container): ChildProcess {
  const enter = ['-t', String(served.child.pid), '-U', '-m', '-n', '-u', '--preserve-credentials'];
  const args = [served.peer, hash, '-o', join(volume, 'FILE'), '--down-limit', LIMIT];
  const [program, rest] = command('p2p-fetch', args);
  const all = [...enter, ...ALONE, program, ...rest];
  return spawn('nsenter', all, { stdio: ['ignore', 'ignore', 'pipe'] });
}

async function endOf(child: ChildProcess, file: string): Promise<Ended> {
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const closed = once(child, 'close');
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  // What was in the namespace ends behind the process that was killed.
  if (signal !== null) await closed;
  const there = existsSync(file) ? readFileSync(file) : undefined;
  await closed;
  return { code, signal, stderr, file: there };
}

const skip = hasNamespaces(`${SETUP} && ${ALONE.join(' ')} true`, NAMESPACES)
  ? false
  : 'no namespaces here (unshare, ip link)';

t.test(`${ROUNDS} times one FILE, two contents`, { skip }, async (t) => {
  const folder = t.testdir({ volume: {}, a: { share: {} }, b: { share: {} } });
  const file = join(folder, 'volume/FILE');
  const start = async (name: string): Promise<Container> => {
    const [share, volume] = [join(folder, name, 'share'), join(folder, name, 'volume')];
    const content = random(BYTES);
    writeFileSync(join(share, 'f'), content);
    mkdirSync(volume);
    const setup = `${SETUP}\nmount --bind '${join(folder, 'volume')}' '${volume}'`;
    const served = await serve(t, [share, '--no-watch'], { setup, namespaces: NAMESPACES });
    await served.indexed;
    const hash = (await run('p2p-hash', [join(share, 'f')])).stdout.toString().slice(0, 64);
    return { served, content, hash, volume };
  };
  const [a, b] = await Promise.all([start('a'), start('b')]);
  const old = Buffer.from('what stood there before');
  const next = seeded(21);
  const counts: Record<string, number> = {};
  const count = (what: string): void => {
    counts[what] = (counts[what] ?? 0) + 1;
  };

  for (let round = 0; round < ROUNDS; round++) {
    rmSync(file, { force: true });
    const before = round % 3 === 1 ? old : undefined;
    if (before !== undefined) writeFileSync(file, before);
    const children = [a, b].map(fetching);
    const ends = children.map((child) => endOf(child, file));
    if (round % 3 === 2) {
      const victim = children[round & 1];
      setTimeout(() => victim?.kill('SIGKILL'), 300 + next() * 900);
    }
    const ended = await Promise.all(ends);
    for (const [i, { code, signal, stderr, file: there }] of ended.entries()) {
      const [own, other] = i === 0 ? [a, b] : [b, a];
      const rival = ended[1 - i];
      const what = `round ${round}, ${i === 0 ? 'a' : 'b'}: ${code ?? signal} ${stderr}`;
      const isOwn = there?.equals(own.content) === true;
      const isOthers = there?.equals(other.content) === true;
      if (code === 0) {
        count(isOwn ? 'fetched' : 'fetched, then replaced');
        t.equal(stderr, '', what);
        // Whoever comes when it is done may replace it.
        t.ok(isOwn || (isOthers && rival?.code !== 1), what);
      } else if (code === 1) {
        count('refused');
        t.match(
          stderr,
          /^(what was .*\n)?p2p-fetch: .*\/FILE: another file has got this name meanwhile\n$/,
          what,
        );
        t.ok(isOthers, what);
      } else {
        count('killed');
        t.equal(signal, 'SIGKILL', what);
        const isOld = before === undefined ? there === undefined : there?.equals(before);
        t.ok(isOwn || isOthers || isOld, what);
      }
    }
    t.ok(existsSync(file), 'one of them is there');
    // The same commands again, one after the other, as far as they did not get the name.
    for (const [i, own] of [a, b].entries()) {
      if (ended[i]?.code === 0) continue;
      const { code, stderr, file: there } = await endOf(fetching(own), file);
      t.equal(code, 0, stderr);
      t.ok(there?.equals(own.content), 'the last that is run has its file there');
    }
    t.same(readdirSync(join(folder, 'volume')), ['FILE'], 'no part is left');
  }
  t.comment(counts);
});
