/**
 * Many clients at once: what they get together, against one alone; how fair it is; and what clients that
 * hardly read cost, in memory and for an honest one beside them.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { connect } from '../lib/client.js';
import { Child } from './common/child.js';
import type { ClientsCalls } from './clients/process.js';
import { makeFile } from './common/files.js';
import { start } from './common/processes.js';
import { median, type Grid } from './common/report.js';
import type { Settings, Subject } from './common/subject.js';

export const clients: Subject = {
  name: 'clients',
  describe: 'many clients at once against one alone; five times as many that read 1 KiB/s',
  run,
};

/** Slow clients for each of the others. */
const SLOW_TIMES = 5;
/** Parts of the large file that each of many clients fetches one of. */
const PARTS = 32;
/** Milliseconds in which the slow clients fill all buffers before anything is measured. */
const SETTLE = 5000;
const MIB = 2 ** 20;

interface Served {
  address: string;
  pid: number;
  /** The file that one of many fetches, and the one that is there to be read slowly. */
  small: { hash: string; size: number };
  large: { hash: string; size: number };
}

async function run({ size, clients: many, processes, runs, folder }: Settings): Promise<Grid[]> {
  const share = join(folder, 'share');
  mkdirSync(share);
  const smallSize = Math.ceil(size / PARTS);
  makeFile(join(share, 'small'), smallSize);
  makeFile(join(share, 'large'), size);
  const node = await start('bin/p2p-serve.js', [
    ...[share, '--port', '0', '--host', '127.0.0.1', '--state', join(folder, 'state')],
    ...['--grace', '0'],
  ]);
  try {
    await node.next();
    const address = node.line.split(' ')[2] ?? '';
    const peer = await connect(address);
    const hashOf = async (name: string): Promise<string> => {
      for await (const { path, hash } of peer.search(name)) if (path === name) return hash;
      throw new Error(`${name} is not there`);
    };
    const served = {
      address,
      pid: node.child.pid ?? 0,
      small: { hash: await hashOf('small'), size: smallSize },
      large: { hash: await hashOf('large'), size },
    };
    await peer.close();
    return [
      await atOnce(served, many, Math.min(processes, many), runs),
      await besideSlow(served, SLOW_TIMES * many, runs),
    ];
  } finally {
    await node.stop();
  }
}

// ------------------------------------------------------------ all at once

async function atOnce(
  { address, small }: Served,
  many: number,
  processes: number,
  runs: number,
): Promise<Grid> {
  const alone = await clientsIn(1, 1, address);
  const all = await clientsIn(many, processes, address);
  const single: number[] = [];
  const total: number[] = [];
  const slowest: number[] = [];
  try {
    for (let run = 0; run <= runs; run++) {
      const [one = NaN] = await fetchAll(alone, small, PARTS);
      const times = await fetchAll(all, small, 1);
      // The first one warms up.
      if (run === 0) continue;
      single.push(rate(PARTS * small.size, one));
      total.push(rate(many * small.size, Math.max(...times)));
      slowest.push(median(times) / Math.max(...times));
    }
  } finally {
    await Promise.all([...alone, ...all].map((child) => child.stop()));
  }
  const ratio = median(total) / median(single);
  return {
    title: `${many} clients in ${processes} processes, ${small.size} bytes each, verified`,
    columns: ['', 'median', 'lowest to highest'],
    rows: [
      ['one client alone, MB/s', ...figures(single, 0)],
      [`${many} together, MB/s`, ...figures(total, 0)],
      ["slowest one's rate / median rate", ...figures(slowest, 2)],
    ],
    notes: [`together ${ratio.toFixed(2)} x one alone (wanted: 0.8); slowest wanted: 0.5`],
  };
}

/** Clients that are connected, spread over processes. */
async function clientsIn(
  many: number,
  processes: number,
  address: string,
): Promise<Child<ClientsCalls>[]> {
  const children = Array.from(
    { length: processes },
    () => new Child<ClientsCalls>('bench/clients/process.js'),
  );
  await Promise.all(
    children.map((child, i) => {
      const clients = Math.floor((many + i) / processes);
      return child.call('open', { address, clients });
    }),
  );
  return children;
}

async function fetchAll(
  children: readonly Child<ClientsCalls>[],
  { hash, size }: Served['small'],
  times: number,
): Promise<number[]> {
  return (await Promise.all(children.map((c) => c.call('fetch', { hash, size, times })))).flat();
}

// ------------------------------------------------------------ beside slow ones

async function besideSlow(
  { address, pid, small, large }: Served,
  many: number,
  runs: number,
): Promise<Grid> {
  const [honest] = await clientsIn(1, 1, address);
  const slow = new Child<ClientsCalls>('bench/clients/process.js');
  if (honest === undefined) throw new Error('no client');
  const measure = async (): Promise<number[]> => {
    const rates: number[] = [];
    for (let run = 0; run <= runs; run++) {
      const [time = NaN] = await fetchAll([honest], small, PARTS);
      if (run > 0) rates.push(rate(PARTS * small.size, time));
    }
    return rates;
  };
  try {
    const alone = await measure();
    const before = memoryOf(pid);
    const kernelBefore = kernelMemory();
    await slow.call('openSlow', { address, hash: large.hash, clients: many });
    await sleep(SETTLE);
    const beside = await measure();
    const after = memoryOf(pid);
    const kernel = kernelMemory();
    const fared = await slow.call('slow', undefined);
    const ratio = median(beside) / median(alone);
    return {
      title: `${many} clients that read 1 KiB/s of ${large.size} bytes, and an honest one`,
      columns: ['', 'without', 'with them'],
      rows: [
        ['honest client, MB/s', median(alone).toFixed(0), median(beside).toFixed(0)],
        ['memory of the process, MiB', before.toFixed(0), after.toFixed(0)],
        ["kernel's TCP memory, MiB", kernelBefore.toFixed(0), kernel.toFixed(0)],
        ['slow clients connected', '', `${fared.connected}`],
        ['bytes read by each, at least', '', `${fared.least}`],
      ],
      notes: [
        `the honest one has ${ratio.toFixed(2)} x its rate alone (wanted: 0.8)`,
        `the process has ${(after - before).toFixed(0)} MiB more (wanted: 200 at most)`,
      ],
    };
  } finally {
    await Promise.all([honest.stop(), slow.stop()]);
  }
}

/** MiB of a process that are in memory. */
function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

/** MiB that the kernel uses for all TCP connections of the machine, both ends of those on loopback. */
function kernelMemory(): number {
  const sockets = readFileSync('/proc/net/sockstat', 'utf8');
  return (Number(/^TCP:.* mem (\d+)$/m.exec(sockets)?.[1]) * 4096) / MIB;
}

/** Bytes in milliseconds as MB/s (10^6 bytes). */
function rate(bytes: number, milliseconds: number): number {
  return bytes / milliseconds / 1000;
}

function figures(values: readonly number[], digits: number): [string, string] {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return [median(values).toFixed(digits), `${low.toFixed(digits)} to ${high.toFixed(digits)}`];
}
