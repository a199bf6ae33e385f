/**
 * Which blocks to request from which source next. Pure: no clock and no sockets; the caller says how
 * fast a source is and whether it stalls.
 *
 * Blocks are asked for from the lowest on, each of one source. One that has nothing left to ask for
 * is given blocks that others are asked for, too, when it will have them well before they do: the last
 * blocks of a download, and those that hold up the window. A block is asked of two sources at most
 * that deliver; those that stall do not count.
 */
import type { BlockSet } from '../block-set.js';

/** Consecutive blocks to request from a source. */
export interface BlockRequest {
  readonly first: number;
  readonly count: number;
  /** They were requested from another source before. */
  readonly duplicate: boolean;
}

export interface Plan {
  /** The blocks that are there; those that arrive are added. */
  readonly have: BlockSet;
  /** The blocks wanted: from `first` to `end` - 1. */
  readonly first: number;
  readonly end: number;
  /** Blocks from the first that has not been let out (`advance`) that may be asked for. @default all */
  readonly window?: number | undefined;
}

/** A source, as far as this goes. */
interface Member {
  /** What it is asked for and has not delivered, in the order in which it will. */
  readonly queue: Set<number>;
  /** Blocks per second; undefined until it is measured. */
  rate: number | undefined;
  stalled: boolean;
}

/** Blocks that are requested twice at once: no more than a connection reads past when they are not wanted. */
const MAX_DUPLICATE = 4;
/** A block is requested twice when that brings it in less than this part of the time. */
const MAX_TIME_RATIO = 0.5;

export class Scheduler<S> {
  readonly #have: BlockSet;
  readonly #end: number;
  readonly #window: number;
  readonly #members = new Map<S, Member>();
  /** The sources that each requested block was requested from. */
  readonly #requesters = new Map<number, Member[]>();
  /** The first block that has not been let out. */
  #base: number;
  /** No block before this one is missing and not asked for. */
  #cursor: number;
  #missing = 0;

  constructor({ have, first, end, window = Infinity }: Plan) {
    this.#have = have;
    this.#end = end;
    this.#window = window;
    this.#base = first;
    this.#cursor = first;
    for (const { count } of have.missing(first, end)) this.#missing += count;
  }

  /** Blocks that have not arrived. */
  get missing(): number {
    return this.#missing;
  }

  /** Whether all blocks have arrived. */
  get done(): boolean {
    return this.#missing === 0;
  }

