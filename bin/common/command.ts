/** What every command has in common: its arguments, its help, how it fails and with which code. */
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';
import yargs, { type Argv } from 'yargs';
import { hideBin } from 'yargs/helpers';
// Not lib/index.js: a client starts faster without what only a server needs.
import { PeerError, asError, systemCode, type ErrorCode } from '../../lib/errors.js';
import { printable } from '../../lib/support/printable.js';
import { parseRate } from '../../lib/limits/rate.js';
import { VERSION } from '../../lib/support/version.js';

export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  unreachable: 4,
  mismatch: 5,
  wrongPeer: 6,
  /** EX_SOFTWARE of sysexits(3): what should not have happened has. */
  software: 70,
} as const;

const EXIT_OF: Partial<Record<ErrorCode, number>> = {
  ERR_USAGE: EXIT.usage,
  ERR_NOT_FOUND: EXIT.notFound,
  ERR_HASHING: EXIT.notFound,
  ERR_UNREACHABLE: EXIT.unreachable,
  ERR_TIMED_OUT: EXIT.unreachable,
  ERR_NOT_A_PEER: EXIT.unreachable,
  ERR_MISMATCH: EXIT.mismatch,
  ERR_WRONG_PEER: EXIT.wrongPeer,
};

export interface Command<T> {
  name: string;
  /** The positional arguments, as yargs writes them: `<peer> <hash>`. */
  usage: string;
  describe: string;
  /** Adds options and examples. */
  build: (argv: Argv) => Argv<T>;
  /** @returns the exit code, if it is not 0 */
  run: (args: T) => Promise<number | undefined>;
}

/** Parse the command line, run, and end the process with the right code. */
export async function runCommand<T>(command: Command<T>): Promise<void> {
  const { name } = command;
  handleStdoutErrors(name);
  endOnFault(name);
  try {
    const parsed = await parse(command);
    if (parsed !== undefined) process.exitCode = (await command.run(parsed)) ?? EXIT.done;
  } catch (thrown) {
    const { text, code } = describe(thrown);
    process.stderr.write(`${name}: ${printable(text)}\n`);
    process.exitCode = code;
  }
}

/**
 * An exception that nobody expected, or a rejection that nobody waits for: say all that is known of it, the
 * cause, too, and end. What goes on after it would be in a state that nobody has thought of.
 */
function endOnFault(name: string): void {
  process.on('uncaughtException', (error, origin) => {
    try {
      const lines = inspect(error, { depth: 4 }).split('\n').map(printable).join('\n');
      // Whole before the process ends, also into a pipe.
      writeSync(2, `${name}: internal error (${origin}): ${lines}\n`);
    } catch {
      // Nobody reads it.
    }
    process.exit(EXIT.software);
  });
}

/**
 * Whoever reads our output may have had enough (`| head`): no reason to say anything, nor for a server
 * to stop. Anything else that goes wrong with it is said in one line.
 */
function handleStdoutErrors(name: string): void {
  process.stdout.on('error', (error) => {
    if (systemCode(error) === 'EPIPE') {
      if (name !== 'p2p-serve') process.exit();
      return;
    }
    process.stderr.write(`${name}: stdout: ${describe(error).text}\n`);
    process.exit(EXIT.failed);
  });
  process.stderr.on('error', () => undefined);
}

/** Signals by which people and systems end a command. (SIGHUP may be ignored: nohup(1).) */
export const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Clear what stands on the terminal when the process is ended by a signal.
 *
 * @returns to be called when there is nothing to restore any more
 */
export function restoreOnSignal(restore: () => void): () => void {
  const onSignal = (signal: NodeJS.Signals): void => {
    restore();
    done();
    // Die of it, as if there had been no handler.
    process.kill(process.pid, signal);
  };
  const done = (): void => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return done;
}

