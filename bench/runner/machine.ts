/** Where and when something was measured, and of what version. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cpus, freemem, release, tmpdir, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import { VERSION } from '../../lib/support/version.js';

export interface Machine {
  /** When it began, ISO 8601. */
  date: string;
  version: string;
  /** Of git, with `-dirty` behind it when files were changed; undefined outside a checkout. */
  commit: string | undefined;
  node: string;
  system: string;
  cpu: string;
  cores: number;
  /** Bytes. */
  memory: number;
  free: number;
  /** Where the files lie that are measured. */
  folder: string;
  /** Those that are compared with, by name: `nginx 1.22.1`. */
  programs: Record<string, string>;
}

const PROGRAMS = ['nginx', 'curl', 'aria2c', 'b3sum', 'sha256sum', 'plocate', 'iperf3', 'pv'];

export function thisMachine(): Machine {
  const all = cpus();
  const programs = PROGRAMS.flatMap((name): [string, string][] => {
    const { status, stdout, stderr } = spawnSync(name, [name === 'nginx' ? '-v' : '--version'], {
      encoding: 'utf8',
    });
    // nginx says it on stderr.
    const [version = 'of unknown version'] = /\d+(\.\d+)+/.exec(stdout || stderr) ?? [];
    return status === 0 ? [[name, `${name} ${version}`]] : [];
  });
  return {
    date: new Date().toISOString(),
    version: VERSION,
    commit: commit(),
    node: process.version,
    system: `${type()} ${release()}`,
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memory: totalmem(),
    free: freemem(),
    folder: tmpdir(),
    programs: Object.fromEntries(programs),
  };
}

/** The same in two lines. */
export function describeMachine(machine: Machine): string {
  const { version, commit, node, system, cpu, cores, memory, date } = machine;
  const what = commit === undefined ? version : `${version} (${commit})`;
  return (
    `p2p-serve ${what}, node ${node}, ${date}\n` +
    `${cpu}, ${cores} cores, ${(memory / 2 ** 30).toFixed(0)} GiB, ${system}`
  );
}

function commit(): string | undefined {
  const cwd = fileURLToPath(new URL('../../../', import.meta.url));
  // A package within somebody else's checkout has not their commit.
  if (!existsSync(`${cwd}.git`)) return undefined;
  const args = ['describe', '--always', '--dirty', '--abbrev=10', '--exclude', '*'];
  const { status, stdout } = spawnSync('git', args, { cwd, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}
