#!/usr/bin/env node
/** Print the hashes by which peers find files. */
import { PeerError } from '../lib/errors.js';
import { hashPath, hashStream } from '../lib/hash/path.js';
import { HashPool } from '../lib/hash/pool.js';
import { printable } from '../lib/support/printable.js';
import { EXIT, describe, runCommand } from './common/command.js';

interface Args {
  file: string[];
}

await runCommand<Args>({
  name: 'p2p-hash',
  usage: '[file...]',
  describe:
    'Print the hash by which peers find a file, as b3sum prints: hash  path. ' +
    'Up to 256 KiB it is the BLAKE3 hash; above, the root of the BLAKE3 block tree.',
  build: (argv) =>
    argv
      .positional('file', {
        type: 'string',
        array: true,
        default: [] as string[],
        defaultDescription: 'stdin',
        describe: 'files; none or - is stdin',
      })
      .example('$0 film.mkv', 'then: p2p-fetch <peer> <that hash>'),
  run: hash,
});

async function hash(args: Args): Promise<number | undefined> {
  if (args.file.length > 1 && args.file.includes('-')) {
    throw new PeerError('ERR_USAGE', '- (stdin) must be the only file');
  }
  const files = args.file.length > 0 ? args.file : ['-'];
  const pool = new HashPool();
  let code: number | undefined;
  try {
    for (const file of files) {
      try {
        const digest = file === '-' ? await hashStream(process.stdin) : await hashPath(pool, file);
        process.stdout.write(`${line(digest, file)}\n`);
      } catch (error) {
        // The others are still hashed.
        const { text } = describe(error);
        const named = text.startsWith(file) ? text : `${file}: ${text}`;
        process.stderr.write(`p2p-hash: ${printable(named)}\n`);
        code = EXIT.failed;
      }
    }
  } finally {
    await pool.close();
  }
  return code;
}

/**
 * As b3sum and sha256sum: a name with a newline or backslash is escaped, and the line says so. To people
 * it is shown as it can be shown.
 */
function line(digest: string, file: string): string {
  if (process.stdout.isTTY) return `${digest}  ${printable(file)}`;
  if (!/[\\\n]/.test(file)) return `${digest}  ${file}`;
  return `\\${digest}  ${file.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`;
}
