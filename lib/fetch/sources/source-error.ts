/** What an error of a source means: for itself, and for the whole when no source is left. */
import { PeerError, type ErrorCode } from '../../errors.js';

/** How a source ended. */
export interface SourceErrorEffect {
  /** `host:port`. */
  readonly name: string;
  readonly error: PeerError;
}

/** It sent what cannot be right: it is not asked again. */
const LIES: ReadonlySet<ErrorCode> = new Set(['ERR_MISMATCH', 'ERR_MALFORMED']);
/** The connection broke, or did not come about: the next may hold. */
const LOST: ReadonlySet<ErrorCode> = new Set(['ERR_CLOSED', 'ERR_TIMED_OUT', 'ERR_UNREACHABLE']);

/** Milliseconds before the first new try after a lost connection, and when the source is busy. */
const PAUSE = 250;
const BUSY_PAUSE = 1000;
/** Tries one after the other that bring nothing. */
const TRIES = 5;

export function isLie({ code }: PeerError): boolean {
  return LIES.has(code);
}

/**
 * @param tries how many have brought nothing, this one included; 1 or more
 * @param worked whether it ever gave a block
 * @returns milliseconds until the source is tried again; undefined when it is not
 */
export function pauseAfter(
  { code }: PeerError,
  tries: number,
  worked: boolean,
): number | undefined {
  if (tries > TRIES) return undefined;
  if (code === 'ERR_BUSY') return BUSY_PAUSE * 2 ** (tries - 1);
  if (worked && LOST.has(code)) return PAUSE * 2 ** (tries - 1);
  return undefined;
}

/** What matters most of several errors comes first: what may be otherwise the next time. */
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
export function noneLeft(outcomes: readonly SourceErrorEffect[]): PeerError {
  const rank = ({ error }: SourceErrorEffect): number => {
    const place = RANK.indexOf(error.code);
    return place === -1 ? RANK.length : place;
  };
  const [worst] = [...outcomes].sort((a, b) => rank(a) - rank(b));
  if (worst === undefined) return new PeerError('ERR_NOT_FOUND', 'nobody to fetch from');
  const { error } = worst;
  if (outcomes.length === 1) return error;
  const text = `${error.message}; no source is left of ${outcomes.length}`;
  return new PeerError(error.code, text, { cause: error });
}

/** Resolves after so many milliseconds, or when the signal is aborted. */
export function waitFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
  });
}
