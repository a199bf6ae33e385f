/** Entry of the pool's workers: whole files in a batch, or a part of a large one. */
import { FolderOpener } from '../disk/open.js';
import { hashFile, type HashJob, type HashOutcome } from './file.js';
import { packOutcomes, unpackPaths, type PackedOutcomes } from './packed.js';

/** Below a folder: files, or blocks of one. */
export type Task = { root: string; paths: string } | { root: string; part: HashJob };

export default function run(task: Task): PackedOutcomes | HashOutcome {
  const opener = new FolderOpener(task.root);
  try {
    if ('part' in task) return hashFile(opener, task.part);
    return packOutcomes(unpackPaths(task.paths).map((path) => hashFile(opener, { path })));
  } finally {
    opener.close();
  }
}
