/** Keys that are due later, each after a pause of its own; told in batches. */

/** Milliseconds to which pauses are rounded up, so that what is due at about the same time comes together. */
const STEP = 50;

export class DelayQueue<T> {
  readonly #onDue: (due: ReadonlyMap<string, T>) => Promise<void>;
  readonly #waiting = new Map<string, { step: number; value: T }>();
  /** Keys by when they are due: as many entries as pauses have steps, however many keys wait. */
  readonly #steps = new Map<number, Set<string>>();
  #timer: NodeJS.Timeout | undefined;
  /** The step that the timer waits for. */
  #next = Infinity;
  #isDelivering = false;
  #closed = false;

  /** @param onDue told the keys that are due; those that come due meanwhile are told after it */
  constructor(onDue: (due: ReadonlyMap<string, T>) => Promise<void>) {
    this.#onDue = onDue;
  }

  /** @param pause milliseconds from now; instead of the pause that the key had */
  add(key: string, pause: number, value: T): void {
    this.delete(key);
    const step = Math.ceil((Date.now() + pause) / STEP);
    this.#waiting.set(key, { step, value });
    const keys = this.#steps.get(step);
    if (keys === undefined) this.#steps.set(step, new Set([key]));
    else keys.add(key);
    if (step < this.#next) this.#wait(step);
  }

  delete(key: string): void {
    const entry = this.#waiting.get(key);
    if (entry === undefined) return;
    this.#waiting.delete(key);
    const keys = this.#steps.get(entry.step);
    keys?.delete(key);
    if (keys?.size === 0) this.#steps.delete(entry.step);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #wait(step: number): void {
    if (this.#closed || this.#isDelivering) return;
    this.#next = step;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#deliver(), Math.max(0, step * STEP - Date.now()));
  }

  async #deliver(): Promise<void> {
    this.#isDelivering = true;
    const now = Date.now() / STEP;
    const due = new Map<string, T>();
    for (const [step, keys] of this.#steps) {
      if (step > now) continue;
      this.#steps.delete(step);
      for (const key of keys) {
        const entry = this.#waiting.get(key);
        if (entry !== undefined) due.set(key, entry.value);
        this.#waiting.delete(key);
      }
    }
    await this.#onDue(due);
    this.#isDelivering = false;
    this.#next = Infinity;
    if (this.#steps.size > 0) this.#wait(Math.min(...this.#steps.keys()));
  }
}
