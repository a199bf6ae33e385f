/** AbortSignals as callers give them: for one call, many calls with one signal, `null` like none. */
import { setMaxListeners } from 'node:events';
import { abortError } from '../errors.js';

export interface AbortOptions {
  /** Ends this call, and no other. `null` is like none, as in WebIDL. */
  signal?: AbortSignal | null | undefined;
}

/** The signal of a call. */
export function signalOf({ signal }: AbortOptions): AbortSignal | undefined {
  return signal ?? undefined;
}

/** Does something when a signal is aborted, or at once if it was. @returns forgets it */
export function onAbort(
  signal: AbortSignal | undefined,
  act: (signal: AbortSignal) => void,
): () => void {
  if (signal === undefined) return () => undefined;
  const listener = (): void => {
    act(signal);
  };
  if (signal.aborted) {
    listener();
    return () => undefined;
  }
  // Node warns of a leak at eleven listeners, but a thousand calls may share a signal.
  setMaxListeners(0, signal);
  signal.addEventListener('abort', listener, { once: true });
  return () => {
    signal.removeEventListener('abort', listener);
  };
}

/** A promise's result, or the abort if that comes first. @throws PeerError ERR_ABORTED */
export async function unlessAborted<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return promise;
  let forget = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    forget = onAbort(signal, () => {
      reject(abortError(signal));
    });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    forget();
  }
}
