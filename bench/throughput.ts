/**
 * One large file in the page cache, and once without it. Raw: servers against each other. Commands:
 * p2p-fetch, which verifies, against what one would type instead.
 */
import { sizesUpTo } from './common/growth.js';
import { atSizes, inTurn, type Runs } from './common/in-turn.js';
import type { Growth, Report } from './common/report.js';
import type { Progress, Settings, Subject } from './common/subject.js';
import { measureCold } from './throughput/cold.js';
import { measureFiles, measurePipes, pipesOf } from './throughput/commands.js';
import { startIperf } from './throughput/iperf.js';
import { measureRaw, rawOf } from './throughput/raw.js';
import { startServers, type Servers } from './throughput/servers.js';

export const throughput: Subject = {
  name: 'throughput',
  describe:
    'one large file, raw, verified, cold; against nginx, curl, aria2c, libtorrent, Node, iperf3',
  defaults: { size: 2 ** 28, runs: 3 },
  run,
};

async function run(settings: Settings, progress: Progress): Promise<Report[]> {
  const servers = await startServers(settings.folder, sizesUpTo(settings.size));
  const iperf = await startIperf();
  try {
    const raw = await measureRaw(servers, iperf, settings, progress);
    const pipes = await measurePipes(servers, settings, progress);
    return [
      raw.table,
      pipes.table,
      await measureFiles(servers, settings, progress),
      await measureGrowth(servers, [...raw.times, ...pipes.times], settings, progress),
      ...(await measureCold(servers.largest, settings, progress)),
    ];
  } finally {
    await Promise.all([servers.stop(), iperf?.stop()]);
  }
}

/** @param largest what was measured with the largest file */
async function measureGrowth(
  servers: Servers,
  largest: readonly Runs[],
  { runs }: Settings,
  progress: Progress,
): Promise<Growth> {
  const sizes = servers.files.map(({ size }) => size);
  const { series } = await atSizes(sizes, async (size) => {
    const file = servers.files.find((one) => one.size === size);
    if (file === undefined || file === servers.largest) return largest;
    return inTurn([...rawOf(servers, file), ...pipesOf(servers, file)], runs, (what) => {
      progress(`${size} bytes: ${what}`);
    });
  });
  return {
    kind: 'growth',
    title: 'a transfer by size of the file',
    of: 'bytes',
    unit: 'ms',
    series,
    notes: ['a command takes some time to start, whatever it fetches'],
  };
}
