/** Exponential backoff with jitter: how long to wait before the next attempt. The only one in lib/. */
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Backoff {
  /** Milliseconds before the first new attempt. */
  readonly base: number;
  /** Each further pause is so many times as long. @default 2 */
  readonly factor?: number | undefined;
  /** Milliseconds; no pause is longer, before the jitter. @default none */
  readonly cap?: number | undefined;
  /**
   * The part of a pause that is random: 0.5 is from half to one and a half times as long. Clients that
   * lost one server at the same moment must not come back at the same moment. @default 0.5
   */
  readonly jitter?: number | undefined;
}

/**
 * Milliseconds before the next attempt.
 *
 * @param failures in a row, from 1
 * @param random from 0 to 1, as Math.random gives it
 */
export function backoff(
  failures: number,
  { base, factor = 2, cap = Infinity, jitter = 0.5 }: Backoff,
  random: number,
): number {
  return Math.min(cap, base * factor ** (failures - 1)) * (1 + jitter * (2 * random - 1));
}

/** Resolves after so many milliseconds, or at once when the signal is aborted. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  if (signal !== undefined) setMaxListeners(0, signal);
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}
