/** A client that fetches a whole folder of files above one block: how fast, and in how much memory. */
import { randomFillSync } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sizesUpTo } from '../common/growth.js';
import { megabytesPerSecond } from '../common/in-turn.js';
import { startNginx } from '../common/nginx.js';
import { installed, missing, runToEnd, scriptFile, startNode } from '../common/processes.js';
import type { Report, Row, Series } from '../common/report.js';
import type { Progress, Settings } from '../common/subject.js';

/** Files at most, and bytes of each at least: more than one block. */
const MOST_FILES = 2000;
const LEAST_BYTES = 300_000;
/** Files at once that curl asks for. */
const CURL_AT_ONCE = 8;

/** A program that fetches the first so many files into a folder. */
interface Contestant {
  name: string;
  program: string;
  args: (count: number, out: string) => string[];
}

export async function measureFolder(settings: Settings, progress: Progress): Promise<Report[]> {
  const files = Math.min(settings.files, MOST_FILES);
  const bytes = Math.max(LEAST_BYTES, Math.ceil(settings.size / 128));
  const folder = join(settings.folder, 'many');
  const share = join(folder, 'share');
  const sizes = sizesUpTo(files);
  progress(`${files} files of ${bytes} bytes`);
  makeFiles(share, files, bytes, sizes);
  const ends: (() => Promise<void>)[] = [];
  try {
    const node = await startNode(share, join(folder, 'state'));
    ends.push(node.stop);
    const all: Contestant[] = [
      {
        name: 'p2p-fetch --all, verified, waits for the disk',
        program: process.execPath,
        args: (count, out) => [
          ...[scriptFile('bin/p2p-fetch.js'), node.line, '--all', tagOf(count), '-o', out],
        ],
      },
    ];
    if (installed('nginx', '-v') && installed('curl')) {
      const { port, stop } = await startNginx(share, join(folder, 'nginx'));
      ends.push(stop);
      all.push({
        name: 'curl --parallel from nginx, neither',
        program: 'curl',
        args: (count, out) => [
          ...['--silent', '--fail', '--parallel', '--parallel-max', `${CURL_AT_ONCE}`],
          ...namesOf(count, sizes).flatMap((name) => [
            ...['-o', join(out, name), `http://127.0.0.1:${port}/${name}`],
          ]),
        ],
      });
    }
    return await measureAll(all, { folder, sizes, files, bytes, progress });
  } finally {
    await Promise.all(ends.map((end) => end()));
  }
}

async function measureAll(
  all: readonly Contestant[],
  {
    folder,
    sizes,
    files,
    bytes,
    progress,
  }: {
    folder: string;
    sizes: readonly number[];
    files: number;
    bytes: number;
    progress: Progress;
  },
): Promise<Report[]> {
  const rows: Row[] = [];
  const series: Series[] = [];
  for (const { name, program, args } of all) {
    const points: { size: number; values: number[] }[] = [];
    for (const count of sizes) {
      progress(`${name}: ${count} files`);
      const out = join(folder, 'out');
      mkdirSync(out);
      const { milliseconds, uses } = await runToEnd(program, args(count, out), { name: 'client' });
      const came = readdirSync(out).length;
      rmSync(out, { recursive: true });
      if (came !== count) throw new Error(`${name}: ${came} of ${count} files came`);
      points.push({ size: count, values: uses.map(({ peak }) => peak / 2 ** 20) });
      if (count !== files) continue;
      rows.push({ name, values: [megabytesPerSecond(files * bytes, milliseconds)], uses });
    }
    series.push({ name, points });
  }
  return [
    {
      kind: 'table',
      title: `a folder of ${files} files of ${bytes} bytes, by one command`,
      unit: 'MB/s',
      better: 'more',
      rows,
      notes: [
        'wanted: a client of at most 200 MiB, however many files',
        ...(rows.length > 1 ? [] : [missing('curl or nginx', 'curl nginx-light')]),
      ],
    },
    {
      kind: 'growth',
      title: `memory of a client that fetches files of ${bytes} bytes, by their number`,
      of: 'files',
      unit: 'MiB at most',
      series,
    },
  ];
}

/** What the names of the first so many files have in them, and no others. */
function tagOf(count: number): string {
  return `_${count}_`;
}

/** Names of the first so many files, with a tag for each of the sizes that they belong to. */
function namesOf(count: number, sizes: readonly number[]): string[] {
  return Array.from({ length: count }, (_, i) => {
    const tags = sizes.filter((size) => i < size).map(tagOf);
    return `${i}${tags.join('')}.bin`;
  });
}

/** No two alike. */
function makeFiles(folder: string, files: number, bytes: number, sizes: readonly number[]): void {
  mkdirSync(folder, { recursive: true });
  const content = randomFillSync(Buffer.alloc(bytes));
  for (const [i, name] of namesOf(files, sizes).entries()) {
    for (let at = 0; at + 8 <= bytes; at += 64 * 1024) content.writeDoubleBE(i, at);
    writeFileSync(join(folder, name), content);
  }
}
