/**
 * Looks whether what the other side begins to say comes to its end: a connection that has said nothing
 * whole, or is in the middle of a frame, holds a place and perhaps the memory of the frame.
 */
import { systemClock, type Clock } from '../support/clock.js';

/** Milliseconds until the first frame of a peer that connects is whole, unless told otherwise. */
export const FIRST_FRAME_TIMEOUT = 10_000;
/** Milliseconds in which a frame that has begun is whole, or has grown by so many bytes. */
export const FRAME_TIMEOUT = 8_000;
export const FRAME_PROGRESS = 4096;
/**
 * Milliseconds from a look that finds no progress to the one that counts: when this process was busy, or
 * stopped, for longer than that, what has come meanwhile is read in between.
 */
const SECOND_LOOK = 100;

export interface FrameWatched {
  /** Frames that have come, whole. */
  readonly frames: number;
  /** Bytes that have come of one that is not; 0 when none has begun. */
  readonly partial: number;
}

export interface FrameTimes {
  /** Milliseconds until the first frame; undefined: none need come. */
  first: number | undefined;
  /** Milliseconds in which a frame ends or grows. */
  frame: number;
  /** Told once, with what was waited for and for how many milliseconds. */
  onLate: (what: string, ms: number) => void;
  clock?: Clock | undefined;
}

export class FrameWatch {
  readonly #watched: FrameWatched;
  readonly #times: FrameTimes;
  readonly #clock: Clock;
  #cancelFirst: (() => void) | undefined;
  /** Forgets the next look; undefined while no frame is watched. */
  #cancel: (() => void) | undefined;
  #stopped = false;
  /** Of the frame that is watched: its number, and since when it has had so many bytes. */
  #frame = -1;
  #since = 0;
  #bytes = 0;

  constructor(watched: FrameWatched, times: FrameTimes) {
    this.#watched = watched;
    this.#times = times;
    this.#clock = times.clock ?? systemClock;
    const { first } = times;
    if (first === undefined) return;
    this.#cancelFirst = this.#clock.after(first, () => {
      this.#cancelFirst = this.#clock.after(SECOND_LOOK, () => {
        if (watched.frames === 0) this.#late('said nothing', first);
      });
    });
  }

  /** What was read ends inside a frame. */
  readonly begun = (): void => {
    const { frames, partial } = this.#watched;
    if (this.#stopped || frames === this.#frame) return;
    this.#frame = frames;
    this.#since = this.#clock.now();
    this.#bytes = partial;
    if (this.#cancel === undefined) this.#lookIn(this.#times.frame);
  };

  stop(): void {
    this.#stopped = true;
    this.#cancelFirst?.();
    this.#cancel?.();
  }

  #lookIn(ms: number, again = false): void {
    this.#cancel = this.#clock.after(ms, () => {
      this.#look(again);
    });
  }

  #look(again: boolean): void {
    const { frames, partial } = this.#watched;
    this.#cancel = undefined;
    if (partial === 0 || frames !== this.#frame) return;
    const left = this.#since + this.#times.frame - this.#clock.now();
    if (partial - this.#bytes >= FRAME_PROGRESS) {
      this.#since = this.#clock.now();
      this.#bytes = partial;
      this.#lookIn(this.#times.frame);
    } else if (left > 0) {
      this.#lookIn(left);
    } else if (again) {
      this.#late('did not end a frame', this.#times.frame);
    } else {
      this.#lookIn(SECOND_LOOK, true);
    }
  }

  #late(what: string, ms: number): void {
    this.stop();
    this.#times.onLate(what, ms);
  }
}
