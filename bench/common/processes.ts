/** Other programs in the benchmark: whether they are there, and servers in processes of their own. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** Whether a program can be run. */
export function installed(program: string, ask = '--version'): boolean {
  return spawnSync(program, [ask], { stdio: 'ignore' }).status === 0;
}

/** A program that says a line when it is ready. */
export interface Running {
  /** The first line of its output. */
  line: string;
  child: ChildProcess;
  /** The line after that. */
  next(): Promise<string>;
  stop(): Promise<void>;
}

/** Start one of our own scripts, below dist/. */
export async function start(script: string, args: readonly string[]): Promise<Running> {
  const file = fileURLToPath(new URL(`../../${script}`, import.meta.url));
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const line: IteratorResult<string, unknown> = await lines.next();
    if (line.done === true) throw new Error(`${script} ended`);
    return line.value;
  };
  return {
    child,
    line: await next(),
    next,
    stop: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Run a program to its end. Rejects when it fails. */
export async function runToEnd(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code !== 0) throw new Error(`${program} ended with ${code ?? 'a signal'}`);
}
