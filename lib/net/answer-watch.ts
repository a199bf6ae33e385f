/** Looks whether the other side gives the answers that it owes. */

/** Bytes of a body that must come in the time in which an answer must; or its end. */
export const BODY_PROGRESS = 1024;

export interface AnswerWatched {
  /** Whether the other side owes an answer and could send it: it is not us who cannot take more. */
  owed(): boolean;
  /** Bytes still to come of the body that is being received; 0 when there is none. */
  bodyLeft(): number;
  /** Nothing that was owed has come for so long. */
  onSilence(): void;
}

export class AnswerWatch {
  /** Milliseconds. */
  readonly #timeout: number;
  readonly #watched: AnswerWatched;
  #timer: NodeJS.Timeout | undefined;
  #lastProgress = 0;
  /** What was left of the body at the last progress. */
  #bodyLeft = 0;

  constructor(timeout: number, watched: AnswerWatched) {
    this.#timeout = timeout;
    this.#watched = watched;
  }

  /** Something came that was owed, or can be taken again. */
  update(): void {
    this.#lastProgress = performance.now();
    this.#bodyLeft = this.#watched.bodyLeft();
    this.asked();
  }

  /** Something was asked, or given up: that is no progress of what was asked before. */
  asked(): void {
    if (!this.#watched.owed()) {
      this.stop();
    } else if (this.#timer === undefined) {
      this.#lastProgress = performance.now();
      this.#bodyLeft = this.#watched.bodyLeft();
      this.#timer = setTimeout(this.#look, this.#timeout);
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    // A body's bytes are counted by what is left of them, without a call for each. More than before is
    // another body.
    const left = this.#watched.bodyLeft();
    if (left > this.#bodyLeft || this.#bodyLeft - left >= BODY_PROGRESS) {
      this.#lastProgress = performance.now();
      this.#bodyLeft = left;
    }
    const idle = performance.now() - this.#lastProgress;
    if (idle + 1 < this.#timeout) this.#timer = setTimeout(this.#look, this.#timeout - idle);
    else this.#watched.onSilence();
  };
}
