/** What is wrong with single files: a peer may list a million of them, and stderr is read by people. */
import { printable } from '../../lib/support/printable.js';

/** Lines that are said, and characters of one. */
const LINES = 10;
const CHARACTERS = 500;

export class Complaints {
  readonly #say: (line: string) => void;
  #count = 0;

  /** @param say a line on stderr */
  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  /** Say it of a file, if not too much has been said already. */
  add(path: string, what: string): void {
    if (++this.#count > LINES) return;
    // The end of a path says more than its begin, the begin of an error more than its end.
    this.#say(`p2p-fetch: ${cut(path, true)}: ${cut(what, false)}`);
  }

  /** Say how many more there were; once. */
  end(): void {
    if (this.#count > LINES) this.#say(`p2p-fetch: ${this.#count - LINES} more files failed`);
    this.#count = 0;
  }
}

function cut(text: string, fromStart: boolean): string {
  const shown = printable(text);
  const most = CHARACTERS / 2;
  if (shown.length <= most) return shown;
  // By UTF-16 units: half a character at the cut is written as U+FFFD.
  return fromStart ? `…${shown.slice(1 - most)}` : `${shown.slice(0, most - 1)}…`;
}
