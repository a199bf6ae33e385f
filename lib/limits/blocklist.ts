/**
 * Addresses that are blocked for a while: peers that are not dialled, clients that are not accepted. By
 * address, never by id: an id is a claim, and a peer that misbehaves under the id of another would get the
 * other blocked.
 */
import { ExpiringMap } from './expiring-map.js';

export interface BlocklistOptions {
  /** Milliseconds of a first block. */
  first: number;
  /** Each block lasts twice as long as the last one, up to this. @default `first` */
  longest?: number | undefined;
  /** Blocks that are remembered; then the oldest is forgotten. @default 4096 */
  max?: number | undefined;
  /** Milliseconds. @default performance.now */
  now?: (() => number) | undefined;
}

interface Block {
  until: number;
  /** Milliseconds that it lasts. */
  length: number;
}

const MAX_BLOCKS = 4096;
/** So many blocked members of a group block the whole group. */
const PER_GROUP = 3;

export class Blocklist {
  readonly #first: number;
  readonly #longest: number;
  readonly #now: () => number;
  readonly #blocks: ExpiringMap<Block>;
  /** Of each group the blocked members, `PER_GROUP` at most: those blocked longest. */
  readonly #groups: ExpiringMap<Map<string, number>>;

  constructor({ first, longest = first, max = MAX_BLOCKS, now }: BlocklistOptions) {
    this.#first = first;
    this.#longest = longest;
    this.#now = now ?? (() => performance.now());
    // What is over is remembered for as long again, because the next block is a longer one.
    this.#blocks = new ExpiringMap(max, 2 * longest, this.#now);
    this.#groups = new ExpiringMap(max, longest, this.#now);
  }

  /** Things remembered, blocks included that are over. */
  get size(): number {
    return this.#blocks.size + this.#groups.size;
  }

  /** @param group of which `key` is a member, a host for example: three blocked members block all */
  add(key: string, group?: string): void {
    const before = this.#blocks.get(key)?.length;
    const length = before === undefined ? this.#first : Math.min(this.#longest, before * 2);
    const until = this.#now() + length;
    this.#blocks.set(key, { until, length });
    if (group === undefined) return;
    const members = (this.#groups.get(group) ?? new Map<string, number>()).set(key, until);
    if (members.size > PER_GROUP) {
      const [shortest] = [...members].reduce((a, b) => (b[1] < a[1] ? b : a));
      members.delete(shortest);
    }
    this.#groups.set(group, members);
  }

  has(key: string, group?: string): boolean {
    return this.until(key, group) > this.#now();
  }

  /** When the block is over; 0 when there was none. */
  until(key: string, group?: string): number {
    const own = this.#blocks.get(key)?.until ?? 0;
    const members = group === undefined ? undefined : this.#groups.get(group);
    if (members === undefined || members.size < PER_GROUP) return own;
    return Math.max(own, Math.min(...members.values()));
  }
}
