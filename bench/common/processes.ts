/** Other programs in the benchmark: whether they are there, servers in processes of their own, and commands. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { cpuSecondsOfEnded, peakBytes, withChildren, type Use } from './usage.js';

/** Milliseconds between two looks at the memory of a program that runs to its end. */
const LOOK = 10;

/** Whether a program can be run. */
export function installed(program: string, ask = '--version'): boolean {
  return spawnSync(program, [ask], { stdio: 'ignore' }).status === 0;
}

/** What to say of a program that is not there. */
export function missing(what: string, packages = what): string {
  return `${what} is not here, not compared: apt-get install ${packages}`;
}

/** A program that says a line when it is ready. */
export interface Running {
  /** The first line of its output. */
  line: string;
  pid: number;
  /** The line after that. */
  next: () => Promise<string>;
  stop: () => Promise<void>;
}

/** Start one of our own scripts, below dist/. */
export async function start(script: string, args: readonly string[]): Promise<Running> {
  const child = spawn(process.execPath, [scriptFile(script), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stop = stopper(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const line: IteratorResult<string, unknown> = await lines.next();
    if (line.done === true) throw new Error(`${script} ended`);
    return line.value;
  };
  return { pid: child.pid ?? 0, line: await next(), next, stop };
}

/** A node that shares a folder and has indexed it, in a process of its own; `line` is its address. */
export async function startNode(
  share: string,
  state: string,
  ...more: readonly string[]
): Promise<Running> {
  const node = await start('bin/p2p-serve.js', [
    ...[share, '--port', '0', '--host', '127.0.0.1', '--state', state, '--grace', '0', ...more],
  ]);
  await node.next();
  return { ...node, line: node.line.split(' ')[2] ?? '' };
}

/** The file of one of our own scripts, below dist/. */
export function scriptFile(script: string): string {
  return fileURLToPath(new URL(`../../${script}`, import.meta.url));
}

/** Ends a process, once and for all: also when this one ends before. */
export function stopper(child: ChildProcess): () => Promise<void> {
  const ended = once(child, 'exit');
  running.add(child);
  return async () => {
    child.kill('SIGTERM');
    await ended;
    running.delete(child);
  };
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** What a program did that has run to its end. */
export interface Ended {
  /** From its start to its end. */
  milliseconds: number;
  stdout: string;
  /** With the programs that it started itself. Its peak is what was seen each 10 ms. */
  uses: Use[];
}

/**
 * Run a program to its end. Only one at a time.
 *
 * @param output what becomes of its stdout: thrown away by the kernel, or collected
 * @throws Error when it fails
 */
export async function runToEnd(
  program: string,
  args: readonly string[],
  { output = 'ignore', name = program }: { output?: 'ignore' | 'collect'; name?: string } = {},
): Promise<Ended> {
  const cpu = cpuSecondsOfEnded();
  const begin = performance.now();
  const child = spawn(program, args, {
    // 'ignore' is /dev/null.
    stdio: ['ignore', output === 'collect' ? 'pipe' : 'ignore', 'inherit'],
  });
  const peaks = new Map<number, number>();
  const look = setInterval(() => {
    for (const pid of withChildren(child.pid ?? 0)) {
      peaks.set(pid, Math.max(peaks.get(pid) ?? 0, peakBytes([pid])));
    }
  }, LOOK);
  const stdout = child.stdout === null ? Promise.resolve('') : text(child.stdout);
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    const milliseconds = performance.now() - begin;
    if (code !== 0) throw new Error(`${program} ended with ${code ?? 'a signal'}`);
    const peak = [...peaks.values()].reduce((sum, bytes) => sum + bytes, 0);
    const used = cpuSecondsOfEnded() - cpu;
    // A program that ended before the first look has no peak that is known.
    const uses = Number.isNaN(used) ? [] : [{ name, cpu: used, peak: peak === 0 ? NaN : peak }];
    return { milliseconds, stdout: await stdout, uses };
  } finally {
    clearInterval(look);
  }
}
