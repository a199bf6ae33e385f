/** Hashing of a large file on all cores, against b3sum with as many threads, and SHA-256. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Blake3Hasher } from '@napi-rs/blake-hash';
import { hashPath } from '../lib/hash/path.js';
import { HashPool } from '../lib/hash/pool.js';
import { rootOf, TreeHasher } from '../lib/hash/tree.js';
import { makeFile } from './common/files.js';
import { sizesUpTo } from './common/growth.js';
import {
  atSizes,
  inMegabytesPerSecond,
  inTurn,
  timed,
  type Contestant,
  type Run,
} from './common/in-turn.js';
import { installed, missing, runToEnd } from './common/processes.js';
import type { Report } from './common/report.js';
import type { Progress, Settings, Subject } from './common/subject.js';

export const hash: Subject = {
  name: 'hash',
  describe: 'one large file hashed on all cores; against b3sum, sha256sum, node:crypto',
  defaults: { size: 2 ** 29, runs: 3 },
  run,
};

const THREADS = availableParallelism();
const hasB3sum = installed('b3sum');

/** What each of the hash functions makes of a file, found out by a library in one thread. */
interface Hashes {
  tree: string;
  blake3: string;
  sha256: string;
}

async function run({ size, runs, folder }: Settings, progress: Progress): Promise<Report[]> {
  const pool = new HashPool({ threads: THREADS });
  try {
    const { last, series } = await atSizes(sizesUpTo(size), async (bytes) => {
      const file = join(folder, `of-${bytes}`);
      makeFile(file, bytes);
      const hashes = await hashesOf(file);
      const all =
        bytes === size
          ? [...mainly(pool, file, hashes), ...beside(file, hashes)]
          : mainly(pool, file, hashes);
      const times = await inTurn(all, runs, (what) => {
        progress(`${bytes} bytes: ${what}`);
      });
      rmSync(file);
      return times;
    });
    return [
      {
        kind: 'table',
        title: `one file of ${size} bytes, ${THREADS} threads`,
        unit: 'MB/s',
        better: 'more',
        rows: inMegabytesPerSecond(last, size),
        notes: hasB3sum
          ? ['of b3sum the file itself counts as memory: it is mapped']
          : [missing('b3sum')],
      },
      { kind: 'growth', title: 'hashing by size of the file', of: 'bytes', unit: 'ms', series },
    ];
  } finally {
    await pool.close();
  }
}

/** Those that are measured at every size. */
function mainly(pool: HashPool, file: string, { tree, blake3 }: Hashes): Contestant[] {
  const ours: Contestant = {
    name: 'ours: a tree of BLAKE3',
    once: () =>
      timed(async () => {
        check('ours', await hashPath(pool, file), tree);
      }),
  };
  const args = ['--num-threads', String(THREADS), '--no-names', file];
  const b3sum: Contestant = {
    name: `b3sum --num-threads ${THREADS}`,
    isLimit: true,
    once: () => printed('b3sum', args, blake3),
  };
  return hasB3sum ? [ours, b3sum] : [ours];
}

/** Those that do it another way, in one thread. */
function beside(file: string, { sha256 }: Hashes): Contestant[] {
  const node: Contestant = {
    name: 'createReadStream, createHash SHA-256',
    once: () =>
      timed(async () => {
        check('SHA-256', await hashFile(file, createHash('sha256')), sha256);
      }),
  };
  if (!installed('sha256sum')) return [node];
  return [node, { name: 'sha256sum', once: () => printed('sha256sum', [file], sha256) }];
}

/** Run a program that prints a hash first. */
async function printed(program: string, args: readonly string[], wanted: string): Promise<Run> {
  const ended = await runToEnd(program, args, { output: 'collect' });
  check(program, ended.stdout.slice(0, wanted.length), wanted);
  return ended;
}

function check(who: string, got: string, wanted: string): void {
  if (got !== wanted) throw new Error(`${who}: ${got} is not the hash`);
}

async function hashesOf(file: string): Promise<Hashes> {
  const [tree, blake3, sha256] = [new TreeHasher(), new Blake3Hasher(), createHash('sha256')];
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) {
    for (const hasher of [tree, blake3, sha256]) hasher.update(chunk as Buffer);
  }
  return {
    tree: Buffer.from(rootOf(tree.digest())).toString('hex'),
    blake3: blake3.digest('hex'),
    sha256: sha256.digest('hex'),
  };
}

async function hashFile(file: string, hasher: Hash): Promise<string> {
  for await (const chunk of createReadStream(file)) hasher.update(chunk as Buffer);
  return hasher.digest('hex');
}
