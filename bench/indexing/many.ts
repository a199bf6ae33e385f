/** How long many changes at once take to be followed. */
import { once } from 'node:events';
import { join } from 'node:path';
import type { Share } from '../../lib/share/share.js';
import { LoopDelay } from '../common/loop-delay.js';
import { runToEnd } from '../common/processes.js';
import type { Table } from '../common/report.js';
import { expected, makeSmallFiles } from '../common/small-files.js';
import type { Progress, Settings } from '../common/subject.js';
import { isIndex } from './started.js';

/** How long many changes at once take until the index is what the disk is. */
export async function followMany(
  share: Share,
  folder: string,
  { files, runs }: Settings,
  progress: Progress,
): Promise<Table> {
  const base = expected({ folder, count: files, seed: 'small' });
  const created = { folder: join(folder, 'many'), count: Math.ceil(files * 0.4), seed: 'many' };
  const group = { folder: join(folder, 'group'), count: Math.ceil(files * 0.1), seed: 'group' };
  const manyFiles = below('many', expected(created));
  const groupFiles = expected(group);
  const delay = new LoopDelay();
  const [create, move, remove]: [number[], number[], number[]] = [[], [], []];
  for (let run = 0; run < runs; run++) {
    progress(`many changes, run ${run + 1} of ${runs}`);
    await makeSmallFiles(group);
    await becomes(share, new Map([...base, ...below('group', groupFiles)]));
    const grouped = new Map([...base, ...manyFiles, ...below('group', groupFiles)]);
    const moved = new Map([...base, ...manyFiles, ...below('moved', groupFiles)]);
    await makeSmallFiles(created);
    create.push(await delay.during(() => becomes(share, grouped)));
    const { hashed } = share;
    await runToEnd('mv', [group.folder, join(folder, 'moved')]);
    move.push(await delay.during(() => becomes(share, moved)));
    if (share.hashed !== hashed) throw new Error('files were read because they were renamed');
    await runToEnd('rm', ['-r', created.folder, join(folder, 'moved')]);
    remove.push(await delay.during(() => becomes(share, base)));
  }
  return {
    kind: 'table',
    title: 'many changes, from their end until the index is what the disk is',
    unit: 'ms',
    better: 'less',
    compared: false,
    rows: [
      { name: `${created.count} files created`, values: create },
      { name: `${group.count} files moved with their folder`, values: move },
      { name: `${created.count + group.count} files deleted`, values: remove },
    ],
    notes: [String(delay)],
  };
}

function below(folder: string, files: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...files].map(([path, hash]) => [`${folder}/${path}`, hash]));
}

/** Milliseconds until the index is this, entry by entry; without the time that comparing takes. */
async function becomes(share: Share, wanted: ReadonlyMap<string, string>): Promise<number> {
  const begin = performance.now();
  const signal = AbortSignal.timeout(60_000);
  for (;;) {
    const now = performance.now();
    if (share.files === wanted.size && (await isIndex(share, wanted))) return now - begin;
    await once(share, 'settled', { signal });
  }
}
