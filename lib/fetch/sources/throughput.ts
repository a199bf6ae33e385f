/** How fast a source is, and how much to ask of it at once. Pure: bytes and time come from outside. */
import { BLOCK_BYTES } from '../../wire/body.js';

/** Share of the newest sample in the mean. */
const WEIGHT = 0.3;
/** Milliseconds that make a sample, at least; a round trip, if that is longer, up to so many. */
const SAMPLE = 20;
const MAX_SAMPLE = 1000;

/** The exponentially weighted mean of a source's rate while it owes something. */
export class Throughput {
  #bytes = 0;
  #milliseconds = 0;
  #rate: number | undefined;

  /** Blocks per second; undefined until there is a sample. */
  get rate(): number | undefined {
    return this.#rate;
  }

  /**
   * What came while so much time passed.
   *
   * @param roundTrip milliseconds from a request to its answer
   * @param waiting blocks that are asked for. When they are no more than what comes in two round trips, the
   *   source sends all it is asked for: a higher rate then counts at once, so that more is asked for.
   */
  add(bytes: number, milliseconds: number, roundTrip = 0, waiting = Infinity): void {
    this.#bytes += bytes;
    this.#milliseconds += milliseconds;
    const delay = Math.min(roundTrip, MAX_SAMPLE);
    if (this.#milliseconds < Math.max(SAMPLE, delay)) return;
    const sample = this.#bytes / BLOCK_BYTES / (this.#milliseconds / 1000);
    const isWaitedFor = waiting > 2 * sample * (delay / 1000);
    if (this.#rate === undefined || (sample > this.#rate && !isWaitedFor)) this.#rate = sample;
    else this.#rate += WEIGHT * (sample - this.#rate);
    this.#bytes = 0;
    this.#milliseconds = 0;
  }
}

/** Ranges under way at a source, so that a link with delay is never idle. */
export const RANGES_AHEAD = 3;
/** Seconds that a range takes. */
const RANGE_SECONDS = 0.3;
/** Blocks of a range at most. */
const MAX_RANGE = 64;
/** Ranges that fill the window: those under way, and what has come but not all before it. */
const RANGES_A_WINDOW = 8;
/** Ranges are under way so many blocks at least: a source for which the window is shorter holds it up. */
const MIN_SHARE = 4;
/** The smallest window, in blocks: of use to the fastest source at least. */
export const MIN_WINDOW = 8;

export interface Measures {
  /** Blocks per second of the source; undefined: not known. */
  rate: number | undefined;
  /** The same of the fastest source, and of all at work together. */
  fastest: number;
  total: number;
  /** Blocks that may be under way at all sources together, or have come and wait for their turn. */
  window: number;
  /** Ranges that the source has delivered. */
  ranges: number;
}

/** Blocks of the next range for a source; 0: it is too slow to be of use beside the others. */
export function rangeOf({ rate, fastest, total, window, ranges }: Measures): number {
  const most = Math.max(1, Math.min(MAX_RANGE, Math.floor(window / RANGES_A_WINDOW)));
  // Not measured: twice as much each time.
  if (rate === undefined) return Math.min(most, 2 ** Math.min(ranges, 10));
  if (window === Infinity || fastest === 0) return clamp(rate * RANGE_SECONDS, most);
  // A block that it takes longer for than the others for the window would make them wait.
  if ((window * rate) / fastest < MIN_SHARE) return 0;
  return clamp(Math.min(rate * RANGE_SECONDS, (window * rate) / total / RANGES_A_WINDOW), most);
}

function clamp(blocks: number, most: number): number {
  return Math.max(1, Math.floor(Math.min(most, blocks)));
}
