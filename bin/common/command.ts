/** What every command has in common: its arguments, its help, how it fails and with which code. */
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';
// Not lib/index.js: a client starts faster without what only a server needs.
import { PeerError, asError, systemCode, type ErrorCode } from '../../lib/errors.js';
import { printable } from '../../lib/support/printable.js';
import { parseRate } from '../../lib/limits/rate.js';
import { VERSION } from '../../lib/support/version.js';
import { Arguments, type Parsed } from './arguments.js';
import { COMPLETIONS, SHELLS, completionScript, completions } from './completion.js';
import { formatHelp } from './help.js';

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
  /** The positional arguments: `<peer> [hash]`. */
  usage: string;
  describe: string;
  /** Adds options and examples. */
  build: (argv: Arguments) => Arguments<T>;
  /** A server, which also runs when nobody reads its stdout. */
  isServer?: boolean;
  /**
   * @param given names of the options that were given: the others have their defaults
   * @returns the exit code, if it is not 0
   */
  run: (args: T, given: ReadonlySet<string>) => Promise<number | undefined>;
}

/** Parse the command line, run, and end the process with the right code. */
export async function runCommand<T>(command: Command<T>): Promise<void> {
  const { name } = command;
  handleStdoutErrors(command);
  endOnFault(name);
  try {
    // Where the current folder is gone no thread starts, and relative paths mean nothing: say so at once.
    process.cwd();
    const parsed = parse(command);
    if (typeof parsed === 'string') {
      process.stdout.write(parsed);
      return;
    }
    process.exitCode = (await command.run(parsed.values, parsed.given)) ?? EXIT.done;
  } catch (thrown) {
    const { text, code } = describe(thrown);
    process.stderr.write(`${name}: ${printable(text)}\n`);
    process.exitCode = code;
  }
}

/**
 * An exception that nobody expected, or a rejection that nobody waits for: say all that is known of it, the
 * cause, too, and end. To continue would be in a state that nobody has thought of.
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
 * Whoever reads our output may have had enough (`| head`): no reason to say anything. Anything else that
 * goes wrong with it is said in one line. Neither is a reason for a server to stop.
 */
function handleStdoutErrors({
  name,
  isServer = false,
}: Pick<Command<never>, 'name' | 'isServer'>): void {
  let isSaid = false;
  process.stdout.on('error', (error) => {
    const isUnread = systemCode(error) === 'EPIPE';
    if (!isUnread && !isSaid) process.stderr.write(`${name}: stdout: ${describe(error).text}\n`);
    isSaid = true;
    if (!isServer) process.exit(isUnread ? undefined : EXIT.failed);
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

/** The arguments; or, when help, version or a completion was asked for, what to print. */
function parse<T>({ name, usage, describe, build }: Command<T>): Parsed<T> | string {
  const takes = build(
    new Arguments()
      .option('help', { type: 'boolean', alias: 'h', describe: 'print this help' })
      .option('version', { type: 'boolean', alias: 'V', describe: 'print the version' })
      .option('completion', {
        type: 'string',
        choices: SHELLS,
        describe: 'print a script by which this shell completes the command',
      }),
  );
  const words = process.argv.slice(2);
  if (words[0] === COMPLETIONS) {
    const lines = completions(takes, words[1] ?? '', words.slice(2));
    return lines.map((line) => `${line}\n`).join('');
  }
  const shell = /^--completion[= ](.*)$/.exec(words.join(' '))?.[1];
  if (shell !== undefined) return completionScript(name, shell);
  // Asked for help, it is given whatever else there is.
  const end = words.indexOf('--');
  const asked = end < 0 ? words : words.slice(0, end);
  if (asked.some((word) => word === '--help' || word === '-h')) {
    return formatHelp({ name, usage, describe }, takes, process.stdout.columns || 100);
  }
  if (asked.some((word) => word === '--version' || word === '-V')) return `${VERSION}\n`;
  try {
    const parsed = takes.parse(words);
    if (!parsed.given.has('completion')) return parsed;
  } catch (error) {
    throw new PeerError('ERR_USAGE', `${asError(error).message} (see ${name} --help)`);
  }
  throw new PeerError('ERR_USAGE', '--completion goes with nothing else');
}

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
  ['EMFILE', 'too many open files for the limit of this process (ulimit -n)'],
]);

/** An error as one line, and the exit code for it. */
export function describe(thrown: unknown): { text: string; code: number } {
  const error = asError(thrown);
  if (error instanceof PeerError) {
    return { text: error.message, code: EXIT_OF[error.code] ?? EXIT.failed };
  }
  const code = systemCode(error);
  if ('syscall' in error && error.syscall === 'uv_cwd') {
    return { text: 'the current folder is gone', code: EXIT.usage };
  }
  const why = code === undefined ? undefined : (SYSTEM.get(code) ?? code);
  // Which file happened to be the one too many says nothing.
  const isNamed = 'path' in error && typeof error.path === 'string' && code !== 'EMFILE';
  const path = isNamed ? `${String(error.path)}: ` : '';
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
