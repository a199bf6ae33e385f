/** How long commands take that hardly do anything: what their start costs, against a script that is empty, and curl. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inMilliseconds, inTurn, type Contestant, type Runs } from './common/in-turn.js';
import { installed, missing, runToEnd, scriptFile } from './common/processes.js';
import type { Report, Table } from './common/report.js';
import { median } from './common/statistics.js';
import type { Progress, Settings, Subject } from './common/subject.js';
import { pipesOf } from './throughput/commands.js';
import { startServers } from './throughput/servers.js';

/** Milliseconds of CPU that a command may take to start, above an empty script. */
const WANTED = 80;

export const start: Subject = {
  name: 'start',
  describe: 'commands that do next to nothing, and one file of 16 MiB; against node, curl',
  defaults: { size: 2 ** 24, runs: 9 },
  run,
};

async function run(settings: Settings, progress: Progress): Promise<Report[]> {
  const { folder, size, runs } = settings;
  const empty = join(folder, 'empty.mjs');
  writeFileSync(empty, '');
  const servers = await startServers(folder, [size]);
  try {
    const ours = (name: string, ...args: string[]): Contestant =>
      program(
        `${name} ${args.filter((arg) => arg.startsWith('-')).join(' ')}`.trim(),
        process.execPath,
        [...[scriptFile(`bin/${name}.js`), ...args]],
      );
    const hasCurl = installed('curl');
    const nothing = [
      ours('p2p-fetch', '--version'),
      ours('p2p-ping', servers.node.line),
      program('node empty.mjs', process.execPath, [empty]),
      ...(hasCurl ? [program('curl --version', 'curl', ['--version'])] : []),
    ];
    const all = await inTurn([...nothing, ...pipesOf(servers, servers.largest)], runs, progress);
    const table = (title: string, of: readonly Runs[], notes: readonly string[]): Table => ({
      ...{ kind: 'table', title, unit: 'ms', better: 'less', rows: inMilliseconds(of), notes },
    });
    return [
      table('commands that do next to nothing', all.slice(0, nothing.length), [
        ...aboveEmpty(all),
        ...(hasCurl ? [] : [missing('curl')]),
      ]),
      table(`the whole command, ${size} bytes to nowhere`, all.slice(nothing.length), []),
    ];
  } finally {
    await servers.stop();
  }
}

function program(name: string, path: string, args: readonly string[]): Contestant {
  return { name, once: () => runToEnd(path, args, { name: 'command' }) };
}

/** By CPU, which says more than time on a machine that has other things to do. */
function aboveEmpty(all: readonly Runs[]): string[] {
  const [version, ping, empty] = all.map(({ runs }) =>
    median(runs.map(({ uses }) => (uses[0]?.cpu ?? NaN) * 1000)),
  );
  if (version === undefined || ping === undefined || empty === undefined) return [];
  const above = [version, ping].map((cpu) => (cpu - empty).toFixed(0));
  return [`CPU above the empty script: ${above.join(' and ')} ms (wanted: ${WANTED})`];
}
