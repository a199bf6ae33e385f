/** A folder of large files, indexed the first time: as fast as they can be hashed? */
import { createReadStream, mkdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { hashStream } from '../../lib/hash/path.js';
import { makeFile } from '../common/files.js';
import { inMegabytesPerSecond, inTurn, type Contestant } from '../common/in-turn.js';
import { installed, missing, runToEnd } from '../common/processes.js';
import type { Table } from '../common/report.js';
import type { Progress, Settings } from '../common/subject.js';
import { ownProcess, usesDuring } from '../common/usage.js';
import { isIndex, startCold } from './started.js';

const FILES = 32;

export async function indexLarge(
  { size, runs, folder: parent }: Settings,
  progress: Progress,
): Promise<Table> {
  const folder = join(parent, 'large');
  mkdirSync(folder);
  const each = Math.max(1, Math.floor(size / FILES));
  const wanted = new Map<string, string>();
  for (let i = 0; i < FILES; i++) {
    const file = join(folder, `file-${i}`);
    makeFile(file, each);
    wanted.set(`file-${i}`, await hashStream(createReadStream(file)));
  }
  const ours: Contestant = {
    name: 'ours',
    once: async () => {
      const work = (): ReturnType<typeof startCold> => startCold(folder, `${folder}.state`);
      const { result, uses } = await usesDuring([ownProcess('node')], work);
      const isRight = await isIndex(result.share, wanted);
      await result.share.close();
      if (!isRight || result.hashed !== FILES) throw new Error('the index is wrong');
      return { milliseconds: result.milliseconds, uses };
    },
  };
  const threads = String(availableParallelism());
  const paths = [...wanted.keys()].map((name) => join(folder, name));
  const b3sum: Contestant = {
    name: `b3sum --num-threads ${threads}`,
    isLimit: true,
    once: async () => {
      const ended = await runToEnd('b3sum', ['--num-threads', threads, ...paths], {
        output: 'collect',
      });
      if (ended.stdout.split('\n').length !== FILES + 1) throw new Error('b3sum left files out');
      return ended;
    },
  };
  const times = await inTurn(installed('b3sum') ? [ours, b3sum] : [ours], runs, progress);
  rmSync(folder, { recursive: true });
  return {
    kind: 'table',
    title: `the first time: ${FILES} files of ${each} bytes`,
    unit: 'MB/s',
    better: 'more',
    rows: inMegabytesPerSecond(times, each * FILES),
    notes: installed('b3sum') ? [] : [missing('b3sum')],
  };
}
