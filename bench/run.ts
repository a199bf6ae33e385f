/** `npm run bench -- [subject...] [--size 1G] [--files 100000] [--names 1000000] [--runs 5]` */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { PeerError } from '../lib/errors.js';
import { VERSION } from '../lib/version.js';
import { clients } from './clients.js';
import { fanout } from './fanout.js';
import { hash } from './hash.js';
import { indexing } from './indexing.js';
import { formatReport } from './common/report.js';
import { scale } from './scale.js';
import { search } from './search.js';
import { smallfiles } from './smallfiles.js';
import { sources } from './sources.js';
import type { Subject } from './common/subject.js';
import { throughput } from './throughput.js';

const SUBJECTS: readonly Subject[] = [
  hash,
  indexing,
  throughput,
  smallfiles,
  clients,
  sources,
  search,
  scale,
  fanout,
];

const UNITS = new Map([
  ['', 1],
  ['K', 2 ** 10],
  ['M', 2 ** 20],
  ['G', 2 ** 30],
]);

/** `4G`, `512M`, `1000`: bytes. */
function parseSize(text: string): number {
  const [, digits = '', unit = ''] = /^(\d+)([KMG]?)$/i.exec(text) ?? [];
  const size = Number(digits) * (UNITS.get(unit.toUpperCase()) ?? NaN);
  if (digits === '' || !Number.isSafeInteger(size) || size === 0) {
    throw new PeerError('ERR_USAGE', `"${text}" is not a size; write 1000, 64K, 512M or 4G`);
  }
  return size;
}

async function main(): Promise<void> {
  const args = await yargs(hideBin(process.argv))
    .scriptName('npm run bench --')
    .usage('$0 [subject...]')
    .option('size', { type: 'string', default: '1G', describe: 'bytes of the large file' })
    .option('files', { type: 'number', default: 100_000, describe: 'small files in a folder' })
    .option('names', { type: 'number', default: 1_000_000, describe: 'file names to search' })
    .option('nodes', {
      type: 'number',
      default: 10_000,
      describe: 'peers in the largest network in memory',
    })
    .option('peers', { type: 'number', default: 64, describe: 'peers in the largest real network' })
    .option('clients', { type: 'number', default: 200, describe: 'clients at once' })
    .option('processes', {
      type: 'number',
      default: availableParallelism(),
      defaultDescription: 'one per core',
      describe: 'processes that these run in',
    })
    .option('runs', { type: 'number', default: 5, describe: 'measured runs of each contestant' })
    .option('list', { type: 'boolean', default: false, describe: 'say what there is to measure' })
    .strictOptions()
    .version(VERSION)
    .parseAsync();
  if (args.list) {
    for (const { name, describe } of SUBJECTS) process.stdout.write(`${name}: ${describe}\n`);
    return;
  }
  if (!Number.isSafeInteger(args.runs) || args.runs < 1) {
    throw new PeerError('ERR_USAGE', '--runs is a whole number from 1');
  }
  if (!Number.isSafeInteger(args.files) || args.files < 100) {
    throw new PeerError('ERR_USAGE', '--files is a whole number from 100');
  }
  if (!Number.isSafeInteger(args.names) || args.names < 1000) {
    throw new PeerError('ERR_USAGE', '--names is a whole number from 1000');
  }
  if (!Number.isSafeInteger(args.nodes) || args.nodes < 100) {
    throw new PeerError('ERR_USAGE', '--nodes is a whole number from 100');
  }
  if (!Number.isSafeInteger(args.peers) || args.peers < 8) {
    throw new PeerError('ERR_USAGE', '--peers is a whole number from 8');
  }
  if (!Number.isSafeInteger(args.clients) || args.clients < 2) {
    throw new PeerError('ERR_USAGE', '--clients is a whole number from 2');
  }
  if (!Number.isSafeInteger(args.processes) || args.processes < 1) {
    throw new PeerError('ERR_USAGE', '--processes is a whole number from 1');
  }
  const size = parseSize(args.size);
  const wanted = args._.map(String);
  const unknown = wanted.find((name) => !SUBJECTS.some((subject) => subject.name === name));
  if (unknown !== undefined) {
    const known = SUBJECTS.map(({ name }) => name).join(', ');
    throw new PeerError('ERR_USAGE', `no subject "${unknown}"; there are: ${known}`);
  }
  const chosen = SUBJECTS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
  const { length: cores } = cpus();
  process.stdout.write(
    `p2p-serve ${VERSION}, node ${process.version}, ${cpus()[0]?.model.trim() ?? 'unknown'}, ${cores} cores\n` +
      `median of ${args.runs} runs (lowest to highest), contestants in turn\n\n`,
  );
  for (const subject of chosen) {
    const folder = mkdtempSync(join(tmpdir(), 'p2p-bench-'));
    try {
      const { files, names, nodes, peers, clients, processes, runs } = args;
      const settings = { size, files, names, nodes, peers, clients, processes, runs, folder };
      for (const report of await subject.run(settings)) {
        process.stdout.write(`${formatReport(report)}\n\n`);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
}

main().catch((error: unknown) => {
  const usage = error instanceof PeerError && error.code === 'ERR_USAGE';
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = usage ? 2 : 1;
});
