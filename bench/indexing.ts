/**
 * The index: hashed the first time, kept over a restart, following changes; against b3sum on the same
 * files and find(1) on the same tree.
 */
import { join } from 'node:path';
import type { Report } from './common/report.js';
import type { Progress, Settings, Subject } from './common/subject.js';
import { indexLarge } from './indexing/large.js';
import { followMany } from './indexing/many.js';
import { followSingle } from './indexing/single.js';
import { indexSmall } from './indexing/small.js';
import { startShare } from './indexing/started.js';

export const indexing: Subject = {
  name: 'index',
  describe: 'hashing a folder, starting again, following changes; against b3sum, find',
  defaults: { size: 2 ** 28, files: 20_000, runs: 3 },
  run,
};

async function run(settings: Settings, progress: Progress): Promise<Report[]> {
  const small = join(settings.folder, 'small');
  const large = await indexLarge(settings, progress);
  const many = await indexSmall(settings, small, progress);
  return [large, ...many, ...(await follow(small, settings, progress))];
}

/** What happens to a folder that is being watched. */
async function follow(folder: string, settings: Settings, progress: Progress): Promise<Report[]> {
  const { share, watching } = await startShare(folder, `${folder}.state`);
  try {
    await watching;
    return [
      await followSingle(share, folder, settings.size, progress),
      await followMany(share, folder, settings, progress),
    ];
  } finally {
    await share.close();
  }
}
