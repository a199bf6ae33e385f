/** Programs to compare with: run to their end and timed, and what servers have used of the machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';

/** Clock ticks a second in /proc (USER_HZ), 100 on every Linux that Node runs on. */
const TICKS = 100;

/** CPU seconds that processes have used: all their threads, in and out of the kernel. Linux only. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    // Fields 14 and 15 of proc_pid_stat(5), counted from behind the name.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS;
}

/** A process and those that it has started. Linux only. */
export function withChildren(pid: number): number[] {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1');
  return [pid, ...list.split(' ').filter(Boolean).map(Number)];
}

/**
 * Run a program to its end.
 *
 * @param output what becomes of its stdout: thrown away by the kernel, or collected
 * @returns milliseconds from its start to its end, and its output
 */
export async function timeProgram(
  program: string,
  args: readonly string[],
  output: 'ignore' | 'collect' = 'ignore',
): Promise<{ milliseconds: number; stdout: string }> {
  const begin = performance.now();
  const child = spawn(program, args, {
    // 'ignore' is /dev/null.
    stdio: ['ignore', output === 'collect' ? 'pipe' : 'ignore', 'inherit'],
  });
  const stdout = child.stdout === null ? Promise.resolve('') : text(child.stdout);
  const [code] = (await once(child, 'exit')) as [number | null];
  const milliseconds = performance.now() - begin;
  if (code !== 0) throw new Error(`${program} ended with ${code ?? 'a signal'}`);
  return { milliseconds, stdout: await stdout };
}
