/** Try again what failed for a reason that may pass. */
import { PeerError, abortError, isTransient } from '../errors.js';
import { signalOf } from '../support/signal.js';
import { backoff, pause, type Backoff } from '../support/backoff.js';

export const RETRY_BACKOFF: Backoff = { base: 500, cap: 60_000 };

export interface RetryOptions {
  /** Attempts after the first; counted anew after any progress. @default 0 */
  retries?: number | undefined;
  /** How long to wait before each new attempt. @default RETRY_BACKOFF */
  backoff?: Partial<Backoff> | undefined;
  /** Ends the wait for the next attempt, too. */
  signal?: AbortSignal | null | undefined;
  /** Told what failed, and the milliseconds until the next attempt. */
  onRetry?: ((error: PeerError, milliseconds: number) => void) | undefined;
}

/**
 * @param progress a number that grows with what was achieved; earlier failures then no longer count
 * @throws what the last attempt threw; PeerError ERR_ABORTED
 */
export async function retrying(
  attempt: () => Promise<void>,
  progress: () => number,
  options: RetryOptions = {},
): Promise<void> {
  const { retries = 0, backoff: wanted, onRetry } = options;
  const signal = signalOf(options);
  const policy = { ...RETRY_BACKOFF, ...wanted };
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
      if (failures > retries || !isTransient(error)) throw error;
      const milliseconds = backoff(failures, policy, Math.random());
      onRetry?.(error, milliseconds);
      await pause(milliseconds, signal);
      if (signal?.aborted === true) throw abortError(signal);
    }
  }
}
