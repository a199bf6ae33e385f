/** Files to look at again later: those that are being written, and those that keep changing. */

/** Milliseconds between looks at what is due. */
const EVERY = 50;

interface Revisit {
  /** When, by Date.now(). */
  due: number;
  /** Times in a row that the file was found changing. */
  tries: number;
}

export class Revisits {
  readonly #visits = new Map<string, Revisit>();
  readonly #onDue: (due: ReadonlyMap<string, number>) => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param onDue told the paths that are due, and their tries */
  constructor(onDue: (due: ReadonlyMap<string, number>) => Promise<void>) {
    this.#onDue = onDue;
  }

  /** @param pause milliseconds from now */
  add(path: string, pause: number, tries: number): void {
    this.#visits.set(path, { due: Date.now() + pause, tries });
    this.#wait();
  }

  delete(path: string): void {
    this.#visits.delete(path);
  }

  /** Whether a file waits that was found changing, but fewer than so many times. */
  someBelow(tries: number): boolean {
    for (const visit of this.#visits.values()) {
      if (visit.tries > 0 && visit.tries < tries) return true;
    }
    return false;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #wait(): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      const now = Date.now();
      const due = new Map<string, number>();
      for (const [path, visit] of this.#visits) {
        if (visit.due > now) continue;
        this.#visits.delete(path);
        due.set(path, visit.tries);
      }
      void this.#onDue(due).then(() => {
        this.#timer = undefined;
        if (this.#visits.size > 0) this.#wait();
      });
    }, EVERY);
  }
}
