/** Try again what failed for a reason that passes: later and later, and each at a moment of its own. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PeerError, abortError, type ErrorCode } from '../errors.js';

/** In milliseconds. */
export interface RetryTimes {
  /** Before the first try after a failure; twice as long before each further one. */
  first: number;
  longest: number;
}

export const RETRY_TIMES: RetryTimes = { first: 500, longest: 60_000 };

export interface RetryOptions {
  /** Tries after failures that follow one another without a byte between them. @default 0 */
  retries?: number | undefined;
  /** @default RETRY_TIMES */
  retryTimes?: Partial<RetryTimes> | undefined;
  /** Gives up while it waits, too. */
  signal?: AbortSignal | undefined;
  /** Told what failed, and the milliseconds until it is tried again. */
  onRetry?: ((error: PeerError, pause: number) => void) | undefined;
}

/** The connection broke or was not made; the peer is busy; it has just started and is still hashing. */
const PASSING: readonly ErrorCode[] = [
  'ERR_CLOSED',
  'ERR_UNREACHABLE',
  'ERR_TIMED_OUT',
  'ERR_BUSY',
  'ERR_HASHING',
];

/** Whether it may be otherwise in a while. */
export function isPassing(error: unknown): error is PeerError {
  if (!(error instanceof PeerError)) return false;
  if (PASSING.includes(error.code)) return true;
  // A peer that ends before it has said who it is.
  return error.code === 'ERR_NOT_A_PEER' && isPassing(error.cause);
}

/**
 * The milliseconds to wait: a half more or less than their due, so that those whom one peer left behind
 * do not come back all at once.
 *
 * @param failures in a row, from 1
 * @param random from 0 to 1
 */
export function pauseAfter(failures: number, times: RetryTimes, random: number): number {
  const due = Math.min(times.longest, times.first * 2 ** (failures - 1));
  return due * (0.5 + random);
}

/**
 * @param progress a number that grows with what was achieved: failures before it count no more
 * @throws what the last attempt threw; PeerError ERR_ABORTED
 */
export async function retrying(
  attempt: () => Promise<void>,
  progress: () => number,
  { retries = 0, retryTimes, signal, onRetry }: RetryOptions = {},
): Promise<void> {
  const times = { ...RETRY_TIMES, ...retryTimes };
  let failures = 0;
  for (let before = progress(); ;) {
    try {
      await attempt();
      return;
    } catch (error) {
      const now = progress();
      if (now > before) failures = 0;
      before = now;
      failures++;
      if (failures > retries || !isPassing(error)) throw error;
      const pause = pauseAfter(failures, times, Math.random());
      onRetry?.(error, pause);
      await sleep(pause, undefined, { signal }).catch(() => undefined);
      if (signal?.aborted === true) throw abortError(signal);
    }
  }
}
