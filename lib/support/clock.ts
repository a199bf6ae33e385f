/** Time that can be handed in, so that a test or a benchmark can make it pass as it likes. */

export interface Clock {
  /** Milliseconds since some moment; never goes back. */
  now(): number;
  /** Call `action` after so many milliseconds. @returns forgets it */
  after(ms: number, action: () => void): () => void;
}

/** The time of this machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (ms, action) => {
    const timer = setTimeout(action, ms);
    return () => {
      clearTimeout(timer);
    };
  },
};
