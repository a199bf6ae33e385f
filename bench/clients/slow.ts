/** Clients that hardly read: what they cost, in memory and for an honest one beside them. */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from '../../test/fixtures/child.js';
import { sizesUpTo } from '../common/growth.js';
import { megabytesPerSecond } from '../common/in-turn.js';
import type { Grid, Growth } from '../common/report.js';
import { median } from '../common/statistics.js';
import type { Progress, Settings } from '../common/subject.js';
import { residentBytes } from '../common/usage.js';
import type { Served } from './at-once.js';
import { Crowd } from './crowd.js';
import type { ClientsCalls } from './process.js';

/** Slow clients for each of the others. */
const TIMES = 5;
/** Times that the honest one fetches its file. */
const ALONE = 32;
/** Milliseconds in which the slow clients fill all buffers before anything is measured. */
const SETTLE = 3000;
const MIB = 2 ** 20;

/** A file that is there to be read slowly. */
export interface Large {
  hash: string;
  size: number;
}

export async function measureSlow(
  { pid, server }: Served,
  large: Large,
  { clients, runs }: Settings,
  progress: Progress,
): Promise<[Grid, Growth]> {
  if (server.kind !== 'node') throw new TypeError('only of a node');
  const sizes = sizesUpTo(TIMES * clients);
  const honest = await Crowd.open(server, 1, 1);
  const slow = new Child<ClientsCalls>('bench/clients/process.js');
  const measure = async (): Promise<number[]> => {
    const rates: number[] = [];
    for (let run = 0; run <= runs; run++) {
      const [time = NaN] = await honest.fetch(ALONE);
      if (run > 0) rates.push(megabytesPerSecond(ALONE * server.size, time));
    }
    return rates;
  };
  try {
    progress('an honest client alone');
    const alone = await measure();
    const before = memory(pid);
    const points: { size: number; values: number[] }[] = [];
    let open = 0;
    for (const size of sizes) {
      progress(`${size} slow clients`);
      await slow.call('openSlow', {
        address: server.address,
        hash: large.hash,
        clients: size - open,
      });
      open = size;
      await sleep(SETTLE);
      points.push({ size, values: [memory(pid).own] });
    }
    progress('an honest client beside them');
    const beside = await measure();
    const after = memory(pid);
    const { connected, least } = await slow.call('slow', undefined);
    const ratio = median(beside) / median(alone);
    return [
      {
        kind: 'grid',
        title: `${open} clients that read 1 KiB/s of ${large.size} bytes, and an honest one`,
        columns: ['', 'without', 'with them'],
        rows: [
          ['honest client, MB/s', median(alone).toFixed(0), median(beside).toFixed(0)],
          ['memory of the process, MiB', before.own.toFixed(0), after.own.toFixed(0)],
          ["kernel's TCP memory, MiB", before.kernel.toFixed(0), after.kernel.toFixed(0)],
          ['slow clients connected', '', `${connected}`],
          ['bytes read by each, at least', '', `${least}`],
        ],
        notes: [
          `the honest one has ${ratio.toFixed(2)} x its rate alone (wanted: 0.8)`,
          `the process has ${(after.own - before.own).toFixed(0)} MiB more (wanted: 200 at most)`,
        ],
      },
      {
        kind: 'growth',
        title: 'memory of the node by clients that read 1 KiB/s',
        of: 'clients',
        unit: 'MiB now',
        series: [{ name: 'p2p-serve', points }],
        notes: [`with the ${before.own.toFixed(0)} MiB that it has without them`],
      },
    ];
  } finally {
    await Promise.all([honest.close(), slow.stop()]);
  }
}

/** MiB of a process, and of the kernel for all TCP connections of the machine, both ends of those on loopback. */
function memory(pid: number): { own: number; kernel: number } {
  const sockets = readFileSync('/proc/net/sockstat', 'utf8');
  const pages = Number(/^TCP:.* mem (\d+)$/m.exec(sockets)?.[1]);
  return { own: residentBytes(pid) / MIB, kernel: (pages * 4096) / MIB };
}
