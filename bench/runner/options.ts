/** The command line of the benchmark. */
import { availableParallelism } from 'node:os';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { PeerError } from '../../lib/errors.js';
import { VERSION } from '../../lib/support/version.js';
import type { Settings, Subject } from '../common/subject.js';
import { SUBJECTS } from '../subjects.js';

/** What is to be done. */
export interface Options {
  list: boolean;
  subjects: readonly Subject[];
  /** What was asked for; the rest is each subject's own default, and what is below. */
  given: Partial<Settings>;
  /** Where to write everything that was measured. */
  json: string | undefined;
}

/** What no subject has a default of its own for. */
export const DEFAULTS: Omit<Settings, 'runs' | 'folder'> = {
  size: 2 ** 30,
  files: 100_000,
  names: 1_000_000,
  nodes: 10_000,
  peers: 64,
  clients: 200,
  processes: availableParallelism(),
};

/** Whole numbers, the least that makes sense, and what they are. */
const COUNTS = {
  files: [100, 'small files in a folder'],
  names: [1000, 'file names to search'],
  nodes: [500, 'peers in the largest network in memory'],
  peers: [16, 'peers in the largest real network'],
  clients: [8, 'clients at once'],
  processes: [1, 'processes that these run in'],
  runs: [1, 'measured runs of each contestant'],
} as const satisfies Partial<Record<keyof Settings, readonly [number, string]>>;

type Count = keyof typeof COUNTS;
const COUNT_NAMES = Object.keys(COUNTS) as Count[];

const UNITS = new Map([
  ['', 1],
  ['K', 2 ** 10],
  ['M', 2 ** 20],
  ['G', 2 ** 30],
]);
/** Growth is measured down to a 27th of it. */
const LEAST_SIZE = 2 ** 20;

/** @throws PeerError ERR_USAGE */
export async function parseOptions(): Promise<Options> {
  const args = await COUNT_NAMES.reduce(
    (argv, name) => argv.option(name, { type: 'number', describe: describeCount(name) }),
    yargs(hideBin(process.argv))
      .scriptName('npm run bench --')
      .usage('$0 [subject...]\n\nMeasure this, and what one would use instead.')
      .option('size', { type: 'string', describe: 'bytes of the large file: 4G, 512M, 64K' }),
  )
    .option('json', { type: 'string', describe: 'write everything that was measured to this file' })
    .option('list', { type: 'boolean', default: false, describe: 'say what there is to measure' })
    .epilogue(
      `Subjects: ${SUBJECTS.map(({ name }) => name).join(', ')}; each has its own defaults.`,
    )
    .example('$0', 'everything, in some minutes')
    .example('$0 throughput fanout --size 4G --runs 7', 'two subjects, larger and longer')
    .strictOptions()
    .parserConfiguration({ 'duplicate-arguments-array': false })
    .version(VERSION)
    .wrap(Math.min(100, process.stdout.columns || 100))
    .fail((message: string | null, error: unknown) => {
      throw error instanceof Error ? error : new PeerError('ERR_USAGE', message ?? 'wrong usage');
    })
    .parseAsync();
  const given: Partial<Settings> = {};
  for (const name of COUNT_NAMES) {
    const value: unknown = args[name];
    if (value !== undefined) given[name] = wholeNumber(name, value);
  }
  if (args.size !== undefined) given.size = parseSize(args.size);
  if (args.json === '') throw new PeerError('ERR_USAGE', '--json needs the name of a file');
  return { list: args.list, subjects: chosen(args._.map(String)), given, json: args.json };
}

/** What was asked for, or the subject's own default, or that of all. */
export function settingsOf(
  { defaults }: Subject,
  given: Partial<Settings>,
  folder: string,
): Settings {
  return { ...DEFAULTS, ...defaults, ...given, folder };
}

function describeCount(name: Count): string {
  const [least, what] = COUNTS[name];
  return `${what} (from ${least})`;
}

function wholeNumber(name: Count, value: unknown): number {
  const [least] = COUNTS[name];
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least) {
    throw new PeerError('ERR_USAGE', `--${name} is a whole number from ${least}`);
  }
  return value;
}

/** `4G`, `512M`, `1000000`: bytes. */
function parseSize(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+)([KMG]?)$/i.exec(text) ?? [];
  const size = Number(digits) * (UNITS.get(unit.toUpperCase()) ?? NaN);
  if (digits === '' || !Number.isSafeInteger(size)) {
    throw new PeerError('ERR_USAGE', `"${text}" is not a size; write 4G, 512M or 1000000`);
  }
  if (size < LEAST_SIZE) throw new PeerError('ERR_USAGE', '--size is 1M or more');
  return size;
}

function chosen(wanted: readonly string[]): Subject[] {
  const unknown = wanted.find((name) => !SUBJECTS.some((subject) => subject.name === name));
  if (unknown !== undefined) {
    const known = SUBJECTS.map(({ name }) => name).join(', ');
    throw new PeerError('ERR_USAGE', `no subject "${unknown}"; there are: ${known}`);
  }
  return SUBJECTS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
}
