/** Long work on the event loop, cut into pieces that others hardly notice. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Milliseconds of work before others have their turn. */
const SLICE = 8;

/** The slice that is under way: to be looked at between two steps. */
export class TimeSlicer {
  #began = performance.now();

  /** Whether the slice is over. */
  get over(): boolean {
    return performance.now() - this.#began >= SLICE;
  }

  /** Give others their turn, and begin the next slice. */
  async next(): Promise<void> {
    await nextTurn();
    this.#began = performance.now();
  }
}

/** Do something with each of many, in slices; ends early when the signal is aborted. */
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
