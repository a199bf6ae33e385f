/** One file from several throttled sources at once, against one of them; liars and stallers among them. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../lib/client.js';
import { fetchFromMany } from '../lib/fetch-many.js';
import { rootOf, TreeHasher } from '../lib/hash/tree.js';
import { parseAddress, type PeerAddress } from '../lib/net/address.js';
import { Child } from './common/child.js';
import { makeFile } from './common/files.js';
import { start } from './common/processes.js';
import { megabytesPerSecond, type Table } from './common/report.js';
import { inTurn, timed, type Contestant, type Settings, type Subject } from './common/subject.js';
import type { ThrottleCalls } from './sources/throttle-process.js';
import type { Faults } from './sources/throttled-relay.js';

export const sources: Subject = {
  name: 'sources',
  describe: 'one file from four throttled sources at once, against one; with a liar and a staller',
  run,
};

/** Bytes a second of each source. */
const RATE = 50_000_000;
/** Bytes of the file at most: one source takes long enough for these. */
const MOST = 512 * 1024 * 1024;
const HONEST: Faults = { rate: RATE };
/** Bytes after which the others show what they are. */
const GOOD_FOR = 16 * 1024 * 1024;
const LIAR: Faults = { rate: RATE, lieEvery: GOOD_FOR + 4096 };
const STALLER: Faults = { rate: RATE, stallAfter: GOOD_FOR };

type Order = 'file' | 'any';

async function run({ size: wanted, runs, folder }: Settings): Promise<Table[]> {
  const size = Math.min(wanted, MOST);
  const share = join(folder, 'share');
  mkdirSync(share);
  makeFile(join(share, 'large'), size);
  const node = await start('bin/p2p-serve.js', [
    ...[share, '--port', '0', '--host', '127.0.0.1', '--state', join(folder, 'state')],
  ]);
  const throttle = new Child<ThrottleCalls>('bench/sources/throttle-process.js');
  try {
    await node.next();
    const target = parseAddress(node.line.split(' ')[2] ?? '');
    const hash = await onlyHash(target);
    const from = (name: string, relays: readonly Faults[], order: Order): Contestant => ({
      name,
      once: async () => {
        const peers = await throttle.call('open', { target, relays });
        return fetchOnce(hash, peers, size, order);
      },
    });
    const times = await inTurn(
      [
        from('four, as blocks come', [HONEST, HONEST, HONEST, HONEST], 'any'),
        from('four, in order', [HONEST, HONEST, HONEST, HONEST], 'file'),
        from('one', [HONEST], 'file'),
        from('two, a liar, a staller, as blocks come', [LIAR, STALLER, HONEST, HONEST], 'any'),
        from('two, a liar, a staller, in order', [LIAR, STALLER, HONEST, HONEST], 'file'),
        from('two', [HONEST, HONEST], 'file'),
      ],
      runs,
    );
    const rows = [...times].map(([name, ms]) => ({ name, values: megabytesPerSecond(size, ms) }));
    const about = `a file of ${size} bytes, sources of ${RATE / 1e6} MB/s each`;
    return [
      { title: `sources: ${about}`, unit: 'MB/s', rows: rows.slice(0, 3) },
      { title: `sources that lie or stall: ${about}`, unit: 'MB/s', rows: rows.slice(3) },
    ];
  } finally {
    await Promise.all([node.stop(), throttle.stop()]);
  }
}

async function onlyHash(target: PeerAddress): Promise<string> {
  const peer = await connect(target);
  const found = await peer.search('').next();
  await peer.close();
  return found.done === true ? '' : found.value.hash;
}

/** Fetch the file, and see that it is whole; in order, that it is the file. */
async function fetchOnce(
  hash: string,
  peers: readonly PeerAddress[],
  size: number,
  order: Order,
): Promise<number> {
  let bytes = 0;
  const hasher = new TreeHasher();
  const milliseconds = await timed(async () => {
    await fetchFromMany(
      hash,
      peers,
      {
        write: (chunk) => {
          bytes += chunk.length;
          if (order === 'file') hasher.update(chunk);
          return Promise.resolve();
        },
      },
      { order },
    );
  });
  if (bytes !== size) throw new Error(`${bytes} bytes came instead of ${size}`);
  if (order === 'file' && Buffer.from(rootOf(hasher.digest())).toString('hex') !== hash) {
    throw new Error('it is another file');
  }
  return milliseconds;
}
