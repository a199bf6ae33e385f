/** Lower priority for threads whose work can wait. */
import { setPriority } from 'node:os';
import { isMainThread } from 'node:worker_threads';

/** What nice(1) adds when it is told nothing else. */
const NICENESS = 10;

/**
 * Give the other threads priority over this one where cores are short. On Linux only, where a niceness is a thread's
 * (setpriority(2), "C library/kernel differences"); elsewhere it is the whole process's.
 */
export function lowerPriority(): void {
  if (process.platform !== 'linux' || isMainThread) return;
  try {
    setPriority(NICENESS);
  } catch {
    // Not allowed: all threads keep one priority.
  }
}
