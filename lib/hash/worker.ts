/** Entry of the pool's workers: whole files in a batch, or a part of a large one. */
import { FolderOpener } from '../disk/open.js';
import { hashFile, type HashJob, type HashResult } from './file.js';
import { packResults, unpackPaths, type PackedResults } from './packed.js';

/** Below a folder: files, or blocks of one. */
export type Task = { root: string; paths: string } | { root: string; part: HashJob };

export default function run(task: Task): PackedResults | HashResult {
  const opener = new FolderOpener(task.root);
  try {
    if ('part' in task) return hashFile(opener, task.part);
    return packResults(unpackPaths(task.paths).map((path) => hashFile(opener, { path })));
  } finally {
    opener.close();
  }
}
