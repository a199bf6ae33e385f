/**
 * A disk that fails at the last moment: while a file's bytes are synced, and when it gets its name. The command says
 * so in one line, and no file has a name. The error is the system's: strace(1) makes the calls fail.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { formatAddress } from '../../lib/net/address.js';
import { BLOCK_BYTES } from '../../lib/wire/body.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { command, run } from '../fixtures/cli.js';
import { connectTo, listOf, startIndexed } from '../fixtures/node.js';

const EIO = 'input/output error';
const ENOSPC = 'no space left on the device';
/** Target, the calls that fail and how, and what is said. */
const TABLE = [
  ['file', 'fdatasync:error=EIO', EIO],
  ['file', 'link:error=EIO', EIO],
  ['file', 'rename:error=ENOSPC', ENOSPC],
  ['folder', 'fdatasync:error=ENOSPC', ENOSPC],
  ['folder', 'link:error=EIO', EIO],
] as const;

const failing = (calls: string): string[] => {
  return ['-f', '-qq', '-o', '/dev/null', '-e', `inject=${calls}`];
};
const canFail = spawnSync('strace', [...failing('link:error=EIO'), 'true']).status === 0;

t.test('disk errors', { skip: canFail ? false : 'no strace(1)' }, async (t) => {
  const folder = t.testdir({ share: {} });
  writeFiles(join(folder, 'share'), { large: random(3 * BLOCK_BYTES), small: 'small' });
  const node = await startIndexed(t, join(folder, 'share'), { workers: false });
  const peer = await connectTo(t, node);
  const hash = (await listOf(peer.search('large')))[0]?.hash ?? '';
  const address = formatAddress(node.address);
  for (const [target, calls, reason] of TABLE) {
    const what = `${target}, ${calls}`;
    const out = join(folder, what);
    mkdirSync(out);
    const args = target === 'file' ? [hash, '-o', join(out, 'large')] : ['--all', '', '-o', out];
    const [program, rest] = command('p2p-fetch', [address, ...args]);
    const child = spawn('strace', [...failing(calls), program, ...rest]);
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    t.same(await once(child, 'close'), [1, null], what);
    const lines = stderr.replaceAll(out, 'OUT').split('\n').slice(0, -1);
    t.match(lines.pop(), new RegExp(`^p2p-fetch: OUT/(large|small): ${reason}$`), what);
    t.match(
      lines.join(),
      target === 'file'
        ? /^what was verified is in OUT\/large\.\w+\.part$/
        : /^fetched 0 files, .* ended early$/,
      what,
    );
    for (const name of readdirSync(out)) t.match(name, /\.part$/, `${what}: no final name`);
    const again = await run('p2p-fetch', [address, ...args]);
    t.equal(again.code, 0, `${what}, and again: ${again.stderr}`);
    t.ok(
      readdirSync(out).every((name) => !name.endsWith('.part')),
      what,
    );
  }
});
