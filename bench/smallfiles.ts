/**
 * Many small files over one connection, from one process to another: fetched and verified, against a
 * static HTTP server of Node's and undici on one connection that pipelines (not verified).
 */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'undici';
import { connect, type Peer } from '../lib/client.js';
import { fetchAll } from '../lib/fetch-all.js';
import type { FileMatch } from '../lib/wire/messages.js';
import { start } from './common/processes.js';
import type { Table } from './common/report.js';
import { SMALL_BYTES, expected, makeSmallFiles } from './common/small-files.js';
import { inTurn, timed, type Settings, type Subject } from './common/subject.js';

/** Files that are fetched; `--files` when that is less. */
const FILES = 10_000;
/** Requests on their way at once, for both sides; undici was fastest with it of 1, 16 and 128. */
const PIPELINED = 128;

export const smallfiles: Subject = {
  name: 'smallfiles',
  describe: 'many files of 4 KiB over one connection, verified, against HTTP with undici',
  run,
};

async function run({ files, runs, folder }: Settings): Promise<Table[]> {
  const count = Math.min(files, FILES);
  const share = join(folder, 'share');
  const set = { folder: share, count, seed: 'smallfiles' };
  await makeSmallFiles(set);
  const wanted = expected(set);
  const node = await start('bin/p2p-serve.js', [
    ...[share, '--port', '0', '--host', '127.0.0.1', '--state', join(folder, 'state')],
  ]);
  const web = await start('bench/smallfiles/static-server.js', [share]);
  try {
    await node.next();
    const peer = await connect(node.line.split(' ')[2] ?? '');
    const found: FileMatch[] = [];
    for await (const file of peer.search('')) found.push(file);
    check(
      found.every(({ path, hash }) => wanted.get(path) === hash) && found.length === count,
      'names',
    );
    const [port = '', server = ''] = web.line.split(' ');
    const client = new Client(`http://127.0.0.1:${port}`, { pipelining: PIPELINED });
    const paths = [...wanted.keys()];
    const out = join(folder, 'out-');
    const times = await inTurn(
      [
        { name: 'p2p-serve, verified', once: () => timed(() => fetchSmall(peer, found)) },
        {
          name: 'p2p-serve, verified, searched and written into a folder',
          // A fresh folder each time, and none removed before the end: file systems are slow to use again
          // what was freed a moment ago.
          once: () => timed(() => fetchInto(peer, mkdtempSync(out), count)),
        },
        { name: `${server}, undici`, once: () => timed(() => fetchWeb(client, paths)) },
      ],
      runs,
    );
    await Promise.all([peer.close(), client.close()]);
    const rows = [...times].map(([name, each]) => ({
      name,
      values: each.map((milliseconds) => (count / milliseconds) * 1000),
    }));
    return [
      {
        title: `${count} files of ${SMALL_BYTES} bytes over one connection`,
        unit: 'files/s',
        rows,
      },
    ];
  } finally {
    await Promise.all([node.stop(), web.stop()]);
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
  for await (const { outcome } of fetchAll(peer, '', folder)) {
    if (outcome === 'fetched') fetched++;
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
