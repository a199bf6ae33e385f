/**
 * In a network namespace of its own: a node whose only network goes down, which starts again meanwhile with
 * what it saved, and finds its peer when the network is back. Prints one line of JSON.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerNode } from '../../../lib/index.js';
import { linksOf, until } from '../../fixtures/node.js';
import { createNode } from '../../fixtures/transport.js';

const TIMES = {
  connect: 200,
  answer: 200,
  ping: 50,
  revisit: 100,
  pauses: [20, 50],
  reachedPause: { base: 20, cap: 60_000 },
  alonePause: 100,
  soon: 20,
  stable: 0,
  dropped: 60_000,
};

const setLink = (state: 'up' | 'down'): void => {
  execFileSync('ip', ['link', 'set', 'lo', state], { stdio: 'ignore' });
};
const folder = mkdtempSync(join(tmpdir(), 'cut-'));
const share = join(folder, 'share');
mkdirSync(share);
const start = async (host: string, peers: string[]): Promise<PeerNode> => {
  const state = join(folder, host);
  const node = createNode({
    ...{ share, host, state, peers },
    ...{ port: 7000, watch: false, workers: false, times: TIMES },
  });
  await node.start();
  return node;
};

setLink('up');
const other = await start('127.0.0.2', []);
const first = await start('127.0.0.1', ['127.0.0.2:7000']);
await until(first, () => linksOf(first).length === 1);
setLink('down');
await until(first, () => first.peers.length === 0);
// Longer than three attempts and their pauses.
await sleep(500);
await first.close();
// Nobody is named now.
const again = await start('127.0.0.1', []);
await sleep(500);
const lost = again.peers.length === 0;
setLink('up');
const begin = performance.now();
await until(again, () => linksOf(again).length === 1);
const back = Math.round(performance.now() - begin);
await Promise.all([again.close(), other.close()]);
rmSync(folder, { recursive: true, force: true });
console.log(JSON.stringify({ lost, back }));
process.exit(0);
