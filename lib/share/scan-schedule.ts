/** When the folder is scanned: one scan at a time, now and then, on demand, and after many changes. */

/** Milliseconds after the last of many changes, until a scan looks for what was lost. */
const AFTER_BURST = 500;
/** Milliseconds between scans where the folder cannot be watched; more when a scan takes long. */
const POLL = 10_000;
/** Pauses between such scans take at least so many times as long as a scan. */
const POLL_FACTOR = 10;
/** The longest that setTimeout can wait, in milliseconds. */
const MAX_TIMER = 2 ** 31 - 1;

export interface ScanScheduleOptions {
  /** Milliseconds between scans where nothing else asks for one. */
  every: number;
  /** Scan the folder. Must not reject. */
  scan: () => Promise<void>;
  /** A scan has ended, and no other follows at once. */
  onEnd: () => void;
}

export class ScanSchedule {
  readonly #options: ScanScheduleOptions;
  /** The scan that is under way, and whether another is wanted after it. */
  #scanning: Promise<void> | undefined;
  #again = false;
  /** How many milliseconds the last one took. */
  #took = 0;
  #timer: NodeJS.Timeout | undefined;
  #burstTimer: NodeJS.Timeout | undefined;
  #isPolling = false;
  #closed = false;

  constructor(options: ScanScheduleOptions) {
    this.#options = options;
  }

  get isScanning(): boolean {
    return this.#scanning !== undefined;
  }

  /** Whether scans take the place of a watch. */
  set isPolling(isPolling: boolean) {
    this.#isPolling = isPolling;
    this.#wait();
  }

  /** Scan now, or when the scan that is under way has ended. @param scan another way, for the first time */
  request(scan = this.#options.scan): void {
    if (this.#closed) return;
    if (this.#scanning !== undefined) {
      this.#again = true;
      return;
    }
    const began = performance.now();
    this.#scanning = scan().then(() => {
      this.#scanning = undefined;
      this.#took = performance.now() - began;
      this.#wait();
      if (this.#again) {
        this.#again = false;
        this.request();
      } else {
        this.#options.onEnd();
      }
    });
  }

  /** Something was seen changed. @param isBurst with so much else that some of it may have been lost */
  onChange(isBurst: boolean): void {
    if (!isBurst && this.#burstTimer === undefined) return;
    clearTimeout(this.#burstTimer);
    this.#burstTimer = setTimeout(() => {
      this.#burstTimer = undefined;
      this.request();
    }, AFTER_BURST);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#burstTimer);
    await this.#scanning;
  }

  /** A pause after each scan, so that a slow disk is not scanned all the time. */
  #wait(): void {
    clearTimeout(this.#timer);
    if (this.#closed) return;
    const { every } = this.#options;
    const pause = this.#isPolling
      ? Math.min(every, Math.max(POLL, POLL_FACTOR * this.#took))
      : every;
    this.#timer = setTimeout(
      () => {
        this.request();
        // In case nothing can be scanned now.
        this.#wait();
      },
      Math.min(pause, MAX_TIMER),
    );
  }
}
