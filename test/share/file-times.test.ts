/** Size and time do not tell everything: files that share both, and times at the limits. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { rootOf, TreeHasher } from '../../lib/hash/tree.js';
import { createNode, type PeerNode } from '../../lib/node.js';
import { racyTime } from '../../lib/share/hashing.js';
import { bytesOf, connectTo, listOf } from '../fixtures/node.js';

interface Test {
  teardown(end: () => Promise<void>): void;
}

const hashOf = (file: string): string =>
  Buffer.from(rootOf(new TreeHasher().update(readFileSync(file)).digest())).toString('hex');

/** A node that has indexed all. */
async function start(t: Test, share: string, state: string, watch = false): Promise<PeerNode> {
  const node = createNode({ share, host: '127.0.0.1', port: 0, state, watch, threads: 1 });
  t.teardown(() => node.close());
  const indexed = Promise.all([once(node, 'indexed'), watch ? once(node, 'watching') : undefined]);
  await node.start();
  await indexed;
  return node;
}

/** Resolves when the node offers what is on the disk under this name. */
async function offers(t: Test, node: PeerNode, file: string, path: string): Promise<void> {
  const peer = await connectTo(t, node);
  for (;;) {
    const settled = once(node, 'settled');
    const [found] = (await listOf(peer.search(path))).filter((each) => each.path === path);
    if (found?.hash === hashOf(file)) {
      const bytes = await bytesOf(peer.fetch(found.hash));
      if (!bytes.equals(readFileSync(file))) throw new Error('other bytes');
      return;
    }
    await settled;
  }
}

/** Put other content of the same size and time into a new file. @returns whether it got the same inode */
function replace(file: string, as: string, content: string): boolean {
  const { ino, atime, mtime } = statSync(file);
  rmSync(file);
  writeFileSync(as, content);
  utimesSync(as, atime, mtime);
  return statSync(as).ino === ino;
}

t.test(
  'any time that a file system holds: indexed, served, and known after a restart',
  async (t) => {
    const folder = t.testdir({ share: {}, state: {} });
    const [share, state] = [join(folder, 'share'), join(folder, 'state')];
    const times = ['2300-01-01', '1910-01-01T00:00:00.5', '1969-12-31T23:59:59.999', '2446-05-10'];
    for (const [i, time] of times.entries()) {
      writeFileSync(join(share, `f${i}`), time);
      execFileSync('touch', ['-d', `${time}Z`.replace(/^(.{10})Z$/, '$1'), join(share, `f${i}`)]);
    }
    for (const hashed of [times.length, 0]) {
      const node = createNode({ share, host: '127.0.0.1', port: 0, state, watch: false });
      const indexed = once(node, 'indexed') as Promise<[{ hashed: number }]>;
      await node.start();
      const [result] = await indexed;
      t.equal(result.hashed, hashed);
      for (const i of times.keys()) await offers(t, node, join(share, `f${i}`), `f${i}`);
      const settled = once(node, 'settled');
      node.rescan();
      await settled;
      t.equal(node.shared.files, times.length, 'nothing is withdrawn');
      await node.close();
    }
  },
);

t.test('another file with the size, the time and the inode number of a deleted one', async (t) => {
  const folder = t.testdir({ share: { a: 'first', b: 'first too' }, state: {} });
  const [share, state] = [join(folder, 'share'), join(folder, 'state')];
  for (const name of ['a', 'b']) utimesSync(join(share, name), 1e9, 1e9);
  const node = await start(t, share, state, true);
  let reused = replace(join(share, 'a'), join(share, 'other'), 'other');
  await offers(t, node, join(share, 'other'), 'other');
  reused = replace(join(share, 'b'), join(share, 'b'), 'other too') || reused;
  await offers(t, node, join(share, 'b'), 'b');
  await node.close();
  // The same while it does not run.
  reused = replace(join(share, 'other'), join(share, 'third'), 'third') || reused;
  reused = replace(join(share, 'b'), join(share, 'b'), 'third too') || reused;
  const again = await start(t, share, state);
  await offers(t, again, join(share, 'third'), 'third');
  await offers(t, again, join(share, 'b'), 'b');
  t.comment(reused ? 'inode numbers were used again' : 'no inode number was used again');
});