  /** A source can be asked from now on. */
  join(source: S): void {
    if (this.#members.has(source)) throw new TypeError('it is a member already');
    this.#members.set(source, { queue: new Set(), rate: undefined, stalled: false });
  }

  /** A source is no more. What it was asked for is asked of others. */
  leave(source: S): void {
    const member = this.#members.get(source);
    if (member === undefined) return;
    this.#members.delete(source);
    for (const block of member.queue) this.#forget(member, block);
  }

  /** Blocks that a source is asked for and has not delivered. */
  waiting(source: S): number {
    return this.#members.get(source)?.queue.size ?? 0;
  }

  /** Of these, blocks that have not arrived from elsewhere either. */
  needed(source: S): number {
    let needed = 0;
    for (const block of this.#members.get(source)?.queue ?? []) {
      if (!this.#have.has(block)) needed++;
    }
    return needed;
  }

  /** @param rate blocks per second */
  measured(source: S, rate: number): void {
    const member = this.#members.get(source);
    if (member !== undefined) member.rate = rate;
  }

  /** A source delivers nothing at present, or does again. What it is asked for may go to others. */
  stall(source: S, stalled: boolean): void {
    const member = this.#members.get(source);
    if (member === undefined || member.stalled === stalled) return;
    member.stalled = stalled;
    if (!stalled) return;
    for (const block of member.queue) this.#cursor = Math.min(this.#cursor, block);
  }

  /**
   * What to ask of a source now; it counts as asked for.
   *
   * @param most blocks, at least 1
   * @param again whether to ask for blocks that others are asked for, when there are no others
   * @returns undefined when there is nothing at present: later, perhaps, when something has changed
   */
  next(source: S, most: number, again = true): BlockRequest | undefined {
    const member = this.#members.get(source);
    if (member === undefined || member.stalled) return undefined;
    const ask =
      this.#missingFor(member, most) ??
      (again ? this.#duplicateFor(member, Math.min(most, MAX_DUPLICATE)) : undefined);
    if (ask === undefined) return undefined;
    for (let block = ask.first; block < ask.first + ask.count; block++) {
      member.queue.add(block);
      const askers = this.#requesters.get(block);
      if (askers === undefined) this.#requesters.set(block, [member]);
      else askers.push(member);
    }
    return ask;
  }

  /** A block has come, and is right. @returns whether it had not come before */
  arrived(source: S, block: number): boolean {
    const member = this.#members.get(source);
    if (member?.queue.delete(block) === true) this.#forget(member, block);
    if (this.#have.has(block)) return false;
    this.#have.add(block);
    this.#missing--;
    return true;
  }

  /** A request has ended: what of it has not arrived will not. */
  ended(source: S, { first, count }: BlockRequest): void {
    const member = this.#members.get(source);
    if (member === undefined) return;
    for (let block = first; block < first + count; block++) {
      if (member.queue.delete(block)) this.#forget(member, block);
    }
  }

  /** All blocks before `base` have been let out: the window begins there. */
  advance(base: number): void {
    this.#base = Math.max(this.#base, base);
  }

  /** Blocks that are missing, requested from no source, and inside the window. */
  #missingFor(member: Member, most: number): BlockRequest | undefined {
    const limit = Math.min(this.#end, this.#base + this.#window);
    while (this.#cursor < limit && !this.#isFree(this.#cursor)) this.#cursor++;
    let first = this.#cursor;
    // What a source is asked for itself and does not deliver is for others.
    while (first < limit && !(this.#isFree(first) && !member.queue.has(first))) first++;
    if (first >= limit) return undefined;
    // Towards the end in smaller pieces, so that all finish together.
    const share = Math.ceil((this.#end - first) / (2 * this.#members.size));
    const want = Math.max(1, Math.min(most, share));
    let end = first;
    while (end < limit && end - first < want && this.#isFree(end) && !member.queue.has(end)) end++;
    // A busy source waits for the window to open rather than request its blocks one by one.
    const cut = end === limit && limit < this.#end && 2 * (end - first) < want;
    if (cut && member.queue.size > 0) return undefined;
    return { first, count: end - first, duplicate: false };
  }

  /** Blocks that were requested from others, and would come sooner from this source. */
  #duplicateFor(member: Member, most: number): BlockRequest | undefined {
    const mine = member.rate;
    // Before it is measured there is no saying.
    if (mine === undefined || mine === 0) return undefined;
    const isSooner = (count: number, theirs: number): boolean =>
      (member.queue.size + count) / mine < MAX_TIME_RATIO * theirs;
    let latest: { block: number; seconds: number; owner: Member } | undefined;
    for (const owner of this.#members.values()) {
      if (owner === member || owner.stalled || owner.rate === undefined) continue;
      let place = 0;
      for (const block of owner.queue) {
        const seconds = ++place / owner.rate;
        if (!this.#isOnce(block, member) || !isSooner(1, seconds)) continue;
        const later = latest === undefined || seconds > latest.seconds;
        // Of those that never come, the one that is wanted first.
        const first = seconds === latest?.seconds && block < latest.block;
        if (later || first) latest = { block, seconds, owner };
      }
    }
    if (latest === undefined) return undefined;
    const { block, seconds, owner } = latest;
    let first = block;
    let count = 1;
    const isNext = (other: number, theirs: number): boolean =>
      count < most &&
      owner.queue.has(other) &&
      this.#isOnce(other, member) &&
      isSooner(count + 1, theirs);
    if (seconds === Infinity) {
      while (isNext(block + count, seconds)) count++;
    } else {
      // The others of its kind come one after the other before it.
      while (isNext(first - 1, seconds - count / (owner.rate ?? 1))) {
        first--;
        count++;
      }
    }
    return { first, count, duplicate: true };
  }

  /** Whether a block is missing, and requested from no source that delivers. */
  #isFree(block: number): boolean {
    if (this.#have.has(block)) return false;
    return this.#requesters.get(block)?.every(({ stalled }) => stalled) ?? true;
  }

  /** Whether a block is missing, and requested from exactly one other source that delivers. */
  #isOnce(block: number, member: Member): boolean {
    if (this.#have.has(block) || member.queue.has(block)) return false;
    let live = 0;
    for (const { stalled } of this.#requesters.get(block) ?? []) if (!stalled) live++;
    return live === 1;
  }

  #forget(member: Member, block: number): void {
    const askers = this.#requesters.get(block) ?? [];
    const left = askers.filter((asker) => asker !== member);
    if (left.length === 0) this.#requesters.delete(block);
    else this.#requesters.set(block, left);
    this.#cursor = Math.min(this.#cursor, block);
  }
}
