/** Servers against each other: their bytes read by the same socket and thrown away. */
import {
  inMegabytesPerSecond,
  inTurn,
  timed,
  type Contestant,
  type Runs,
} from '../common/in-turn.js';
import { installed, missing } from '../common/processes.js';
import type { Table } from '../common/report.js';
import type { Progress, Settings } from '../common/subject.js';
import { ownProcess } from '../common/usage.js';
import { iperf3, type Iperf } from './iperf.js';
import { RawReader, type RawSource } from '../common/raw-reader.js';
import {
  fromNginx,
  fromNode,
  fromPlain,
  serverGroup,
  type Served,
  type Servers,
} from './servers.js';

/** A table, and the runs that it is made of. */
export interface Measured {
  table: Table;
  times: readonly Runs[];
}

export async function measureRaw(
  servers: Servers,
  iperf: Iperf | undefined,
  { runs }: Settings,
  progress: Progress,
): Promise<Measured> {
  const { streams, pipe, memory, largest } = servers;
  const times = await inTurn(
    [
      ...rawOf(servers, largest),
      raw('p2p-serve --no-sendfile', streams, fromNode(streams, largest)),
      raw('createReadStream.pipe(socket)', pipe, fromPlain(pipe, largest, 'file')),
      { ...raw('memory to socket', memory, fromPlain(memory, largest, 'memory')), isLimit: true },
      ...(iperf === undefined ? [] : [iperf3(iperf, largest.size)]),
    ],
    runs,
    progress,
  );
  const table: Table = {
    kind: 'table',
    title: `raw: one file of ${largest.size} bytes in the page cache, into the same socket`,
    unit: 'MB/s',
    better: 'more',
    rows: inMegabytesPerSecond(times, largest.size),
    notes: [
      'every byte is verified in the run that warms up; then their number and one in 1021 of them',
      ...(servers.nginx === undefined ? [missing('nginx', 'nginx-light')] : []),
      ...(installed('iperf3') ? [] : [missing('iperf3')]),
    ],
  };
  return { table, times };
}

/** Ours and nginx with one file, which need not be the largest. */
export function rawOf({ node, nginx }: Servers, file: Served): Contestant[] {
  const ours = raw('p2p-serve', node, fromNode(node, file));
  if (nginx === undefined) return [ours];
  return [ours, raw('nginx, sendfile', nginx, fromNginx(nginx, file))];
}

function raw(name: string, server: { pid: number }, source: RawSource): Contestant {
  const reader = new RawReader(source);
  const groups = [serverGroup(server), ownProcess('reader')];
  return { name, once: () => timed(() => reader.read(), groups) };
}
