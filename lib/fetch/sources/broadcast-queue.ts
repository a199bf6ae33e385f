/** What comes one after the other, for several that each want all of it. */
export class BroadcastQueue<T> {
  readonly #items: T[] = [];
  readonly #iterator: AsyncIterator<T>;
  readonly #waiting = new Set<() => void>();
  #reads = false;
  #ended = false;
  #failure: { error: unknown } | undefined;

  constructor(items: AsyncIterable<T>) {
    this.#iterator = items[Symbol.asyncIterator]();
  }

  /** All that came, and what comes. @throws what the source of items threw */
  async *all(wanted: (item: T) => boolean): AsyncGenerator<T, void, void> {
    if (!this.#reads) void this.#read();
    for (let at = 0; ; at++) {
      while (at >= this.#items.length && !this.#ended) {
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
      const item = this.#items[at];
      if (item === undefined) break;
      if (wanted(item)) yield item;
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Nothing more is wanted. */
  close(): void {
    this.#end();
    // A generator that waits for something ends when that has come.
    void this.#iterator.return?.().catch(() => undefined);
  }

  async #read(): Promise<void> {
    this.#reads = true;
    try {
      while (!this.#ended) {
        const next = await this.#iterator.next();
        if (next.done === true) break;
        this.#items.push(next.value);
        this.#wake();
      }
    } catch (error) {
      this.#failure = { error };
    }
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#wake();
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