/** The arguments; undefined when help or version was asked for and printed. */
async function parse<T>({ name, usage, describe, build }: Command<T>): Promise<T | undefined> {
  const printed: string[] = [];
  const hint = `(see ${name} --help)`;
  const argv = build(
    yargs()
      .scriptName(name)
      .usage(`${`$0 ${usage}`.trim()}\n\n${describe}`)
      .strict()
      .version(VERSION)
      .alias({ help: 'h', version: 'V' })
      // A value that begins with a dash, or an option given twice, is a mistake here.
      .parserConfiguration({ 'duplicate-arguments-array': true, 'populate--': false })
      .wrap(Math.min(100, process.stdout.columns || 100)),
  );
  const { args, plain } = withoutOperands(hideBin(process.argv));
  // yargs takes an empty value for 0 or "".
  const empty = args.find((arg) => /^--[a-z-]+=$/.test(arg));
  if (empty !== undefined) throw new PeerError('ERR_USAGE', `${empty} needs a value ${hint}`);
  const parsed = await argv
    .command(`$0 ${usage}`.trim(), false)
    .exitProcess(false)
    .fail((message: string | null, error: unknown) => {
      if (error instanceof PeerError) throw error;
      const [line = ''] = (message ?? asError(error).message).split('\n');
      throw new PeerError('ERR_USAGE', `${plain(asTyped(line, usage, args))} ${hint}`);
    })
    .parseAsync(args, {}, (_error, _args, output) => {
      if (output !== '') printed.push(output);
    });
  if (printed.length > 0) {
    process.stdout.write(`${printed.join('\n')}\n`);
    return undefined;
  }
  const put = (value: unknown): unknown => (typeof value === 'string' ? plain(value) : value);
  const values: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(parsed as Record<string, unknown>)) {
    values[key] = Array.isArray(value) ? value.map(put) : put(value);
    if (Array.isArray(value) && key !== '_' && !REPEATABLE.has(key)) {
      throw new PeerError('ERR_USAGE', `--${key} is given more than once ${hint}`);
    }
  }
  return values as T;
}

/** A message of yargs that names what is unknown as it was typed, and what is missing as help has it. */
function asTyped(message: string, usage: string, args: readonly string[]): string {
  const [, got] = /^Not enough non-option arguments: got (\d+)/.exec(message) ?? [];
  if (got !== undefined) return `${usage.split(' ')[Number(got)] ?? usage} is missing`;
  const [, keys] = /^Unknown arguments?: (.*)$/.exec(message) ?? [];
  if (keys === undefined) return message;
  // Without dashes, each as it was typed and in camel case.
  const isOf = (arg: string, key: string): boolean => {
    const [, dashes = '', name = ''] = /^(--?)(.*?)(?:=.*)?$/s.exec(arg) ?? [];
    if (dashes === '-') return name.includes(key);
    return dashes === '' ? arg === key : name === key || name === `no-${key}`;
  };
  const typed = keys
    .split(', ')
    .flatMap((key) => args.filter((arg) => isOf(arg, key)).map((arg) => arg.replace(/=.*$/s, '')));
  const unknown = [...new Set(typed)].join(', ');
  return unknown === '' ? message : `unknown: ${unknown}`;
}

/**
 * What stands behind `--`, and a lone dash, is no option: yargs, which drops or misreads some of it, gets
 * something in its place that looks like nothing it knows.
 *
 * @returns `plain` puts back what was replaced
 */
function withoutOperands(given: readonly string[]): {
  args: string[];
  plain: (text: string) => string;
} {
  const end = given.indexOf('--');
  const isOperand = (arg: string, i: number): boolean => arg === '-' || (end >= 0 && i > end);
  const args = given
    .map((arg, i) => (isOperand(arg, i) ? `\0${i}\0` : arg))
    .filter((_arg, i) => i !== end);
  const plain = (text: string): string =>
    text.replace(/\0(\d+)\0/g, (_all, i: string) => given[Number(i)] ?? '');
  return { args, plain };
}

const REPEATABLE = new Set(['ignore', 'file', 'peer', 'from', 'words', 'allow']);

const SYSTEM = new Map([
  ['ENOENT', 'no such file or folder'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'not permitted'],
  ['ENOSPC', 'no space left on the device'],
  ['EDQUOT', 'the disk quota is used up'],
  ['EROFS', 'the file system is read-only'],
  ['EISDIR', 'is a folder'],
  ['ENOTDIR', 'a part of the path is not a folder'],
  ['EIO', 'input/output error'],
  ['EFBIG', 'the file would be too large'],
  ['ENAMETOOLONG', 'the name is too long'],
  ['EMFILE', 'too many open files'],
]);

/** An error as one line, and the exit code for it. */
export function describe(thrown: unknown): { text: string; code: number } {
  const error = asError(thrown);
  if (error instanceof PeerError) {
    return { text: error.message, code: EXIT_OF[error.code] ?? EXIT.failed };
  }
  const code = systemCode(error);
  const why = code === undefined ? undefined : (SYSTEM.get(code) ?? code);
  const path = 'path' in error && typeof error.path === 'string' ? `${error.path}: ` : '';
  return { text: why === undefined ? error.message : `${path}${why}`, code: EXIT.failed };
}

/** A whole number out of an option, or undefined when it was not given. */
export function wholeNumber(name: string, value: number | undefined): number | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 0)) return value;
  throw new PeerError('ERR_USAGE', `--${name} is a whole number from 0`);
}

/** Bytes per second out of an option, or undefined when it was not given. */
export function optionalRate(name: string, value: string | undefined): number | undefined {
  return value === undefined ? undefined : parseRate(`--${name}`, value);
}
