/** A map of bounded size whose entries expire. Each operation takes constant time on average. */
export class ExpiringMap<V> {
  /** In the order in which they were set. */
  readonly #entries = new Map<string, { value: V; expires: number }>();
  readonly #max: number;
  readonly #lifetime: number;
  readonly #now: () => number;

  /**
   * @param max entries; the oldest is removed when there are more
   * @param lifetime milliseconds an entry stays, unless `set` is told otherwise
   */
  constructor(max: number, lifetime: number, now: () => number = () => performance.now()) {
    this.#max = max;
    this.#lifetime = lifetime;
    this.#now = now;
  }

  /** Entries, those included that have expired and were not removed yet. */
  get size(): number {
    return this.#entries.size;
  }

  get(key: string): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (entry.expires > this.#now()) return entry.value;
    this.#entries.delete(key);
    return undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  set(key: string, value: V, lifetime = this.#lifetime): void {
    const now = this.#now();
    // Behind all others again: the order is that of age.
    this.#entries.delete(key);
    this.#entries.set(key, { value, expires: now + lifetime });
    for (const [oldest, { expires }] of this.#entries) {
      if (expires > now && this.#entries.size <= this.#max) return;
      this.#entries.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#entries.delete(key);
  }
}
