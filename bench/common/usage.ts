/**
 * What processes take of the machine: CPU time and memory, from proc_pid_stat(5) and proc_pid_status(5).
 * Where there is no /proc nothing is known, and said so by an empty list.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/** What one side of a measurement took: a process, or several that belong together. */
export interface Use {
  /** Which side: `server`, `curl`, ... */
  name: string;
  /** CPU seconds of all threads, in and out of the kernel. */
  cpu: number;
  /** Bytes in memory at most; of several processes the sum. Pages of mapped files count. */
  peak: number;
}

/** Processes that belong together, under one name. They are looked up when they are measured. */
export interface Group {
  name: string;
  pids: () => readonly number[];
}

/** Clock ticks a second in /proc (USER_HZ), 100 on every Linux that Node runs on. */
const TICKS = 100;

const hasProc = existsSync('/proc/self/stat');

/** What the processes took while something was done. Those that have ended meanwhile are left out. */
export async function usesDuring<T>(
  groups: readonly Group[],
  work: () => Promise<T>,
): Promise<{ result: T; uses: Use[] }> {
  if (!hasProc) return { result: await work(), uses: [] };
  const before = groups.map(({ pids }) => pids());
  for (const pid of before.flat()) resetPeak(pid);
  const cpu = before.map(cpuSeconds);
  const result = await work();
  const uses = groups.map(({ name, pids }, i) => {
    const all = pids();
    return { name, cpu: cpuSeconds(all) - (cpu[i] ?? 0), peak: peakBytes(all) };
  });
  return { result, uses };
}

/** This process. */
export function ownProcess(name: string): Group {
  return { name, pids: () => [process.pid] };
}

/** CPU seconds that processes have used until now. */
function cpuSeconds(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + ticksOf(pid, 14), 0) / TICKS;
}

/** CPU seconds of all children of this process that have ended, and of theirs. */
export function cpuSecondsOfEnded(): number {
  return hasProc ? ticksOf(process.pid, 16) / TICKS : NaN;
}

/** CPU seconds of this process until now, with those of the processes that it has started and that have ended. */
export function cpuSecondsSoFar(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6 + (hasProc ? cpuSecondsOfEnded() : 0);
}

/** Bytes that processes had in memory at most, together (VmHWM); 0 for one that has ended. */
export function peakBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + statusBytes(pid, 'VmHWM'), 0);
}

/** Bytes of a process that are in memory now. */
export function residentBytes(pid: number): number {
  return hasProc ? statusBytes(pid, 'VmRSS') : NaN;
}

/** A process, those that it has started, and theirs. Empty when it has ended. */
export function withChildren(pid: number): number[] {
  if (!hasProc) return [pid];
  try {
    const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1');
    return [pid, ...list.split(' ').filter(Boolean).map(Number).flatMap(withChildren)];
  } catch {
    return [];
  }
}

/** Have the kernel count the peak from now on (5 in proc_pid_clear_refs(5)). */
function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // Of another user: its peak is that of its whole life.
  }
}

/** Two fields of proc_pid_stat(5) added up, counted from 1. */
function ticksOf(pid: number, field: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name may have spaces; the third field comes behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[field - 3]) + Number(fields[field - 2]);
}

function statusBytes(pid: number, key: string): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    return Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
