/** Whatever must make progress has a deadline: so many bytes within so long, again and again. */
import { systemClock, type Clock } from '../support/clock.js';

/** Looks in the time after which there was no progress, where progress is not reported. */
const LOOKS = 12;
/**
 * Milliseconds from the end of the time to the look that decides: when this process was busy, or stopped,
 * for longer than the time, what has come meanwhile is read in between.
 */
const SECOND_LOOK = 100;

/** What a look finds: progress, none, or that nothing is waited for any more. */
export type LookResult = 'progress' | 'nothing' | 'done';

export interface DeadlineOptions {
  /** Milliseconds without progress. */
  timeout: number;
  /** Bytes that count as progress when they have come together. @default 1 */
  least?: number | undefined;
  /** Called a dozen times in the timeout: finds the progress that is not reported. */
  look?: (() => Promise<LookResult>) | undefined;
  /** Called once for every `start`. */
  onExpired: () => void;
  clock?: Clock | undefined;
}

export class Deadline {
  readonly #options: DeadlineOptions;
  readonly #clock: Clock;
  /** Cancels the next look; undefined while nothing is waited for. */
  #cancel: (() => void) | undefined;
  #closed = false;
  /** When there was progress last, and the bytes that have come since. */
  #since = 0;
  #bytes = 0;

  constructor(options: DeadlineOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  get running(): boolean {
    return this.#cancel !== undefined;
  }

  /**
   * Something is waited for from now on. Changes nothing when something was waited for already.
   *
   * @param since when the wait began, by the clock @default now
   */
  start(since = this.#clock.now()): void {
    if (this.#cancel !== undefined || this.#closed) return;
    this.progress();
    this.#since = since;
    this.#wait(Math.max(0, since + this.#options.timeout - this.#clock.now()));
  }

  /** Something has come. @param bytes of it; by default it is progress by itself */
  progress(bytes = Infinity): void {
    this.#bytes += bytes;
    if (this.#bytes < (this.#options.least ?? 1)) return;
    this.#bytes = 0;
    this.#since = this.#clock.now();
  }

  /** Nothing is waited for any more. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Nothing will ever be waited for again. */
  close(): void {
    this.#closed = true;
    this.stop();
  }

  #wait(ms: number, again = false): void {
    const { timeout, look } = this.#options;
    const cancel = this.#clock.after(
      look === undefined ? ms : Math.min(ms, timeout / LOOKS),
      () => {
        if (look === undefined) this.#judge(again);
        else void this.#lookFirst(look, again, cancel);
      },
    );
    this.#cancel = cancel;
  }

  async #lookFirst(
    look: () => Promise<LookResult>,
    again: boolean,
    run: () => void,
  ): Promise<void> {
    const found = await look();
    // It was stopped meanwhile, and perhaps started anew.
    if (this.#cancel !== run) return;
    if (found === 'progress') this.progress();
    if (found === 'done') this.stop();
    else this.#judge(again);
  }

  #judge(again: boolean): void {
    const { timeout, onExpired } = this.#options;
    const left = this.#since + timeout - this.#clock.now();
    // A timer may be a little early.
    if (left > 1) {
      this.#wait(left);
    } else if (again) {
      this.stop();
      onExpired();
    } else {
      this.#wait(SECOND_LOOK, true);
    }
  }
}
