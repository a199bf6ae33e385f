/** One file from several throttled sources at once, against one of them; liars and stallers among them. */
import { createReadStream, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fetchFromMany } from '../lib/fetch/sources/fetch-many.js';
import { hashStream } from '../lib/hash/path.js';
import { rootOf, TreeHasher } from '../lib/hash/tree.js';
import { parseAddress, type PeerAddress } from '../lib/net/address.js';
import { Child } from '../test/fixtures/child.js';
import { makeFile } from './common/files.js';
import {
  atSizes,
  inMegabytesPerSecond,
  inTurn,
  megabytesPerSecond,
  timed,
  type Contestant,
} from './common/in-turn.js';
import { startNginx } from './common/nginx.js';
import { installed, missing, runToEnd, startNode } from './common/processes.js';
import type { Report, Row } from './common/report.js';
import type { Progress, Settings, Subject } from './common/subject.js';
import type { ThrottleCalls } from './sources/throttle-process.js';
import type { Faults } from '../test/fixtures/throttled-relay.js';

export const sources: Subject = {
  name: 'sources',
  describe:
    'one file from four throttled sources at once, a liar and a staller; against one, aria2c',
  defaults: { size: 2 ** 26, runs: 3 },
  run,
};

/** Bytes a second of each source. */
const RATE = 50_000_000;
/** Bytes of the file at most: one source takes long enough for these. */
const MOST = 512 * 1024 * 1024;
const HONEST: Faults = { rate: RATE };
/** Sources at once. */
const COUNTS = [1, 2, 3, 4];

type Order = 'file' | 'any';

/** A file, where it is served, and relays that can be put in front. */
interface Served {
  path: string;
  size: number;
  hash: string;
  node: PeerAddress;
  nginx: PeerAddress | undefined;
  throttle: Child<ThrottleCalls>;
  /** For what is written. */
  out: string;
}

async function run(settings: Settings, progress: Progress): Promise<Report[]> {
  const { folder } = settings;
  const size = Math.min(settings.size, MOST);
  const share = join(folder, 'share');
  mkdirSync(share);
  const path = join(share, 'large');
  makeFile(path, size);
  const throttle = new Child<ThrottleCalls>('bench/sources/throttle-process.js');
  const ends = [() => throttle.stop()];
  try {
    const node = await startNode(share, join(folder, 'state'));
    ends.push(node.stop);
    const hasOthers = installed('nginx', '-v') && installed('aria2c');
    const nginx = hasOthers ? await startNginx(share, join(folder, 'nginx')) : undefined;
    if (nginx !== undefined) ends.push(nginx.stop);
    const served: Served = {
      ...{ path, size, throttle, node: parseAddress(node.line) },
      nginx: nginx && { host: '127.0.0.1', port: nginx.port },
      hash: await hashStream(createReadStream(path)),
      out: join(folder, 'out'),
    };
    return [
      ...(await measureHonest(served, settings, progress)),
      await measureFaulty(served, settings, progress),
    ];
  } finally {
    await Promise.all(ends.map((end) => end()));
  }
}

const ANY = 'p2p-fetch, blocks as they come';

async function measureHonest(
  served: Served,
  { runs }: Settings,
  progress: Progress,
): Promise<Report[]> {
  const { size, nginx } = served;
  const { last, series } = await atSizes(COUNTS, (count) => {
    const faults = Array.from({ length: count }, () => HONEST);
    const contestants = [
      fetching(served, ANY, faults, 'any'),
      fetching(served, 'p2p-fetch, in order', faults, 'file'),
      ...(nginx === undefined ? [] : [aria2(served, nginx, faults)]),
    ];
    return inTurn(contestants, runs, (what) => {
      progress(`${count} sources: ${what}`);
    });
  });
  const one = series[0]?.points[0]?.values ?? [];
  const alone: Row = {
    name: `${ANY}: from one`,
    values: one.map((milliseconds) => megabytesPerSecond(size, milliseconds)),
  };
  const { length } = COUNTS;
  return [
    {
      kind: 'table',
      title: `a file of ${size} bytes from ${length} sources of ${RATE / 1e6} MB/s each`,
      unit: 'MB/s',
      better: 'more',
      rows: [...inMegabytesPerSecond(last, size), alone],
      notes: [
        `they have ${(length * RATE) / 1e6} MB/s together; the relays that throttle are in one process`,
        'every byte is verified; of aria2c the whole file afterwards, outside of its time',
        ...(nginx === undefined ? [missing('aria2c or nginx', 'aria2 nginx-light')] : []),
      ],
    },
    {
      kind: 'growth',
      title: 'fetching by number of sources (-1 would be perfect)',
      of: 'sources',
      unit: 'ms',
      series,
    },
  ];
}

async function measureFaulty(
  served: Served,
  { runs }: Settings,
  progress: Progress,
): Promise<Report> {
  const { size } = served;
  // Bytes after which the others show what they are: before they have given their share.
  const goodFor = Math.floor(size / 16);
  const liar: Faults = { rate: RATE, lieEvery: goodFor + 4096 };
  const staller: Faults = { rate: RATE, stallAfter: goodFor };
  const some = [liar, staller, HONEST, HONEST];
  const times = await inTurn(
    [
      fetching(served, 'two, a liar, a staller: blocks as they come', some, 'any'),
      fetching(served, 'two, a liar, a staller: in order', some, 'file'),
      fetching(served, 'two', [HONEST, HONEST], 'file'),
    ],
    runs,
    progress,
  );
  return {
    kind: 'table',
    title: `a file of ${size} bytes from sources that lie or stall after ${goodFor} bytes`,
    unit: 'MB/s',
    better: 'more',
    rows: inMegabytesPerSecond(times, size),
  };
}

/** Fetch the file in this process, see that it is whole; in order, that it is the file. */
function fetching(
  { throttle, node, hash, size }: Served,
  name: string,
  relays: readonly Faults[],
  order: Order,
): Contestant {
  return {
    name,
    once: async () => {
      const peers = await throttle.call('open', { target: node, relays });
      let bytes = 0;
      const hasher = new TreeHasher();
      const sink = {
        write: (chunk: Uint8Array) => {
          bytes += chunk.length;
          if (order === 'file') hasher.update(chunk);
          return Promise.resolve();
        },
      };
      const run = await timed(() => fetchFromMany(hash, peers, sink, { order }));
      if (bytes !== size) throw new Error(`${bytes} bytes came instead of ${size}`);
      if (order === 'file' && Buffer.from(rootOf(hasher.digest())).toString('hex') !== hash) {
        throw new Error('it is another file');
      }
      return run;
    },
  };
}

/** From as many addresses of nginx: to aria2c they are one server, as their host is the same. */
function aria2(
  { throttle, hash, out }: Served,
  target: PeerAddress,
  relays: readonly Faults[],
): Contestant {
  return {
    name: 'aria2c, from nginx, into a file',
    once: async () => {
      const mirrors = await throttle.call('open', { target, relays });
      rmSync(out, { recursive: true, force: true });
      const run = await runToEnd('aria2c', [
        ...['-q', '--file-allocation=none', '--min-split-size=1M'],
        ...['-x', String(mirrors.length), '-s', String(mirrors.length), '-d', out, '-o', 'large'],
        ...mirrors.map(({ host, port }) => `http://${host}:${port}/large`),
      ]);
      if ((await hashStream(createReadStream(join(out, 'large')))) !== hash) {
        throw new Error('aria2c: it is another file');
      }
      return run;
    },
  };
}
