/** For threads whose work can wait: those that serve and search go before them. */
import { setPriority } from 'node:os';
import { isMainThread } from 'node:worker_threads';

/** What nice(1) adds when it is told nothing else. */
const NICENESS = 10;

/**
 * Let the other threads go first where cores are short. On Linux only, where a niceness is a thread's
 * (setpriority(2), "C library/kernel differences"); elsewhere it is the whole process's.
 */
export function giveWay(): void {
  if (process.platform !== 'linux' || isMainThread) return;
  try {
    setPriority(NICENESS);
  } catch {
    // Not allowed: then all are equal.
  }
}
