/**
 * The index: hashed the first time, kept over a restart, following changes; against b3sum on the same
 * files and find(1) on the same tree.
 */
import { once } from 'node:events';
import {
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { Share, type Change } from '../lib/share/share.js';
import { makeFile } from './common/files.js';
import { installed, runToEnd } from './common/processes.js';
import { megabytesPerSecond, median, type Row, type Table } from './common/report.js';
import { expected, FILES_A_FOLDER, makeSmallFiles, SMALL_BYTES } from './common/small-files.js';
import { inTurn, timed, type Contestant, type Settings, type Subject } from './common/subject.js';

export const indexing: Subject = {
  name: 'index',
  describe: 'hashing a folder, starting again, following changes; against b3sum and find',
  run,
};

const LARGE_FILES = 32;
/** Changes one after the other, of each kind. */
const CHANGES = 200;
/** Milliseconds between them. */
const BETWEEN = 30;

async function run({ size, files, runs, folder }: Settings): Promise<Table[]> {
  const large = await coldLarge(join(folder, 'large'), size, runs);
  const small = join(folder, 'small');
  await makeSmallFiles({ folder: small, count: files, seed: 'small' });
  const first = await coldSmall(small, files, runs);
  const again = await warmStart(small, files, runs);
  const after = await follow(small, size, files, runs);
  return [large, first, again, ...after];
}

interface Started {
  share: Share;
  /** From the start until everything was indexed. */
  milliseconds: number;
  /** Files whose content was read. */
  hashed: number;
}

/** Index a folder. The caller closes the share. */
async function startShare(folder: string, state: string): Promise<Started> {
  const share = new Share({
    folder,
    state,
    dotfiles: false,
    ignore: [],
    watch: true,
    rescan: 2 ** 30,
  });
  const indexed = once(share, 'indexed');
  const begin = performance.now();
  await share.check();
  await share.start();
  await indexed;
  return { share, hashed: share.hashed, milliseconds: performance.now() - begin };
}

/** Index a folder of which nothing is known. */
async function cold(folder: string, state: string, files: number): Promise<number> {
  rmSync(state, { recursive: true, force: true });
  const { share, milliseconds, hashed } = await startShare(folder, state);
  await share.close();
  if (hashed !== files) throw new Error(`${hashed} files were hashed, not ${files}`);
  return milliseconds;
}

const NO_B3SUM = 'b3sum is not installed: apt-get install b3sum';

async function coldLarge(folder: string, size: number, runs: number): Promise<Table> {
  mkdirSync(folder);
  const each = Math.max(1, Math.floor(size / LARGE_FILES));
  const paths = Array.from({ length: LARGE_FILES }, (_, i) => join(folder, `file-${i}`));
  for (const path of paths) makeFile(path, each);
  const threads = availableParallelism();
  const contestants: Contestant[] = [
    { name: 'node', once: () => cold(folder, `${folder}.state`, LARGE_FILES) },
  ];
  const notes: string[] = [];
  if (installed('b3sum')) {
    const args = ['--num-threads', String(threads), ...paths];
    contestants.push({
      name: `b3sum --num-threads ${threads}`,
      once: () => timed(() => runToEnd('b3sum', args)),
    });
  } else {
    notes.push(NO_B3SUM);
  }
  const times = await inTurn(contestants, runs);
  rmSync(folder, { recursive: true });
  const rows = [...times].map(([name, ms]) => ({
    name,
    values: megabytesPerSecond(each * LARGE_FILES, ms),
  }));
  return { title: `cold: ${LARGE_FILES} files of ${each} bytes`, unit: 'MB/s', rows, notes };
}

async function coldSmall(folder: string, files: number, runs: number): Promise<Table> {
  const delay = new LoopDelay();
  const contestants: Contestant[] = [
    {
      name: 'node',
      once: () => delay.during(() => cold(folder, `${folder}.state`, files)),
    },
  ];
  const notes: string[] = [];
  if (installed('b3sum')) {
    contestants.push({
      name: 'find | xargs b3sum',
      once: () =>
        timed(() =>
          runToEnd('sh', [
            '-c',
            'find "$1" -type f -print0 | xargs -0 b3sum >/dev/null',
            '',
            folder,
          ]),
        ),
    });
  } else {
    notes.push(NO_B3SUM);
  }
  const times = await inTurn(contestants, runs);
  notes.push(String(delay));
  return {
    title: `cold: ${files} files of ${SMALL_BYTES} bytes`,
    unit: 'ms',
    rows: rowsOf(times),
    notes,
  };
}

async function warmStart(folder: string, files: number, runs: number): Promise<Table> {
  const delay = new LoopDelay();
  let watches = 0;
  const contestants: Contestant[] = [
    {
      name: 'node',
      once: async () => {
        const { share, milliseconds, hashed } = await delay.during(() =>
          startShare(folder, `${folder}.state`),
        );
        if (hashed !== 0) throw new Error(`${hashed} files were hashed again`);
        if (share.files !== files) throw new Error(`${share.files} files were found again`);
        await once(share, 'watching');
        watches = countWatches();
        await share.close();
        return milliseconds;
      },
    },
    {
      name: 'find -printf',
      once: () =>
        timed(() => runToEnd('find', [folder, '-type', 'f', '-printf', '%p\\0%s\\0%T@\\0'])),
    },
  ];
  const times = await inTurn(contestants, runs);
  const folders = Math.ceil(files / FILES_A_FOLDER) + 1;
  const notes = [String(delay), `${watches} watches for ${folders} folders`];
  return { title: `warm: the same ${files} files again`, unit: 'ms', rows: rowsOf(times), notes };
}

/** What happens to a folder that is being watched. */
async function follow(folder: string, size: number, files: number, runs: number): Promise<Table[]> {
  const { share } = await startShare(folder, `${folder}.state`);
  try {
    await once(share, 'watching');
    return [await single(share, folder, size), await many(share, folder, files, runs)];
  } finally {
    await share.close();
  }
}

/** How long a single change takes to be found. */
async function single(share: Share, folder: string, size: number): Promise<Table> {
  const busy = keepHashing(share, folder, size);
  const add = await latencies(share, 'added', (i) => {
    writeFileSync(join(folder, `change-${i}`), `content ${i}`);
    return `change-${i}`;
  });
  const move = await latencies(share, 'renamed', (i) => {
    renameSync(join(folder, `change-${i}`), join(folder, `renamed-${i}`));
    return `renamed-${i}`;
  });
  const remove = await latencies(share, 'removed', (i) => {
    rmSync(join(folder, `renamed-${i}`));
    return `renamed-${i}`;
  });
  await busy.stop();
  const rows = [
    { name: 'created', values: add },
    { name: 'renamed', values: move },
    { name: 'deleted', values: remove },
  ];
  const p99 = rows.map(({ name, values }) => `${name} ${percentile(values, 99).toFixed(0)}`);
  return {
    title: `one change until it shows in a search, ${CHANGES} of each, while files are hashed`,
    unit: 'ms',
    rows,
    notes: [`p99: ${p99.join(', ')}; ${busy.hashed()} MiB were hashed meanwhile`],
  };
}

/** Have the share hash one large file again and again. */
function keepHashing(
  share: Share,
  folder: string,
  size: number,
): { hashed: () => number; stop: () => Promise<void> } {
  const bytes = Math.min(size, 2 ** 28);
  const file = join(folder, 'large');
  const before = share.files;
  let times = 0;
  const onChange = ({ path, kind }: Change): void => {
    if (path !== 'large' || kind === 'removed') return;
    times++;
    // Another content, without the time that it takes to write it.
    const now = Date.now() / 1000;
    utimesSync(file, now - 10, now - 10 - times);
  };
  share.on('change', onChange);
  makeFile(file, bytes);
  return {
    hashed: () => Math.round((times * bytes) / 2 ** 20),
    stop: async () => {
      share.off('change', onChange);
      rmSync(file);
      while (share.files !== before) await once(share, 'settled');
    },
  };
}

/** Milliseconds from each of many changes, spread over time, until a search shows it. */
async function latencies(
  share: Share,
  kind: Change['kind'],
  act: (i: number) => string,
): Promise<number[]> {
  const began = new Map<string, number>();
  const taken: number[] = [];
  const all = new Promise<void>((resolve, reject) => {
    const found = async (path: string, begin: number): Promise<void> => {
      const { files } = await share.search(path);
      taken.push(performance.now() - begin);
      const there = files.some((file) => file.path === path);
      if (there === (kind === 'removed'))
        reject(new Error(`${path} was ${kind}, but not found so`));
      if (taken.length < CHANGES) return;
      share.off('change', onChange);
      resolve();
    };
    const onChange = (change: Change): void => {
      const begin = began.get(change.path);
      if (begin === undefined || change.kind !== kind) return;
      began.delete(change.path);
      found(change.path, begin).catch(reject);
    };
    share.on('change', onChange);
  });
  for (let i = 0; i < CHANGES; i++) {
    const begin = performance.now();
    began.set(act(i), begin);
    await pause(BETWEEN);
  }
  await all;
  return taken;
}

/** How long many changes at once take until the index is what the disk is. */
async function many(share: Share, folder: string, files: number, runs: number): Promise<Table> {
  const base = expected({ folder, count: files, seed: 'small' });
  const created = { folder: join(folder, 'many'), count: Math.ceil(files * 0.4), seed: 'many' };
  const group = { folder: join(folder, 'group'), count: Math.ceil(files * 0.1), seed: 'group' };
  const manyFiles = below('many', expected(created));
  const groupFiles = expected(group);
  const delay = new LoopDelay();
  const [create, move, remove]: [number[], number[], number[]] = [[], [], []];
  for (let run = 0; run < runs; run++) {
    await makeSmallFiles(group);
    await becomes(share, new Map([...base, ...below('group', groupFiles)]));
    const grouped = new Map([...base, ...manyFiles, ...below('group', groupFiles)]);
    const moved = new Map([...base, ...manyFiles, ...below('moved', groupFiles)]);
    await makeSmallFiles(created);
    create.push(await delay.during(() => becomes(share, grouped)));
    const { hashed } = share;
    await runToEnd('mv', [group.folder, join(folder, 'moved')]);
    move.push(await delay.during(() => becomes(share, moved)));
    if (share.hashed !== hashed) throw new Error('files were read because they were renamed');
    await runToEnd('rm', ['-r', created.folder, join(folder, 'moved')]);
    remove.push(await delay.during(() => becomes(share, base)));
  }
  return {
    title: 'many changes, from their end until the index is what the disk is',
    unit: 'ms',
    rows: [
      { name: `${created.count} files created`, values: create },
      { name: `${group.count} files moved with their folder`, values: move },
      { name: `${created.count + group.count} files deleted`, values: remove },
    ],
    notes: [String(delay)],
  };
}

function below(folder: string, files: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...files].map(([path, hash]) => [`${folder}/${path}`, hash]));
}

