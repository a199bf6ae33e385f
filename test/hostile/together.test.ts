/**
 * Several processes that fetch into one folder, some of them killed at any moment: what stands under a
 * final name is always whole and one of those that were asked for, and no process ends with exit code 0
 * while its file is not there. They share nothing but the disk, as two containers with one volume do.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { formatAddress } from '../../lib/net/address.js';
import { BLOCK_BYTES } from '../../lib/wire/body.js';
import { random, seeded, writeFiles } from '../fixtures/bytes.js';
import { command, run } from '../fixtures/cli.js';
import { connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { size } from './sizes.js';

const ROUNDS = size(8, 200);
const SEED = Number(process.env['P2P_SEED'] ?? 20_261_125);

function read(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

t.test(`${ROUNDS} times several processes at once, with kills`, async (t) => {
  const folder = t.testdir({ share: { one: {}, two: {} } });
  // One name, two contents; a small file beside it.
  const contents = [random(12 * BLOCK_BYTES + 99), random(9 * BLOCK_BYTES)];
  const small = Buffer.from('small');
  writeFiles(join(folder, 'share'), {
    'one/f': contents[0] ?? small,
    'two/f': contents[1] ?? small,
  });
  const nodes = await Promise.all(
    ['one', 'two'].map((name) => startIndexed(t, join(folder, 'share', name), { workers: false })),
  );
  const peers = nodes.map((node) => formatAddress(node.address));
  const hashes: string[] = [];
  for (const node of nodes) {
    hashes.push((await listOf((await connectTo(t, node)).search('')))[0]?.hash ?? '');
  }
  const next = seeded(SEED);
  const below = (n: number): number => Math.floor(next() * n);
  const ends = { fetched: 0, refused: 0, killed: 0 };
  let watched = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const out = join(folder, 'out');
    mkdirSync(out);
    const file = join(out, 'f');
    if (below(3) === 0) writeFiles(out, { f: 'old' });
    const runs = Array.from({ length: 2 + below(2) }, async (): Promise<void> => {
      const which = below(3) === 0 ? 1 : 0;
      const peer = peers[which] ?? '';
      const args =
        below(2) === 0 ? [peer, hashes[which] ?? '', '-o', file] : [peer, '--all', '', '-o', out];
      // As much at a time that the others come in between.
      args.push('--down-limit', `${1 + below(30)}M`);
      if (below(2) === 0) args.push('--no-fsync');
      const [program, rest] = command('p2p-fetch', args);
      const child = spawn(program, rest, { stdio: ['ignore', 'ignore', 'pipe'] });
      let stderr = '';
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      const kill = [undefined, 'SIGKILL', 'SIGTERM', 'SIGINT'][below(4)] as
        NodeJS.Signals | undefined;
      // Whatever one of them does in the folder is a moment to kill this one.
      let moments = below(40);
      const watcher = watch(out, () => {
        if (moments-- === 0 && kill !== undefined) child.kill(kill);
      });
      const [code] = (await once(child, 'exit')) as [number | null];
      watcher.close();
      const there = read(file);
      if (code === null) ends.killed++;
      else if (code === 0) ends.fetched++;
      else ends.refused++;
      if (code === 0 && !contents.some((content) => there?.equals(content) === true)) {
        t.fail(`round ${round}: exit code 0, and no whole file`);
      }
      if (code !== 0 && code !== null && !/^(fetched .*\n)?p2p-fetch: |1 failed/m.test(stderr)) {
        t.fail(`round ${round}: ${code} without a reason: ${stderr}`);
      }
    });
    const end = new AbortController();
    const over = (): boolean => end.signal.aborted;
    const watching = (async () => {
      while (!over()) {
        const there = read(file);
        watched++;
        const isWhole = contents.some((content) => there?.equals(content) === true);
        if (there !== undefined && !isWhole && there.toString() !== 'old') {
          t.fail(`round ${round}: ${there.length} wrong bytes under the final name`);
          return;
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await Promise.all(runs);
    end.abort();
    await watching;
    // The same command again comes to its end with what is there.
    const last = await run('p2p-fetch', [peers[0] ?? '', hashes[0] ?? '', '-o', file]);
    if (last.code !== 0 || read(file)?.equals(contents[0] ?? small) !== true) {
      t.fail(`round ${round}: ${last.code}: ${last.stderr}`);
    }
    rmSync(out, { recursive: true });
  }
  t.comment(ends, `${watched} looks at the name`);
  t.ok(ends.fetched > 0 && ends.killed > 0);
});
