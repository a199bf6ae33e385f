/** Entry of the pool's workers: whole files in a batch, or a part of a large one. */
import { FolderOpener } from '../disk/open.js';
import { hashFile, type HashJob, type HashResult } from './file.js';
import { packResults, unpackPaths, type PackedResults } from './packed.js';

/** Below a folder: files, or blocks of one. */
export type Task = (
  | { readonly root: string; readonly paths: string }
  | { readonly root: string; readonly part: HashJob }
) & {
  /** Shared memory: how many files have been begun. It outlasts the worker. */
  readonly begun: Int32Array;
};

export default function run(task: Task): PackedResults | HashResult {
  const opener = new FolderOpener(task.root);
  const hash = (job: HashJob): HashResult => {
    Atomics.add(task.begun, 0, 1);
    return hashFile(opener, job);
  };
  try {
    if ('part' in task) return hash(task.part);
    return packResults(unpackPaths(task.paths).map((path) => hash({ path })));
  } finally {
    opener.close();
  }
}
