/**
 * What p2p-fetch exits with, says and leaves: for each target (a file, a folder, stdout) and each way in
 * which a fetch can end. The same command afterwards resumes what was left.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  statSync,
  watch,
} from 'node:fs';
import { basename, join } from 'node:path';
import t, { type Test } from '../fixtures/tap.js';
import { formatAddress, type PeerAddress } from '../../lib/net/address.js';
import { BLOCK_BYTES } from '../../lib/wire/body.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { command, run } from '../fixtures/cli.js';
import { connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { ThrottledRelay, type Faults } from '../fixtures/throttled-relay.js';

const LARGE = random(12 * BLOCK_BYTES + 5);
const ABSENT = 'ab'.repeat(32);

type Target = 'file' | 'folder' | 'stdout';
/** What happens: nothing, to the command, to the peer, or to who reads the command's stdout. */
type Event =
  | 'nothing'
  | 'SIGINT'
  | 'SIGTERM'
  | 'SIGHUP'
  | 'SIGKILL'
  | 'lost'
  | 'closed'
  | 'lies'
  | 'absent'
  | 'full';
/** Exit code or signal; stderr; and whether all of it is there, a part of it, or nothing. */
type Expected = [NodeJS.Signals | number, RegExp, 'whole' | 'part' | 'nothing'];

const NOTHING_SAID = /^$/;
const MISMATCH = 'the bytes do not match the hash';
const TABLE: readonly [Target, Event, ...Expected][] = [
  ['file', 'nothing', 0, NOTHING_SAID, 'whole'],
  ['file', 'SIGINT', 'SIGINT', NOTHING_SAID, 'part'],
  ['file', 'SIGTERM', 'SIGTERM', NOTHING_SAID, 'part'],
  ['file', 'SIGHUP', 'SIGHUP', NOTHING_SAID, 'part'],
  ['file', 'SIGKILL', 'SIGKILL', NOTHING_SAID, 'part'],
  ['file', 'lost', 1, /^what was verified is in .*\.part\np2p-fetch: .*closed.*\n$/, 'part'],
  ['file', 'lies', 5, new RegExp(`^(what .*\n)?p2p-fetch: ${MISMATCH}.*\n$`), 'part'],
  ['file', 'absent', 3, /^p2p-fetch: .*no file with this hash \(abab.*\)\n$/, 'nothing'],
  ['file', 'full', 1, /^p2p-fetch: \/dev\/full: no space left on the device\n$/, 'nothing'],
  ['folder', 'nothing', 0, /^fetched 2 files, .*; 0 failed\n$/, 'whole'],
  ['folder', 'SIGINT', 'SIGINT', /^fetched [01] files?, .*; 0 failed; stopped\n$/, 'part'],
  ['folder', 'SIGTERM', 'SIGTERM', /^fetched [01] files?, .*; 0 failed; stopped\n$/, 'part'],
  ['folder', 'SIGKILL', 'SIGKILL', NOTHING_SAID, 'part'],
  [
    'folder',
    'lost',
    4,
    /^fetched [01] files?, .*; 0 failed; ended early\np2p-fetch: .*\n$/,
    'part',
  ],
  [
    'folder',
    'lies',
    1,
    new RegExp(`^p2p-fetch: large: ${MISMATCH}.*\nfetched .*; 1 failed\n$`),
    'part',
  ],
  ['folder', 'absent', 3, /^p2p-fetch: no file matches "abab.*"\n$/, 'nothing'],
  ['stdout', 'nothing', 0, NOTHING_SAID, 'whole'],
  ['stdout', 'SIGINT', 'SIGINT', NOTHING_SAID, 'part'],
  ['stdout', 'SIGTERM', 'SIGTERM', NOTHING_SAID, 'part'],
  ['stdout', 'lost', 1, /^p2p-fetch: .*closed.*\n$/, 'part'],
  ['stdout', 'closed', 0, NOTHING_SAID, 'part'],
  ['stdout', 'lies', 5, new RegExp(`^p2p-fetch: ${MISMATCH}.*\n$`), 'part'],
  ['stdout', 'absent', 3, /^p2p-fetch: .*no file with this hash \(abab.*\)\n$/, 'nothing'],
  ['stdout', 'full', 1, /^p2p-fetch: stdout: no space left on the device\n$/, 'nothing'],
];

