/** What was so a short while ago: a map of bounded size whose entries end by themselves. */
export class ExpiringMap<V> {
  readonly #entries = new Map<string, { value: V; until: number }>();
  readonly #max: number;
  readonly #lifetime: number;
  readonly #now: () => number;

  /**
   * @param max entries; the oldest goes when there are more
   * @param lifetime milliseconds an entry stays
   */
  constructor(max: number, lifetime: number, now: () => number) {
    this.#max = max;
    this.#lifetime = lifetime;
    this.#now = now;
  }

  /** Entries, those included that have ended since one was made. */
  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.until > this.#now()) return entry.value;
    this.#entries.delete(key);
    return undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  set(key: string, value: V): void {
    // Behind all others again: the order is that of age.
    this.#entries.delete(key);
    this.#entries.set(key, { value, until: this.#now() + this.#lifetime });
    const now = this.#now();
    for (const [oldest, { until }] of this.#entries) {
      if (until > now && this.#entries.size <= this.#max) return;
      this.#entries.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** Remove what has this value. */
  deleteValue(value: V): void {
    for (const [key, entry] of this.#entries) if (entry.value === value) this.#entries.delete(key);
  }
}
