/**
 * Limits each asker by a token bucket and a number of searches under way, and each client, over all its
 * connections, by the same limits a few times as large.
 */
import { TokenBucket } from '../limits/token-bucket.js';
import type { RelayLimits } from './limits.js';
import type { Asker } from './roles.js';

type AskerKey = Pick<Asker, 'key' | 'client'>;
type Key = object | string;

interface Account {
  /** Searches it may begin now. */
  readonly bucket: TokenBucket;
  /** Searches under way. */
  open: number;
  /** Refusals since then, in milliseconds. */
  refused: number;
  since: number;
}

/** Milliseconds over which refusals are counted. */
const REFUSALS_FOR = 10_000;

/** Accounts of one kind. */
class Accounts {
  readonly #rate: number;
  readonly #burst: number;
  readonly #open: number;
  readonly #max: number;
  /** Those that asked last are last. */
  readonly #accounts = new Map<Key, Account>();

  /** @param factor how much larger than for one asker everything is */
  constructor({ rate, burst, openPerAsker, askers }: Readonly<RelayLimits>, factor: number) {
    this.#rate = rate * factor;
    this.#burst = burst * factor;
    this.#open = openPerAsker * factor;
    this.#max = askers;
  }

  get size(): number {
    return this.#accounts.size;
  }

  get(key: Key): Account | undefined {
    return this.#accounts.get(key);
  }

  /** The account, brought up to date and made if need be; undefined when there are too many. */
  at(key: Key, now: number): Account | undefined {
    this.#forget(now);
    const account = this.#accounts.get(key) ?? {
      bucket: new TokenBucket(this.#rate, this.#burst, now),
      open: 0,
      refused: 0,
      since: now,
    };
    if (!this.#accounts.delete(key) && this.#accounts.size >= this.#max) return undefined;
    this.#accounts.set(key, account);
    account.bucket.fill(now);
    return account;
  }

  hasRoom(key: Key): boolean {
    const account = this.#accounts.get(key);
    return account !== undefined && account.open < this.#open;
  }

  /** Forget askers whose bucket is full again: a new account would be equal. */
  #forget(now: number): void {
    for (const [key, { bucket, open }] of this.#accounts) {
      if (open > 0 || !bucket.isFull(now)) return;
      this.#accounts.delete(key);
    }
  }
}

/** Count a refusal. @returns how many there were lately */
function refuse(account: Account | undefined, now: number): number {
  if (account === undefined) return 0;
  if (now - account.since > REFUSALS_FOR) {
    account.refused = 0;
    account.since = now;
  }
  return ++account.refused;
}

export class Askers {
  readonly #limits: Readonly<RelayLimits>;
  readonly #askers: Accounts;
  readonly #clients: Accounts;
  #open = 0;

  constructor(limits: Readonly<RelayLimits>) {
    this.#limits = limits;
    this.#askers = new Accounts(limits, 1);
    this.#clients = new Accounts(limits, limits.perClient);
  }

  /** Searches under way, for all. */
  get open(): number {
    return this.#open;
  }

  /** Askers that are remembered. */
  get size(): number {
    return this.#askers.size;
  }

  /** Whether an asker may ask now; it has asked then. @param now milliseconds */
  admits({ key, client }: AskerKey, now: number): boolean {
    const asker = this.#askers.at(key, now);
    if (asker === undefined || asker.bucket.tokens < 1) return false;
    const all = client === undefined ? undefined : this.#clients.at(client, now);
    if (client !== undefined && (all === undefined || all.bucket.tokens < 1)) return false;
    asker.bucket.spend();
    all?.bucket.spend();
    return true;
  }

  /** Whether an asker that was admitted may have one more search under way; it has it then. */
  begins({ key, client }: AskerKey): boolean {
    if (this.#open >= this.#limits.open || !this.#askers.hasRoom(key)) return false;
    if (client !== undefined && !this.#clients.hasRoom(client)) return false;
    this.#add({ key, client }, 1);
    return true;
  }

  /** Whether an asker continues although it was refused often in the last 10 s. */
  ignoresRefusals({ key }: AskerKey, now: number): boolean {
    const mine = this.#askers.get(key);
    return (
      mine !== undefined && now - mine.since <= REFUSALS_FOR && mine.refused > this.#limits.push
    );
  }

  /** A search that began is over. */
  ends(asker: AskerKey): void {
    this.#add(asker, -1);
  }

  /** Count a refusal. @returns whether the asker floods this node */
  floods({ key, client }: AskerKey, now: number): boolean {
    const { flood, push, perClient } = this.#limits;
    const mine = refuse(this.#askers.get(key), now);
    const all = refuse(client === undefined ? undefined : this.#clients.get(client), now);
    // A client that reconnects after it was dropped is dropped sooner.
    return mine > flood || (all > flood * perClient && mine > push);
  }

  #add({ key, client }: AskerKey, change: 1 | -1): void {
    for (const account of [
      this.#askers.get(key),
      client === undefined ? undefined : this.#clients.get(client),
    ]) {
      if (account !== undefined) account.open += change;
    }
    this.#open += change;
  }
}
