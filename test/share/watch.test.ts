/** The index follows the folder: whatever happens there, what is found is what is there. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { TreeHasher, rootOf } from '../../lib/hash/tree.js';
import { Serving } from '../../lib/serve/serving.js';
import { Share, type Change } from '../../lib/share/share.js';
import { random, writeFiles, writeLarge } from '../fixtures/bytes.js';

interface Test {
  teardown(end: () => Promise<void>): void;
}

interface Watched {
  share: Share;
  folder: string;
  /** Resolves when the index is what the disk is; rejects when that does not come. */
  equal: () => Promise<void>;
}

/** Everything regular below a folder, by hash. */
function disk(folder: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const full = join(entry.parentPath, entry.name);
    const path = full.slice(folder.length + 1);
    if (/(^|\/)\./.test(path)) continue;
    const hash = rootOf(new TreeHasher().update(readFileSync(full)).digest());
    files.set(path, Buffer.from(hash).toString('hex'));
  }
  return files;
}

function count(folder: string): number {
  const entries = readdirSync(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => {
    const path = join(entry.parentPath, entry.name).slice(folder.length + 1);
    return entry.isFile() && !/(^|\/)\./.test(path);
  }).length;
}

async function indexed(share: Share): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (let after: Uint8Array | undefined; ;) {
    const page = await share.search('', { max: 1000, after });
    for (const { path, hash } of page.files) files.set(path, hash);
    after = page.after;
    if (after === undefined) return files;
  }
}

/** Wait until something is so, which may change when everything seen has been dealt with. */
async function until(
  share: Share,
  isSo: () => Promise<boolean>,
  milliseconds = 2 ** 30,
): Promise<void> {
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, AbortSignal.timeout(milliseconds)]);
  try {
    for (;;) {
      // Before the look, which takes a while: what comes meanwhile is not missed.
      const settled = once(share, 'settled', { signal });
      settled.catch(() => undefined);
      if (await isSo()) return;
      await settled;
    }
  } finally {
    over.abort();
  }
}

