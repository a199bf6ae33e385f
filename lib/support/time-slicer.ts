/** Long work on the event loop, cut into pieces short enough not to delay others. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Milliseconds of work before the event loop has its turn. */
const SLICE = 8;

/** The current slice: to be checked between two steps. */
export class TimeSlicer {
  #began = performance.now();

  /** Whether the slice is over. */
  get over(): boolean {
    return performance.now() - this.#began >= SLICE;
  }

  /** Let the event loop run, then begin the next slice. */
  async next(): Promise<void> {
    await nextTurn();
    this.#began = performance.now();
  }
}

/** Call a function with each item, in slices; stops early when the signal is aborted. */
export async function inSlices<T>(
  items: Iterable<T>,
  signal: AbortSignal,
  act: (item: T) => void,
): Promise<void> {
  const slices = new TimeSlicer();
  for (const item of items) {
    if (slices.over) {
      await slices.next();
      if (signal.aborted) return;
    }
    act(item);
  }
}
