/** What every command has in common: its arguments, its help, how it fails and with which code. */
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';
import type { Argv } from 'yargs';
// Not lib/index.js: a client starts faster without what only a server needs.
import { PeerError, asError, systemCode, type ErrorCode } from '../../lib/errors.js';
import { printable } from '../../lib/support/printable.js';
import { parseRate } from '../../lib/limits/rate.js';
import { VERSION } from '../../lib/support/version.js';
import { COMPLETIONS, SHELLS, completionScript, offered } from './completion.js';

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
    const parsed = await parse(command);
    if (parsed === undefined) return;
    process.exitCode = (await command.run(parsed.args, parsed.given)) ?? EXIT.done;
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

interface Parsed<T> {
  args: T;
  /** Names of the options that were given. */
  given: ReadonlySet<string>;
}

/** The arguments; undefined when help, version or a completion was asked for and printed. */
async function parse<T>({
  name,
  usage,
  describe,
  build,
}: Command<T>): Promise<Parsed<T> | undefined> {
  const words = process.argv.slice(2);
  const shell = /^--completion[= ](.*)$/.exec(words.join(' '))?.[1];
  if (shell !== undefined) {
    process.stdout.write(completionScript(name, shell));
    return undefined;
  }
  const isCompletion = words[0] === COMPLETIONS;
  const { args, plain } = isCompletion
    ? { args: words, plain: (text: string) => text }
    : withoutOperands(words);
  const printed: string[] = [];
  const hint = `(see ${name} --help)`;
  const wrong = (text: string): PeerError => new PeerError('ERR_USAGE', `${text} ${hint}`);
  // Where it can be caught: it asks for the current folder at once, which may be gone.
  const { default: yargs } = await import('yargs');
  const argv = build(
    yargs()
      .scriptName(name)
      .usage(`${`$0 ${usage}`.trim()}\n\n${describe}`)
      .strict()
      .version(VERSION)
      .alias({ help: 'h', version: 'V' })
      .option('completion', {
        choices: SHELLS,
        requiresArg: true,
        describe: 'print a script by which this shell completes the command',
      })
      .parserConfiguration({
        // A value that begins with a dash, or an option given twice, is a mistake here.
        'duplicate-arguments-array': true,
        'populate--': false,
        // --a.b is no option with parts.
        'dot-notation': false,
        // As it is by default; but only said so, completion knows --no-watch.
        'boolean-negation': true,
      })
      .wrap(Math.min(100, process.stdout.columns || 100)),
  );
  // yargs takes an empty value for 0 or "".
  const empty = args.find((arg) => /^--[a-z-]+=$/.test(arg));
  if (empty !== undefined && !isCompletion) throw wrong(`${empty} needs a value`);
  const parsed = (await argv
    .command(`$0 ${usage}`.trim(), false)
    .exitProcess(false)
    .fail((message: string | null, error: unknown) => {
      if (error instanceof PeerError) throw error;
      const [first = '', detail = ''] = (message ?? asError(error).message).split('\n');
      const line = first.endsWith(':') ? `${first} ${detail.trim()}` : first;
      throw wrong(plain(asTyped(line, usage, args)));
    })
    .parseAsync(args, {}, (_error, _args, output) => {
      if (output !== '') printed.push(...output.split('\n'));
    })) as Record<string, unknown>;
  if (isCompletion || printed.length > 0) {
    const lines = isCompletion ? offered(printed, words.at(-1) ?? '') : printed;
    if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
    return undefined;
  }
  if (parsed['completion'] !== undefined) throw wrong('--completion goes with nothing else');
  // yargs takes anything but "true" for false.
  const value = args.find((arg) => {
    const [, option = '', word = 'true'] = /^--([a-z-]+)=(.*)$/.exec(arg) ?? [];
    return typeof parsed[option] === 'boolean' && !/^(true|false)$/.test(word);
  });
  if (value !== undefined) throw wrong(`${value} is not true or false`);
  const put = (value: unknown): unknown => (typeof value === 'string' ? plain(value) : value);
  const values: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(parsed)) {
    values[key] = Array.isArray(value) ? value.map(put) : put(value);
    if (Array.isArray(value) && key !== '_' && !REPEATABLE.has(key)) {
      throw wrong(`--${key} is given more than once`);
    }
  }
  const { defaulted = {} } = (argv.parsed || {}) as { defaulted?: Record<string, boolean> };
  const given = new Set(Object.keys(values).filter((key) => defaulted[key] !== true));
  return { args: values as T, given };
}

/** A message of yargs that names what is unknown as it was typed, and what is missing as help has it. */
function asTyped(message: string, usage: string, args: readonly string[]): string {
  const [, got] = /^Not enough non-option arguments: got (\d+)/.exec(message) ?? [];
  if (got !== undefined) return `${usage.split(' ')[Number(got)] ?? usage} is missing`;
  const [, option] = /^Not enough arguments following: (.*)$/.exec(message) ?? [];
  if (option !== undefined) return `${option.length === 1 ? '-' : '--'}${option} needs a value`;
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
 * What stands behind `--`, a lone dash and an empty word are no options: yargs, which drops or misreads some
 * of them (and takes an empty word for 0), gets something in their place that looks like nothing it knows.
 *
 * @returns `plain` puts back what was replaced
 */
function withoutOperands(given: readonly string[]): {
  args: string[];
  plain: (text: string) => string;
} {
  const end = given.indexOf('--');
  const isOperand = (arg: string, i: number): boolean =>
    arg === '' || arg === '-' || (end >= 0 && i > end);
  const args = given
    .map((arg, i) => (isOperand(arg, i) ? `\0${i}\0` : arg))
    .filter((_arg, i) => i !== end);
  const plain = (text: string): string =>
    text.replace(/\0(\d+)\0/g, (_all, i: string) => given[Number(i)] ?? '');
  return { args, plain };
}

const REPEATABLE = new Set(
  ['ignore', 'file', 'peer', 'from', 'words', 'allow'].concat('http-host', 'httpHost'),
);

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
