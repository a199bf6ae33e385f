/**
 * A disk that does not give what is on it (EIO): the file is withdrawn and named once, others are served, and
 * it is served again when the disk is well. The error is the system's: strace(1) makes the calls fail.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import type { Peer } from '../../lib/fetch/peer.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { run, serve } from '../fixtures/cli.js';
import { bytesOf, listOf } from '../fixtures/node.js';
import { connect } from '../fixtures/transport.js';

const INJECT = [
  '-e',
  'trace=pread64,read,sendfile',
  '-e',
  'inject=pread64,read,sendfile:error=EIO',
];

function canTrace(): boolean {
  const probe = spawnSync('strace', [
    '-qq',
    '-o',
    '/dev/null',
    '-e',
    'inject=read:error=EIO:when=999',
    'true',
  ]);
  return probe.status === 0;
}

const skip = canTrace() ? false : 'strace(1) is not here, or may not trace';

/** Calls of a process that read from some files fail from now on. @returns makes them well again */
async function breakDisk(
  child: ChildProcess,
  files: readonly string[],
): Promise<() => Promise<void>> {
  const paths = files.flatMap((file) => ['-P', file]);
  const args = ['-f', '-o', '/dev/null', ...paths, ...INJECT, '-p', String(child.pid)];
  const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  strace.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  while (!said.includes('attached')) await once(strace.stderr, 'data');
  return async () => {
    const gone = once(strace, 'exit');
    strace.kill('SIGINT');
    await gone;
  };
}

async function hashes(peer: Peer): Promise<Map<string, string>> {
  return new Map((await listOf(peer.search(''))).map(({ path, hash }) => [path, hash]));
}

for (const way of ['--sendfile', '--no-sendfile']) {
  t.test(`read errors: ${way}`, { skip }, async (t) => {
    const folder = t.testdir({ share: {}, state: {} });
    const share = join(folder, 'share');
    const files: Record<string, Buffer> = {
      'bad-small': random(1000),
      'bad-middle': random(400_000),
      'bad-large': random(6_000_000),
      'good-small': random(1000),
      'good-large': random(6_000_000),
    };
    writeFiles(share, files);
    const args = [share, '--state', join(folder, 'state'), '--verbose', way];
    const served = await serve(t, args);
    await served.indexed;
    await served.says('watching');
    const peer = await connect(served.peer);
    t.teardown(() => peer.close());
    const known = await hashes(peer);
    const bad = Object.keys(files).filter((path) => path.startsWith('bad'));
    const heal = await breakDisk(
      served.child,
      bad.map((path) => join(share, path)),
    );
    for (const path of bad) {
      const { code, stdout, stderr } = await run('p2p-fetch', [served.peer, known.get(path) ?? '']);
      t.equal(code, 1, `${path}: ${stderr}`);
      t.match(stderr, /^p2p-fetch: [^\n]*\n$/, 'one line');
      t.ok(files[path]?.subarray(0, stdout.length).equals(stdout), 'no wrong byte');
      const again = await run('p2p-fetch', [served.peer, known.get(path) ?? '']);
      t.equal(again.code, 3, `${path} is not offered any more`);
      served.child.kill('SIGHUP');
      await served.says('SIGHUP');
    }
    t.same([...(await hashes(peer)).keys()].sort(), ['good-large', 'good-small']);
    for (const path of ['good-small', 'good-large']) {
      const bytes = await bytesOf(peer.fetch(known.get(path) ?? ''));
      t.ok(files[path]?.equals(bytes), `${path} is served`);
    }
    // A file that is new and cannot be read either.
    await heal();
    const more = await breakDisk(served.child, [join(share, 'bad-new')]);
    writeFiles(share, { 'bad-new': random(500_000), 'good-new': 'good' });
    const [good, bad2] = ['added: good-new', 'bad-new: EIO; skipped'];
    // In any order.
    while (!served.stderr().includes(good) || !served.stderr().includes(bad2)) {
      await served.hears();
    }
    await more();
    for (const path of [...bad, 'bad-new']) {
      const named = served.stderr().split(`${path}: EIO; skipped`).length - 1;
      t.equal(named, 1, `${path} is named once`);
    }
    t.notMatch(served.stderr(), 'internal error');
    // Written anew it is served again.
    for (const path of bad) {
      const bytes = random(300_000);
      writeFiles(share, { [path]: bytes });
      await served.says(`: ${path}`);
      const hash = (await hashes(peer)).get(path) ?? '';
      t.ok((await bytesOf(peer.fetch(hash))).equals(bytes), `${path} is well`);
    }
  });
}
