/**
 * A file that is not in the page cache: as fast as it can be read? And whether the node has time for
 * others while the disk is slow.
 */
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { Child } from '../../test/fixtures/child.js';
import { inMegabytesPerSecond, inTurn, timed, type Contestant } from '../common/in-turn.js';
import { installed, missing, runToEnd } from '../common/processes.js';
import type { Latencies, Table } from '../common/report.js';
import type { Progress, Settings } from '../common/subject.js';
import { ownProcess } from '../common/usage.js';
import type { ColdCalls } from './cold-process.js';
import { RawReader } from '../common/raw-reader.js';
import { fromNode, serverGroup, type Served } from './servers.js';

/** @param file is moved into a folder of its own */
export async function measureCold(
  file: Served,
  { runs, folder }: Settings,
  progress: Progress,
): Promise<[Table, Latencies]> {
  const share = join(folder, 'cold');
  mkdirSync(share);
  const path = join(share, file.name);
  renameSync(file.path, path);
  const node = new Child<ColdCalls>('bench/throughput/cold-process.js');
  try {
    const line = await node.call('start', { share, state: join(folder, 'state-cold') });
    const reader = new RawReader(fromNode({ line }, file));
    const groups = [serverGroup(node), ownProcess('reader')];
    const late: { p99: number; max: number }[] = [];
    let cached = 0;
    const drop = async (): Promise<void> => {
      await runToEnd('dd', [
        ...[`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0', 'status=none'],
      ]);
      cached = Math.max(cached, cachedBytes(path));
    };
    const ours: Contestant = {
      name: 'p2p-serve',
      once: async () => {
        await drop();
        await node.call('watch', undefined);
        const run = await timed(() => reader.read(), groups);
        late.push(await node.call('delay', undefined));
        return run;
      },
    };
    const hasPv = installed('pv');
    const command = hasPv ? 'cat "$1" | pv -q > /dev/null' : 'cat "$1" | cat > /dev/null';
    const name = command.replace('"$1"', 'FILE');
    const cat: Contestant = {
      name,
      once: async () => {
        await drop();
        return runToEnd('sh', ['-c', command, '', path], { name: 'both' });
      },
    };
    const times = await inTurn([ours, cat], runs, (what) => {
      progress(`cold: ${what}`);
    });
    const measured = late.slice(-runs);
    return [
      {
        kind: 'table',
        title: `cold: one file of ${file.size} bytes that is not in the page cache, raw`,
        unit: 'MB/s',
        better: 'more',
        rows: inMegabytesPerSecond(times, file.size),
        notes: [
          'the host of a virtual machine may still have it',
          ...(cached > file.size / 10
            ? [`${cached} bytes of it were in the page cache all the same`]
            : []),
          ...(hasPv ? [] : [missing('pv')]),
        ],
      },
      {
        kind: 'latencies',
        title: "cold: the node's event loop meanwhile, one figure a run",
        unit: 'ms',
        rows: [
          { name: 'delay, 99th percentile', values: measured.map(({ p99 }) => p99) },
          { name: 'delay, longest', values: measured.map(({ max }) => max) },
        ],
        notes: ['looked at each 5 ms, which are part of it'],
      },
    ];
  } finally {
    await node.stop();
  }
}

/** Bytes of a file in the page cache, as fincore(1) says; 0 without it. */
function cachedBytes(path: string): number {
  const { status, stdout } = spawnSync('fincore', ['-b', '-n', '-o', 'RES', path], {
    encoding: 'utf8',
  });
  return status === 0 ? Number(stdout) : 0;
}
