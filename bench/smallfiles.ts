/**
 * Many small files over one connection, from one process to another: fetched and verified, against
 * static HTTP servers (nginx, sirv) and undici on one connection that pipelines (not verified).
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'undici';
import { connect, type Peer } from '../lib/fetch/peer.js';
import { fetchAll } from '../lib/fetch/folder/fetch-all.js';
import type { FileMatch } from '../lib/wire/messages.js';
import { sizesUpTo } from './common/growth.js';
import { atSizes, inTurn, rowsOf, timed, type Contestant } from './common/in-turn.js';
import { startNginx } from './common/nginx.js';
import { installed, missing, start, startNode } from './common/processes.js';
import type { Report } from './common/report.js';
import { SMALL_BYTES, expected, makeSmallFiles } from './common/small-files.js';
import type { Progress, Settings, Subject } from './common/subject.js';
import { ownProcess, withChildren, type Group } from './common/usage.js';

/** Requests on their way at once, for both sides; undici was fastest with it of 1, 16 and 128. */
const PIPELINED = 128;

export const smallfiles: Subject = {
  name: 'smallfiles',
  describe: 'many files of 4 KiB over one connection, verified; against nginx, sirv with undici',
  defaults: { files: 5_000, runs: 3 },
  run,
};

async function run({ files, runs, folder }: Settings, progress: Progress): Promise<Report[]> {
  const { last, series } = await atSizes(sizesUpTo(files), async (count) => {
    const own = join(folder, `${count}`);
    return withServersOf(own, count, (contestants) =>
      inTurn(contestants, runs, (what) => {
        progress(`${count} files: ${what}`);
      }),
    );
  });
  return [
    {
      kind: 'table',
      title: `${files} files of ${SMALL_BYTES} bytes over one connection`,
      unit: 'files/s',
      better: 'more',
      rows: rowsOf(last, (milliseconds) => (files / milliseconds) * 1000),
      notes: [
        'of HTTP only count and size are checked, of ours every hash',
        ...(installed('nginx', '-v') ? [] : [missing('nginx', 'nginx-light')]),
      ],
    },
    {
      kind: 'growth',
      title: 'fetching small files by their number',
      of: 'files',
      unit: 'ms',
      series,
    },
  ];
}

/** Serve a set of files in all ways there are, and have them fetched. @param folder there is none yet */
async function withServersOf<T>(
  folder: string,
  count: number,
  measure: (contestants: readonly Contestant[]) => Promise<T>,
): Promise<T> {
  const share = join(folder, 'share');
  const set = { folder: share, count, seed: 'smallfiles' };
  await makeSmallFiles(set);
  const wanted = expected(set);
  const ends: (() => Promise<void>)[] = [];
  try {
    const node = await startNode(share, join(folder, 'state'));
    ends.push(node.stop);
    const peer = await connect(node.line);
    ends.push(() => peer.close());
    const found: FileMatch[] = [];
    for await (const file of peer.search('')) found.push(file);
    check(
      found.every(({ path, hash }) => wanted.get(path) === hash) && found.length === count,
      'names',
    );
    const groups: Group[] = [{ name: 'server', pids: () => [node.pid] }, ownProcess('client')];
    const out = join(folder, 'out-');
    const contestants: Contestant[] = [
      { name: 'p2p-serve, verified', once: () => timed(() => fetchSmall(peer, found), groups) },
      {
        name: 'p2p-serve, verified, searched and written into a folder',
        // A fresh folder each time, and none removed before the end: file systems are slow to use again
        // what was freed a moment ago.
        once: () => timed(() => fetchInto(peer, mkdtempSync(out), count), groups),
      },
    ];
    const paths = [...wanted.keys()];
    const web = (name: string, port: number, pid: number): void => {
      const client = new Client(`http://127.0.0.1:${port}`, { pipelining: PIPELINED });
      ends.push(() => client.close());
      const groups = [{ name: 'server', pids: () => withChildren(pid) }, ownProcess('client')];
      const once: Contestant['once'] = () => timed(() => fetchWeb(client, paths), groups);
      contestants.push({ name, once });
    };
    if (installed('nginx', '-v')) {
      const nginx = await startNginx(share, join(folder, 'nginx'));
      ends.push(nginx.stop);
      web('nginx, undici', nginx.port, nginx.pid);
    }
    const sirv = await start('bench/smallfiles/static-server.js', [share]);
    ends.push(sirv.stop);
    web('sirv, undici', Number(sirv.line), sirv.pid);
    return await measure(contestants);
  } finally {
    // Clients go before their servers.
    for (const end of ends.reverse()) await end();
  }
}

function check(right: boolean, what: string): void {
  if (!right) throw new Error(`other ${what} came than were asked for`);
}

/** Do something for every item, so many at a time. */
async function forAll<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const lane = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: PIPELINED }, lane));
}

async function fetchSmall(peer: Peer, files: readonly FileMatch[]): Promise<void> {
  let bytes = 0;
  await forAll(files, async ({ hash, size }) => {
    // Rejects when the bytes do not match the hash.
    const { length } = await peer.fetchSmall(hash, size);
    bytes += length;
  });
  check(bytes === files.length * SMALL_BYTES, 'bytes');
}

async function fetchInto(peer: Peer, folder: string, count: number): Promise<void> {
  let fetched = 0;
  for await (const { status } of fetchAll(peer, '', folder)) {
    if (status === 'fetched') fetched++;
  }
  check(fetched === count, 'files');
}

async function fetchWeb(client: Client, paths: readonly string[]): Promise<void> {
  let bytes = 0;
  await forAll(paths, async (path) => {
    const { statusCode, body } = await client.request({ method: 'GET', path: `/${path}` });
    check(statusCode === 200, 'status');
    const { byteLength } = await body.arrayBuffer();
    bytes += byteLength;
  });
  check(bytes === paths.length * SMALL_BYTES, 'content');
}
