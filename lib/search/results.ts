/** A search of one's own as an async iterable: results as they come, then counts. */
import { randomBytes } from 'node:crypto';
import { PeerError, abortError } from '../errors.js';
import { MAX_QUERY_BYTES, QUERY_ID_BYTES, isHex32 } from '../wire/limits.js';
import { onAbort, signalOf } from '../support/signal.js';
import type { FileList, FileMatch, PeerContact, SearchEnd, Wanted } from '../wire/messages.js';
import type { OwnSearchEvents, SearchSettings } from './relay.js';

/** What one peer has of what was searched for. */
export interface SearchResult {
  peer: PeerContact;
  /** Hops between the peer that was asked first and this one. */
  hops: number;
  /** Matches in all at this peer; `files` may hold fewer. */
  total: number;
  /** Best first. */
  files: readonly FileMatch[];
}

/** How a search ended. */
export interface SearchSummary {
  /** Peers asked, those that answered, those that had not when the time was over. */
  asked: number;
  answered: number;
  late: number;
  /** Times that the search came to a peer that had it already. */
  duplicates: number;
}

export interface NetworkSearchOptions {
  /** Hops from peer to peer, 0 to 7. @default 4 */
  ttl?: number | undefined;
  /** Milliseconds until the search ends at the latest. @default 5000 */
  timeout?: number | undefined;
  /** Ends the search: the iteration throws. */
  signal?: AbortSignal | null | undefined;
  /** Told at the end, if the iteration gets that far. */
  onEnd?: ((summary: SearchSummary) => void) | undefined;
}

/** Starts a search, tells what comes. @returns ends it */
export type StartSearch = (settings: SearchSettings, on: OwnSearchEvents) => () => void;

/** Milliseconds, when nothing else is said; and at most. */
const TIMEOUT = 5000;
export const MAX_TIMEOUT = 60_000;
export const MAX_HOPS = 7;
const HOPS = 4;

/** A random search id, as 32 lower-case hex digits. */
export function newQueryId(): string {
  return randomBytes(QUERY_ID_BYTES).toString('hex');
}

/** A name to look for, or a hash. @throws PeerError ERR_USAGE */
export function wantedOf(what: string | { hash: string }): Wanted {
  if (typeof what !== 'string') {
    if (isHex32(what.hash)) return { hash: what.hash };
    throw new PeerError('ERR_USAGE', 'a hash is 64 hexadecimal digits (0-9, a-f)');
  }
  if (Buffer.byteLength(what) > MAX_QUERY_BYTES) {
    throw new PeerError('ERR_USAGE', `a search is at most ${MAX_QUERY_BYTES} bytes`);
  }
  return { query: what };
}

/**
 * Iterate over what a search brings. Leaving the loop ends the search.
 *
 * @param own the first peer asked, which answers for itself
 * @param closed ends the search, too: the iteration throws its reason
 * @throws PeerError ERR_USAGE, ERR_ABORTED
 */
export async function* results(
  options: NetworkSearchOptions,
  own: () => PeerContact,
  start: StartSearch,
  closed?: AbortSignal,
): AsyncGenerator<SearchResult, void, void> {
  const signals = [signalOf(options), closed].filter((signal) => signal !== undefined);
  const aborted = (): AbortSignal | undefined => signals.find((signal) => signal.aborted);
  const settings = {
    ttl: within('ttl', options.ttl ?? HOPS, 0, MAX_HOPS),
    timeout: within('timeout', options.timeout ?? TIMEOUT, 1, MAX_TIMEOUT),
  };
  throwIf(aborted());
  const queue: SearchResult[] = [];
  let end: SearchEnd | undefined;
  let wake = (): void => undefined;
  const forgets = signals.map((signal) =>
    onAbort(signal, () => {
      wake();
    }),
  );
  const stop = start(settings, {
    files: ({ total, files }: FileList) => {
      if (files.length > 0) queue.push({ peer: own(), hops: 0, total, files });
      wake();
    },
    third: ({ peer, hops, total, files }) => {
      queue.push({ peer, hops, total, files });
      wake();
    },
    end: (counts) => {
      end = counts;
      wake();
    },
  });
  try {
    for (;;) {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) yield next;
      throwIf(aborted());
      if (end !== undefined) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
        // Something may have come while the last result was looked at.
        if (queue.length > 0 || end !== undefined || aborted() !== undefined) resolve();
      });
    }
  } finally {
    for (const forget of forgets) forget();
    stop();
  }
  const { asked, answered, timedOut: late, duplicates } = end;
  options.onEnd?.({ asked, answered, late, duplicates });
}

function throwIf(aborted: AbortSignal | undefined): void {
  if (aborted !== undefined) throw abortError(aborted);
}

function within(name: string, value: number, min: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw new PeerError('ERR_USAGE', `${name} is a whole number from ${min} to ${max}`);
}