/** Milliseconds until the index is this, entry by entry; without the time that comparing takes. */
async function becomes(share: Share, wanted: ReadonlyMap<string, string>): Promise<number> {
  const begin = performance.now();
  const signal = AbortSignal.timeout(60_000);
  for (;;) {
    const now = performance.now();
    if (share.files === wanted.size && (await isIndex(share, wanted))) return now - begin;
    await once(share, 'settled', { signal });
  }
}

async function isIndex(share: Share, wanted: ReadonlyMap<string, string>): Promise<boolean> {
  let count = 0;
  for (let after: Uint8Array | undefined; ;) {
    const page = await share.search('', { max: 1000, after });
    for (const { path, hash } of page.files) {
      if (wanted.get(path) !== hash) return false;
      count++;
    }
    after = page.after;
    if (after === undefined) return count === wanted.size;
  }
}

/** Inotify watches of this process (proc_pid_fdinfo(5)). */
function countWatches(): number {
  const folder = '/proc/self/fdinfo';
  const texts = readdirSync(folder).map((fd) => {
    try {
      return readFileSync(join(folder, fd), 'utf8');
    } catch {
      // The folder's own descriptor, closed by now.
      return '';
    }
  });
  return texts.join('\n').split('\ninotify wd:').length - 1;
}

function rowsOf(times: ReadonlyMap<string, readonly number[]>): Row[] {
  return [...times].map(([name, values]) => ({ name, values }));
}

function percentile(values: readonly number[], percent: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? NaN;
}

/** The event loop's delay during some work, sampled each 5 ms (which are part of it). */
class LoopDelay {
  readonly #p99: number[] = [];
  #max = 0;

  async during<T>(work: () => Promise<T>): Promise<T> {
    // One for each piece of work: the pauses between them are no delays.
    const delay = monitorEventLoopDelay({ resolution: 5 });
    delay.enable();
    try {
      return await work();
    } finally {
      delay.disable();
      this.#p99.push(delay.percentile(99) / 1e6);
      this.#max = Math.max(this.#max, delay.max / 1e6);
    }
  }

  toString(): string {
    return `event loop's delay: p99 ${median(this.#p99).toFixed(0)} ms, max ${this.#max.toFixed(0)} ms`;
  }
}