function sorted(map: Map<string, string>): [string, string][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

async function watched(t: Test, folder: string, options: object = {}): Promise<Watched> {
  const share = new Share({
    folder,
    dotfiles: false,
    ignore: ['ignored'],
    watch: true,
    rescan: 2 ** 30,
    ...options,
  });
  await share.check();
  t.teardown(() => share.close());
  const watching = once(share, 'watching');
  await share.start();
  await watching;
  const equal = async (): Promise<void> => {
    const same = async (): Promise<boolean> =>
      // Whether it is worth reading everything shows in the number.
      share.files === count(folder) &&
      JSON.stringify(sorted(await indexed(share))) === JSON.stringify(sorted(disk(folder)));
    try {
      await until(share, same, 30_000);
    } catch {
      const [got, wanted] = [await indexed(share), disk(folder)];
      const wrong = [...new Set([...got.keys(), ...wanted.keys()])].filter(
        (path) => got.get(path) !== wanted.get(path),
      );
      throw new Error(`the index differs in ${wrong.length}: ${wrong.slice(0, 5).join(', ')}`);
    }
  };
  await equal();
  return { share, folder, equal };
}

t.test('files come, change, and go', async (t) => {
  const folder = t.testdir({ a: 'a', sub: { b: 'b', deep: { c: 'c' } } });
  const { equal, share } = await watched(t, folder);
  const steps: [string, () => void][] = [
    [
      'create',
      () => {
        writeFileSync(join(folder, 'new'), 'new');
      },
    ],
    [
      'append',
      () => {
        appendFileSync(join(folder, 'a'), ' more');
      },
    ],
    [
      'overwrite',
      () => {
        writeFileSync(join(folder, 'sub/b'), 'B'.repeat(400_000));
      },
    ],
    [
      'truncate',
      () => {
        truncateSync(join(folder, 'sub/b'), 300_000);
      },
    ],
    [
      'to nothing',
      () => {
        truncateSync(join(folder, 'sub/b'), 0);
      },
    ],
    [
      'delete',
      () => {
        rmSync(join(folder, 'new'));
      },
    ],
    [
      'rename',
      () => {
        renameSync(join(folder, 'a'), join(folder, 'sub/renamed'));
      },
    ],
    [
      'a new folder',
      () => {
        writeFiles(folder, { 'x/y/z/file': 'deep', 'x/other': 'other' });
      },
    ],
    [
      'into a new folder',
      () => {
        writeFiles(folder, { 'x/y/z/second': 'second' });
      },
    ],
    [
      'rename a folder',
      () => {
        renameSync(join(folder, 'x'), join(folder, 'renamed'));
      },
    ],
    [
      'in a renamed folder',
      () => {
        writeFiles(folder, { 'renamed/y/late': 'late' });
      },
    ],
    [
      'remove a folder',
      () => {
        rmSync(join(folder, 'renamed'), { recursive: true });
      },
    ],
    [
      'as editors write',
      () => {
        writeFileSync(join(folder, '.b.swp'), 'edited');
        renameSync(join(folder, '.b.swp'), join(folder, 'sub/b'));
      },
    ],
    [
      'a file becomes a folder',
      () => {
        rmSync(join(folder, 'sub/b'));
        writeFiles(folder, { 'sub/b/inside': 'inside' });
      },
    ],
    [
      'a folder becomes a file',
      () => {
        rmSync(join(folder, 'sub/b'), { recursive: true });
        writeFileSync(join(folder, 'sub/b'), 'again a file');
      },
    ],
    [
      'a file becomes a link',
      () => {
        rmSync(join(folder, 'sub/b'));
        symlinkSync('deep/c', join(folder, 'sub/b'));
      },
    ],
    [
      'names with line ends',
      () => {
        writeFiles(folder, { 'line\nend/a\rb': 'odd' });
      },
    ],
    [
      'moved away',
      () => {
        renameSync(join(folder, 'sub'), `${folder}-away`);
      },
    ],
    [
      'moved back',
      () => {
        renameSync(`${folder}-away`, join(folder, 'sub'));
      },
    ],
  ];
  for (const [name, step] of steps) {
    step();
    await equal();
    t.pass(name);
  }
  writeFiles(folder, { 'ignored/x': 'x', '.hidden': 'h', 'sub/.hidden': 'h', seen: 'seen' });
  await until(share, async () => (await share.search('seen')).total > 0);
  for (const name of ['hidden', 'ignored'])
    t.equal((await share.search(name)).total, 0, 'left out');
});

t.test('a rename reads nothing, whole folders too', async (t) => {
  const folder = t.testdir();
  for (let i = 0; i < 500; i++) writeFiles(folder, { [`from/d${i % 10}/f${i}`]: `content ${i}` });
  writeLarge(join(folder, 'from/large'), 3 * 2 ** 20);
  const { share, equal } = await watched(t, folder);
  const before = share.hashed;
  t.equal(before, 501);
  const kinds = new Map<string, number>();
  share.on('change', ({ kind }: Change) => kinds.set(kind, (kinds.get(kind) ?? 0) + 1));
  renameSync(join(folder, 'from'), join(folder, 'to'));
  await equal();
  renameSync(join(folder, 'to/large'), join(folder, 'large'));
  await equal();
  t.equal(share.hashed, before, 'nothing was hashed');
  t.equal(kinds.get('renamed'), 502);
  t.notOk(kinds.has('added') || kinds.has('changed'));
  const [large] = (await share.search('large')).files;
  const { handle, lists } = await new Serving(share).open(large?.hash ?? '');
  await handle.close();
  t.equal(lists.list(1, 0).length, 12 * 32, 'its lists are still there');
});

t.test('touched, or with other permissions: read again at most', async (t) => {
  const folder = t.testdir({ a: 'a', b: 'b' });
  const { share, equal } = await watched(t, folder);
  chmodSync(join(folder, 'a'), 0o600);
  utimesSync(join(folder, 'b'), 1, 1);
  writeFiles(folder, { c: 'c' });
  await until(share, async () => (await share.search('c')).total > 0);
  await equal();
  t.equal(share.files, 3);
  t.ok(share.hashed <= 4, 'not the one whose permissions changed');
});

t.test('a file that is being written is published when it is quiet', async (t) => {
  const folder = t.testdir();
  const { share, equal } = await watched(t, folder);
  const sizes: number[] = [];
  share.on('change', () => {
    void share.search('log').then(({ files }) => sizes.push(...files.map(({ size }) => size)));
  });
  const end = Date.now() + 1500;
  const written = new Promise<void>((resolve) => {
    const write = (): void => {
      appendFileSync(join(folder, 'log'), random(1000));
      if (Date.now() < end) setTimeout(write, 20);
      else resolve();
    };
    write();
  });
  await written;
  await equal();
  const { size } = statSync(join(folder, 'log'));
  t.ok(sizes.length <= 3, `published ${sizes.length} times`);
  t.equal((await share.search('log')).files[0]?.size, size);
});

t.test('many at once', async (t) => {
  const folder = t.testdir({ keep: 'keep' });
  const { equal, share } = await watched(t, folder);
  for (let i = 0; i < 12_000; i++) {
    if (i % 400 === 0) mkdirSync(join(folder, `d${i / 400}`));
    writeFileSync(join(folder, `d${Math.floor(i / 400)}/f${i}`), String(i % 1000));
  }
  await equal();
  t.equal(share.files, 12_001);
  rmSync(join(folder, 'd0'), { recursive: true });
  for (let i = 1; i < 30; i++) rmSync(join(folder, `d${i}`), { recursive: true });
  await equal();
  t.equal(share.files, 1);
});

t.test('a deep tree that is copied in, and what happens in it then', async (t) => {
  const outside = t.testdir({ tree: {}, share: {} });
  const [tree, folder] = [join(outside, 'tree'), join(outside, 'share')];
  const leaves: string[] = [];
  for (let i = 0; i < 15; i++) {
    for (let j = 0; j < 4; j++) {
      for (let k = 0; k < 3; k++) leaves.push(`p${i}/lib/q${j}/r${k}/s`);
    }
  }
  for (const leaf of leaves) writeFiles(tree, { [`${leaf}/file`]: leaf, [`${leaf}/../up`]: leaf });
  const { equal, share } = await watched(t, folder);
  const copy = spawn('cp', ['-r', tree, join(folder, 'tree')], { stdio: 'ignore' });
  await once(copy, 'exit');
  await equal();
  t.equal(share.files, 360);
  // Every folder has its watch.
  for (const leaf of leaves) writeFiles(folder, { [`tree/${leaf}/file`]: `other ${leaf}` });
  await equal();
});

t.test('git clone and checkout', async (t) => {
  const folder = t.testdir({ origin: {}, share: {} });
  const origin = join(folder, 'origin');
  const git = (cwd: string, ...args: string[]): void => {
    const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.org'];
    execFileSync('git', [...identity, ...args], { cwd, stdio: 'ignore' });
  };
  try {
    git(origin, 'init', '-q', '-b', 'one');
  } catch {
    t.pass('not run', { skip: 'git is not installed' });
    return;
  }
  for (let i = 0; i < 300; i++) writeFiles(origin, { [`src/m${i % 12}/f${i}.c`]: `one ${i}` });
  git(origin, 'add', '.');
  git(origin, 'commit', '-qm', 'one');
  git(origin, 'checkout', '-qb', 'two');
  for (let i = 0; i < 300; i += 3) rmSync(join(origin, `src/m${i % 12}/f${i}.c`));
  for (let i = 1; i < 300; i += 3) writeFiles(origin, { [`src/m${i % 12}/f${i}.c`]: `two ${i}` });
  git(origin, 'add', '-A');
  git(origin, 'commit', '-qm', 'two');
  const { equal, share } = await watched(t, join(folder, 'share'));
  git(join(folder, 'share'), 'clone', '-q', '-b', 'one', origin, 'clone');
  await equal();
  t.equal(share.files, 300);
  git(join(folder, 'share/clone'), 'checkout', '-q', 'two');
  await equal();
  t.equal(share.files, 200);
});

t.test('the share itself goes and comes back', async (t) => {
  const parent = t.testdir({ share: { a: 'a', sub: { b: 'b' } } });
  const folder = join(parent, 'share');
  const { share, equal } = await watched(t, folder);
  const { hashed } = share;
  renameSync(folder, join(parent, 'away'));
  share.rescan();
  while (share.files > 0) await once(share, 'warning');
  t.equal((await share.search('')).total, 0);
  renameSync(join(parent, 'away'), folder);
  const back = once(share, 'watching');
  await back;
  await equal();
  t.equal(share.files, 2);
  t.equal(share.hashed, hashed, 'as it was: nothing is read');
  writeFiles(folder, { c: 'c' });
  await equal();
});

t.test('without a watch a rescan finds everything', async (t) => {
  const folder = t.testdir({ a: 'a', b: 'b', sub: { c: 'c' } });
  const share = new Share({ folder, dotfiles: false, ignore: [], watch: false, rescan: 2 ** 30 });
  await share.check();
  t.teardown(() => share.close());
  const first = once(share, 'indexed');
  await share.start();
  await first;
  rmSync(join(folder, 'sub'), { recursive: true });
  writeFileSync(join(folder, 'a'), 'other');
  writeFiles(folder, { 'new/d': 'd' });
  renameSync(join(folder, 'b'), join(folder, 'e'));
  const settled = once(share, 'settled');
  share.rescan();
  await settled;
  t.same(sorted(await indexed(share)), sorted(disk(folder)));
});
