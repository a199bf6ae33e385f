/** Looks whether the other side gives the answers that it owes. */

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
  /** What was left of the body at the last look. */
  #bodyLeft = 0;

  constructor(timeout: number, watched: AnswerWatched) {
    this.#timeout = timeout;
    this.#watched = watched;
  }

  /** Something was asked, or came that was owed, or can be taken again. What was not asked for is not. */
  update(): void {
    if (!this.#watched.owed()) {
      this.stop();
      return;
    }
    this.#lastProgress = performance.now();
    this.#timer ??= setTimeout(this.#look, this.#timeout);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    // A body's bytes are counted by what is left of them, without a call for each.
    const left = this.#watched.bodyLeft();
    if (left !== this.#bodyLeft) this.#lastProgress = performance.now();
    this.#bodyLeft = left;
    const idle = performance.now() - this.#lastProgress;
    if (idle + 1 < this.#timeout) this.#timer = setTimeout(this.#look, this.#timeout - idle);
    else this.#watched.onSilence();
  };
}
