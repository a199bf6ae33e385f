/**
 * A token bucket: what may be used at once after a pause, and how fast it comes back. Tokens may become
 * negative: something larger than the bucket is paid for afterwards.
 */
export class TokenBucket {
  readonly #rate: number;
  readonly #burst: number;
  #tokens: number;
  #filledAt: number;

  /**
   * @param rate tokens per second
   * @param burst tokens that it holds
   * @param now milliseconds
   * @param tokens in it at the beginning
   */
  constructor(rate: number, burst: number, now: number, tokens = burst) {
    this.#rate = rate;
    this.#burst = burst;
    this.#tokens = tokens;
    this.#filledAt = now;
  }

  /** Tokens that were there when it was last filled, less those spent since. */
  get tokens(): number {
    return this.#tokens;
  }

  /** When it was last filled, in milliseconds. */
  get filledAt(): number {
    return this.#filledAt;
  }

  /**
   * Add what was earned since the last time.
   *
   * @param now milliseconds
   * @param among how many share the rate and the size; each can hold one token at least
   */
  fill(now: number, among = 1): void {
    const earned = ((now - this.#filledAt) * this.#rate) / 1000 / among;
    this.#tokens = Math.min(Math.max(1, this.#burst / among), this.#tokens + earned);
    this.#filledAt = now;
  }

  spend(tokens = 1): void {
    this.#tokens -= tokens;
  }

  /** Milliseconds from the last filling until so many are there; 0: now. */
  wait(tokens: number): number {
    const needed = Math.min(tokens, this.#burst) - this.#tokens;
    return needed <= 0 ? 0 : Math.ceil((needed * 1000) / this.#rate);
  }

  /** Whether it would be full at this time. */
  isFull(now: number): boolean {
    return this.#tokens + ((now - this.#filledAt) * this.#rate) / 1000 >= this.#burst;
  }
}
