/** What is being done, on stderr: a line that changes on a terminal, else a line for each subject. */
import type { WriteStream } from 'node:tty';

/** Milliseconds between two changes of the seconds that have passed. */
const TICK = 1000;

export class ProgressLine {
  readonly #out: WriteStream;
  readonly #subjects: number;
  readonly #begin = performance.now();
  #number = 0;
  #subject = '';
  #what = '';
  #clock: NodeJS.Timeout | undefined;

  /** @param subjects how many there will be */
  constructor(subjects: number, out = process.stderr) {
    this.#out = out;
    this.#subjects = subjects;
  }

  begin(subject: string): void {
    this.#number++;
    this.#subject = subject;
    this.#what = '';
    if (!this.#out.isTTY) {
      this.#out.write(`${this.#place()}\n`);
      return;
    }
    this.#draw();
    this.#clock = setInterval(() => {
      this.#draw();
    }, TICK);
  }

  say(what: string): void {
    this.#what = what;
    if (this.#clock !== undefined) this.#draw();
  }

  /** Take the line away, so that something else can be printed. */
  clear(): void {
    clearInterval(this.#clock);
    this.#clock = undefined;
    if (this.#out.isTTY) this.#out.write('\r\u001b[K');
  }

  #place(): string {
    return `[${this.#number}/${this.#subjects}] ${this.#subject}`;
  }

  #draw(): void {
    const seconds = Math.floor((performance.now() - this.#begin) / 1000);
    const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
    const line = [time, this.#place(), this.#what].filter(Boolean).join('  ');
    this.#out.write(`\r\u001b[K${line.slice(0, this.#out.columns - 1)}`);
  }
}
