/** Hashing of large files on all cores, against b3sum with as many threads. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { hashPath } from '../lib/hash/path.js';
import { HashPool } from '../lib/hash/pool.js';
import { makeFile } from './files.js';
import { installed, runToEnd } from './processes.js';
import { megabytesPerSecond, type Table } from './report.js';
import { inTurn, timed, type Contestant, type Settings, type Subject } from './subject.js';

export const hash: Subject = {
  name: 'hash',
  describe: 'hashing of one large file by the pool, against b3sum',
  run,
};

async function run({ size, runs, folder }: Settings): Promise<Table[]> {
  const file = join(folder, 'to-hash');
  makeFile(file, size);
  const threads = availableParallelism();
  const pool = new HashPool({ threads });
  let expected: string | undefined;
  const ours = (): Promise<number> =>
    timed(async () => {
      const got = await hashPath(pool, file);
      expected ??= got;
      if (got !== expected) throw new Error('the hash differs from that of the first run');
    });
  const contestants: Contestant[] = [{ name: 'pool', once: ours }];
  const notes: string[] = [];
  if (installed('b3sum')) {
    const args = ['--num-threads', String(threads), file];
    contestants.push({
      name: `b3sum --num-threads ${threads}`,
      once: () => timed(() => runToEnd('b3sum', args)),
    });
  } else {
    notes.push('b3sum is not installed: apt-get install b3sum');
  }
  try {
    const times = await inTurn(contestants, runs);
    const rows = [...times].map(([name, ms]) => ({ name, values: megabytesPerSecond(size, ms) }));
    return [{ title: `hashing of one file of ${size} bytes`, unit: 'MB/s', rows, notes }];
  } finally {
    await pool.close();
  }
}
