/** A folder of many small files, indexed the first time and once more after a restart. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  atSizes,
  inMilliseconds,
  inTurn,
  type Contestant,
  type Run,
  type Runs,
} from '../common/in-turn.js';
import { sizesUpTo } from '../common/growth.js';
import { LoopDelay } from '../common/loop-delay.js';
import { installed, missing, runToEnd } from '../common/processes.js';
import type { Growth, Table } from '../common/report.js';
import { expected, FILES_A_FOLDER, makeSmallFiles, SMALL_BYTES } from '../common/small-files.js';
import type { Progress, Settings } from '../common/subject.js';
import { ownProcess, usesDuring } from '../common/usage.js';
import { isIndex, startCold, startShare, type Started } from './started.js';

const FIRST = 'ours, the first time';
const AGAIN = 'ours, again';

/** Measured with all files: the folder and its state stay, at `folder` and `folder.state`. */
export async function indexSmall(
  settings: Settings,
  folder: string,
  progress: Progress,
): Promise<[Table, Table, Growth]> {
  const { files } = settings;
  const delays = { first: new LoopDelay(), again: new LoopDelay() };
  let watches = 0;
  const { last, series } = await atSizes(sizesUpTo(files), async (count) => {
    const own = count === files ? folder : `${folder}-${count}`;
    const set = { folder: own, count, seed: 'small' };
    await makeSmallFiles(set);
    const wanted = expected(set);
    /** What both have in common: start, check, see how busy the loop was. */
    const indexed = async (
      delay: LoopDelay,
      start: () => Promise<Started>,
      hashes: number,
    ): Promise<Run> => {
      const groups = [ownProcess('node')];
      const { result, uses } = await usesDuring(groups, () => delay.during(start));
      const { share, hashed, milliseconds } = result;
      if (hashed !== hashes) throw new Error(`${hashed} files were hashed, not ${hashes}`);
      if (!(await isIndex(share, wanted))) throw new Error('the index is not what the folder is');
      if (start === again) {
        await result.watching;
        watches = countWatches();
      }
      await share.close();
      return { milliseconds, uses };
    };
    const state = `${own}.state`;
    const again = (): Promise<Started> => startShare(own, state);
    const ours: Contestant[] = [
      { name: FIRST, once: () => indexed(delays.first, () => startCold(own, state), count) },
      { name: AGAIN, once: () => indexed(delays.again, again, 0) },
    ];
    return inTurn([...ours, ...programs(own, count)], settings.runs, (what) => {
      progress(`${count} files: ${what}`);
    });
  });
  const among = (...names: string[]): Runs[] =>
    names.flatMap((name) => last.filter((one) => one.name === name));
  const table = (title: string, rows: readonly Runs[], notes: readonly string[]): Table => ({
    ...{ kind: 'table', title, unit: 'ms', better: 'less', notes },
    rows: inMilliseconds(rows),
  });
  const folders = Math.ceil(files / FILES_A_FOLDER) + 1;
  return [
    table(`the first time: ${files} files of ${SMALL_BYTES} bytes`, among(FIRST, HASHED), [
      String(delays.first),
      ...(installed('b3sum') ? [] : [missing('b3sum')]),
    ]),
    table(`again: the same ${files} files after a restart`, among(AGAIN, LISTED), [
      String(delays.again),
      `${watches} watches for ${folders} folders`,
    ]),
    {
      kind: 'growth',
      title: 'indexing by number of files',
      of: 'files',
      unit: 'ms',
      series,
    },
  ];
}

const HASHED = 'find | xargs b3sum';
const LISTED = 'find -printf';

/** What one would type. */
function programs(folder: string, count: number): Contestant[] {
  const shell = (name: string, line: string): Contestant => ({
    name,
    once: async () => {
      const ended = await runToEnd('sh', ['-c', line, '', folder], { output: 'collect', name });
      if (Number(ended.stdout) !== count) throw new Error(`${name}: ${ended.stdout.trim()} files`);
      return ended;
    },
  });
  const list = shell(LISTED, `find "$1" -type f -printf '%p %s %T@\\n' | wc -l`);
  if (!installed('b3sum')) return [list];
  return [shell(HASHED, 'find "$1" -type f -print0 | xargs -0 b3sum | wc -l'), list];
}

/** Inotify watches of this process (proc_pid_fdinfo(5)). */
function countWatches(): number {
  const folder = '/proc/self/fdinfo';
  const texts = readdirSync(folder).map((fd) => {
    try {
      return readFileSync(join(folder, fd), 'utf8');
    } catch {
      // The folder's own descriptor, closed by now.
      return '';
    }
  });
  return texts.join('\n').split('\ninotify wd:').length - 1;
}
