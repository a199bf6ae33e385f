/** Entry of the pool's workers: a batch of jobs in, their outcomes out, in the same order. */
import { hashFile, type HashJob, type HashOutcome } from './file.js';

export interface Batch {
  root: string;
  jobs: readonly HashJob[];
}

export default function hashBatch({ root, jobs }: Batch): HashOutcome[] {
  return jobs.map((job) => hashFile(root, job));
}
