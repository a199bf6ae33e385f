/**
 * Runs every test file in a process of its own, as it would run by itself. By `tap FILE...` each would be given
 * the runner's loaders, which cost it about two seconds of processor time before the first test.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { OVER_TLS } from './fixtures/transport.js';

/** Files at the same time: many wait for timers, disks and other processes. */
const JOBS = 4;
/** Milliseconds that one may take. */
const TIMEOUT = 240_000;
/** The longest, which begin first, so that no core has nothing to do in the end. */
const LONG = [
  'bin/commands',
  'share/watch',
  'state/recovery',
  'serve/sending',
  'state/store',
  'hostile/threads',
  'fetch/folder/fetch-all',
  'fetch/part/resume-faults',
  'hostile/outside',
  'hostile/numbers',
  'search/network',
  'bin/terminal',
];

const folder = fileURLToPath(new URL('.', import.meta.url));
/** What also runs over TLS as a whole (`npm run test:tls`): transfers, searches and attacks on them. */
const TLS_ROOMS = ['fetch', 'hostile', 'search', 'serve'];
const isWanted = (name: string): boolean =>
  !OVER_TLS || TLS_ROOMS.includes(name.split(sep)[0] ?? '');
const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.js') && isWanted(name))
  .map((name) => name.slice(0, -'.test.js'.length));
const rank = (name: string): number => (LONG.includes(name) ? LONG.indexOf(name) : LONG.length);
names.sort((a, b) => rank(a) - rank(b));

/** A test that has timed out may wait for something in a loop, and then only a signal that it cannot catch ends it. */
const END =
  spawnSync('timeout', ['--version']).status === 0
    ? ['timeout', '-s', 'KILL', `${TIMEOUT / 1000 + 20}`]
    : [];

t.setTimeout(0);
t.jobs = JOBS;
for (const name of names) {
  const file = join(folder, `${name}.test.js`);
  // It puts a loader of its own into NODE_OPTIONS: env(1) takes it out.
  const args = ['-u', 'NODE_OPTIONS', ...END, process.execPath, '--enable-source-maps', file];
  void t.spawn('env', args, { buffered: true, timeout: TIMEOUT }, name);
}
