/** What an error of a source means: for itself, and for the whole when no source is left. */
import { PeerError, isConnectionLoss, type ErrorCode } from '../../errors.js';
import { backoff, type Backoff } from '../../support/backoff.js';

/** How a source ended. */
export interface SourceFailure {
  /** `host:port`. */
  readonly name: string;
  readonly error: PeerError;
}

/** After a lost connection; and when the source is busy. */
const LOST_BACKOFF: Backoff = { base: 250 };
const BUSY_BACKOFF: Backoff = { base: 1000 };
/** Attempts in a row that bring nothing. */
const MAX_ATTEMPTS = 5;

/**
 * @param attempts how many in a row have brought nothing, from 1
 * @param delivered whether it ever gave a block
 * @returns milliseconds until the source is dialled again; undefined: it is dropped
 */
export function pauseBeforeRetry(
  error: PeerError,
  attempts: number,
  delivered: boolean,
): number | undefined {
  if (attempts > MAX_ATTEMPTS) return undefined;
  if (error.code === 'ERR_BUSY') return backoff(attempts, BUSY_BACKOFF, Math.random());
  if (delivered && isConnectionLoss(error)) return backoff(attempts, LOST_BACKOFF, Math.random());
  return undefined;
}

/** The errors that may pass come first: of several the first of this list is reported. */
const RANK: readonly ErrorCode[] = [
  'ERR_CLOSED',
  'ERR_TIMED_OUT',
  'ERR_BUSY',
  'ERR_MISMATCH',
  'ERR_MALFORMED',
  'ERR_RANGE',
  'ERR_HASHING',
  'ERR_CHANGED',
  'ERR_NOT_FOUND',
];

/** The error of a download when no source is left. */
export function noneLeft(failures: readonly SourceFailure[]): PeerError {
  const rank = ({ error }: SourceFailure): number => {
    const place = RANK.indexOf(error.code);
    return place === -1 ? RANK.length : place;
  };
  const [worst] = [...failures].sort((a, b) => rank(a) - rank(b));
  if (worst === undefined) return new PeerError('ERR_NOT_FOUND', 'no peer to fetch from');
  const { error } = worst;
  if (failures.length === 1) return error;
  const text = `${error.message}; no source is left of ${failures.length}`;
  return new PeerError(error.code, text, { cause: error });
}