async function relayTo(
  t: Test,
  target: PeerAddress,
  faults: Faults,
): Promise<{ relay: ThrottledRelay; peer: string }> {
  const relay = new ThrottledRelay(target, faults);
  const peer = formatAddress(await relay.listen());
  t.teardown(() => relay.close());
  return { relay, peer };
}

/** Bytes of a file; 0 when it is not there. */
const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** Resolves when a part in the folder has a block. */
async function hasBlock(folder: string): Promise<void> {
  const watcher = watch(folder);
  const isThere = (): boolean =>
    readdirSync(folder).some(
      // It may get its final name at this moment.
      (name) => name.endsWith('.part') && sizeOf(join(folder, name)) >= BLOCK_BYTES,
    );
  while (!isThere()) await once(watcher, 'change');
  watcher.close();
}

t.test('targets, events and outcomes', async (t) => {
  const folder = t.testdir({ share: {} });
  writeFiles(join(folder, 'share'), { large: LARGE, small: 'small' });
  const node = await startIndexed(t, join(folder, 'share'), { workers: false });
  const found = await listOf((await connectTo(t, node)).search('large'));
  const large = found[0]?.hash ?? '';

  const check = async (row: (typeof TABLE)[number]): Promise<void> => {
    const [target, event, ended, said, left] = row;
    const what = `${target}, ${event}`;
    // Its own folder, made before: so it can be watched.
    const out = join(folder, what);
    mkdirSync(out);
    const holds = !['nothing', 'lies', 'absent', 'full'].includes(event);
    const faults = {
      stallAfter: holds ? 1_000_000 : undefined,
      lieEvery: event === 'lies' ? 1_500_000 : undefined,
    };
    const { relay, peer } = await relayTo(t, node.address, faults);
    const hash = event === 'absent' ? ABSENT : large;
    const file = event === 'full' ? '/dev/full' : join(out, 'large');
    const argsTo = (peer: string): string[] =>
      target === 'folder'
        ? [peer, '--all', event === 'absent' ? ABSENT : '', '-o', out]
        : [peer, hash, ...(target === 'file' ? ['-o', file] : [])];
    const full = event === 'full' && target === 'stdout' ? openSync('/dev/full', 'w') : undefined;
    const child = spawn(...command('p2p-fetch', argsTo(peer)), {
      stdio: ['ignore', full ?? 'pipe', 'pipe'],
    });
    if (full !== undefined) closeSync(full);
    const ends = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
    let stderr = '';
    const stdout: Buffer[] = [];
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const bytes = child.stdout === null ? undefined : once(child.stdout, 'data');
    child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
    if (holds) {
      await (target === 'stdout' ? bytes : hasBlock(out));
      await act(event, child, relay);
    }
    const [code, signal] = await ends;
    t.equal(signal ?? code, ended, what);
    t.match(stderr, said, `${what}: stderr`);
    if (target === 'stdout') {
      const got = Buffer.concat(stdout);
      t.ok(got.equals(LARGE.subarray(0, got.length)), `${what}: only right bytes`);
      t.equal(
        got.length === LARGE.length ? 'whole' : got.length > 0 ? 'part' : 'nothing',
        left,
        what,
      );
      return;
    }
    t.equal(stdout.length, 0, `${what}: nothing on stdout`);
    const names = readdirSync(out).filter((name) => !name.startsWith('small'));
    const isPart =
      names.length === 1 && names[0]?.startsWith('large.') && names[0].endsWith('.part');
    t.equal(existsSync(join(out, 'large')) ? 'whole' : isPart ? 'part' : 'nothing', left, what);
    if (left === 'nothing') return;
    // Again.
    const fresh = await relayTo(t, node.address, {});
    const again = await run('p2p-fetch', argsTo(fresh.peer));
    t.equal(again.code, 0, `${what}, and again: ${again.stderr}`);
    t.ok(readFileSync(join(out, 'large')).equals(LARGE), what);
    t.same(
      readdirSync(out).filter((name) => name !== 'small'),
      [basename(file)],
    );
    t.ok(fresh.relay.passed < LARGE.length, `${what}: what was verified does not come again`);
  };
  const rows = TABLE.values();
  const lane = async (): Promise<void> => {
    for (const row of rows) await check(row);
  };
  await Promise.all([lane(), lane()]);
});

async function act(event: Event, child: ChildProcess, relay: ThrottledRelay): Promise<void> {
  if (event === 'lost') await relay.close();
  else if (event === 'closed') {
    child.stdout?.destroy();
    relay.go();
  } else child.kill(event as NodeJS.Signals);
}