t.test(
  'written again within one tick of a coarse clock: hashed again, also after a restart',
  async (t) => {
    const folder = t.testdir({ share: { a: 'one' }, state: {} });
    const [share, state] = [join(folder, 'share'), join(folder, 'state')];
    const file = join(share, 'a');
    const time = Math.floor(Date.now() / 1000);
    const write = (content: string): void => {
      writeFileSync(file, content);
      utimesSync(file, time, time);
    };
    write('one');
    const node = await start(t, share, state);
    write('two');
    // Of the second content neither the watch nor a scan can tell.
    await offers(t, node, file, 'a');
    const future = Math.floor(Date.now() / 1000);
    utimesSync(file, future, future);
    node.rescan();
    await once(node, 'settled');
    await node.close();
    writeFileSync(file, 'six');
    utimesSync(file, future, future);
    const again = await start(t, share, state);
    await offers(t, again, file, 'a');
  },
);

t.test(
  'overwritten while nobody looked, with size and time put back: fetched once in vain',
  async (t) => {
    const folder = t.testdir({ share: {}, state: {} });
    const [share, state] = [join(folder, 'share'), join(folder, 'state')];
    // One that is hashed when it is read, one that is sent before a receiver can say anything, one that is not.
    const sizes = { small: 5000, medium: 1_500_000, large: 12_000_000 };
    const fill = (byte: number): void => {
      for (const [name, size] of Object.entries(sizes)) {
        writeFileSync(join(share, name), Buffer.alloc(size, byte));
        utimesSync(join(share, name), 1e9, 1e9);
      }
    };
    fill(1);
    const node = await start(t, share, state);
    await node.close();
    fill(2);
    const again = await start(t, share, state);
    for (const name of Object.keys(sizes)) {
      const peer = await connectTo(t, again);
      const [before] = await listOf(peer.search(name));
      const changed = once(again, 'change');
      const code = name === 'small' ? 'ERR_CHANGED' : 'ERR_MISMATCH';
      await t.rejects(bytesOf(peer.fetch(before?.hash ?? '')), { code }, name);
      await changed;
      await offers(t, again, join(share, name), name);
    }
  },
);

t.test('how long a time is in doubt', (t) => {
  const at = (
    ms: number,
    ns = 1n,
  ): { size: number; mtimeNs: bigint; birthNs: bigint; ino: bigint } => ({
    size: 1,
    mtimeNs: BigInt(ms) * 1_000_000n + ns,
    birthNs: 0n,
    ino: 1n,
  });
  const now = 1_800_000_000_000;
  t.equal(racyTime(at(now - 15), now), 20, 'two ticks of the clock');
  t.equal(racyTime(at(now - 25), now), 0);
  t.equal(racyTime(at(now - 3000, 0n), now), 4000, 'whole seconds');
  t.equal(racyTime(at(now - 4000, 0n), now), 0);
  t.equal(racyTime(at(now + 10_000, 0n), now), 0, 'no file waits for ever');
  t.end();
});

t.test(
  'files whose size is wrong are left out, in one line',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const share = '/proc/sys/kernel/random';
    const node = createNode({ share, host: '127.0.0.1', port: 0, watch: false, workers: false });
    t.teardown(() => node.close());
    const said: string[] = [];
    node.on('warning', ({ path, reason }) => said.push(`${path}: ${reason}`));
    const indexed = once(node, 'indexed');
    await node.start();
    await indexed;
    node.rescan();
    await once(node, 'settled');
    t.equal(node.shared.files, 0);
    const uuid = 'uuid: it does not have as many bytes as its size says; skipped';
    t.equal(said.filter((line) => line === uuid).length, 1, said.join('\n'));
  },
);
