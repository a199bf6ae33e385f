/** How much each asker may ask: a token bucket, and a number of searches under way. */
import type { RelayLimits } from './limits.js';

type Key = object | string;

interface Account {
  /** Searches it may begin now. */
  tokens: number;
  /** When they were counted, in milliseconds. */
  at: number;
  /** Searches under way. */
  open: number;
}

export class Askers {
  readonly #limits: Readonly<RelayLimits>;
  /** Those that asked last are last. */
  readonly #accounts = new Map<Key, Account>();
  #open = 0;

  constructor(limits: Readonly<RelayLimits>) {
    this.#limits = limits;
  }

  /** Searches under way, for all. */
  get open(): number {
    return this.#open;
  }

  /** Askers that are remembered. */
  get size(): number {
    return this.#accounts.size;
  }

  /** Whether an asker may ask now; it has asked then. @param now milliseconds */
  admits(key: Key, now: number): boolean {
    const { rate, burst, askers } = this.#limits;
    this.#forget(now);
    const account = this.#accounts.get(key) ?? { tokens: burst, at: now, open: 0 };
    if (!this.#accounts.delete(key) && this.#accounts.size >= askers) return false;
    this.#accounts.set(key, account);
    account.tokens = Math.min(burst, account.tokens + ((now - account.at) * rate) / 1000);
    account.at = now;
    if (account.tokens < 1) return false;
    account.tokens--;
    return true;
  }

  /** Whether an asker that was admitted may have one more search under way; it has it then. */
  begins(key: Key): boolean {
    const account = this.#accounts.get(key);
    if (account === undefined || account.open >= this.#limits.openPerAsker) return false;
    if (this.#open >= this.#limits.open) return false;
    account.open++;
    this.#open++;
    return true;
  }

  /** A search that began is over. */
  ends(key: Key): void {
    const account = this.#accounts.get(key);
    if (account !== undefined) account.open--;
    this.#open--;
  }

  /** Those that have asked nothing for so long that they may ask as if for the first time. */
  #forget(now: number): void {
    const { rate, burst } = this.#limits;
    for (const [key, { at, open }] of this.#accounts) {
      if (open > 0 || (now - at) * rate < burst * 1000) return;
      this.#accounts.delete(key);
    }
  }
}
