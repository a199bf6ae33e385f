/** The source of time, which a test or a benchmark can replace. */

export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  now(): number;
  /** Call `action` after so many milliseconds. @returns cancels it */
  after(ms: number, action: () => void): () => void;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, action) => {
    const timer = setTimeout(action, ms);
    return () => {
      clearTimeout(timer);
    };
  },
};
