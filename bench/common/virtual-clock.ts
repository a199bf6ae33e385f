/** A clock that jumps from one thing to do to the next. */
import type { Clock } from '../../lib/clock.js';

interface Event {
  at: number;
  /** Of two at the same time the one that was set first comes first. */
  order: number;
  /** Undefined when it was cancelled. */
  action: (() => void) | undefined;
}

export class VirtualClock implements Clock {
  #now = 0;
  #order = 0;
  /** A binary heap: each entry is due no later than those at 2 i + 1 and 2 i + 2. */
  readonly #heap: Event[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, action: () => void): () => void {
    const event: Event = { at: this.#now + ms, order: this.#order++, action };
    this.#push(event);
    return () => {
      event.action = undefined;
    };
  }

  /** Do all there is to do, until then at most. @returns how much was done */
  run(until = Infinity): number {
    let done = 0;
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.at > until) break;
      this.#pop();
      if (first.action === undefined) continue;
      this.#now = first.at;
      first.action();
      done++;
    }
    if (until !== Infinity) this.#now = Math.max(this.#now, until);
    return done;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let i = heap.length;
    heap.push(event);
    while (i > 0) {
      const up = (i - 1) >> 1;
      const above = heap[up];
      if (above === undefined || isBefore(above, event)) break;
      heap[i] = above;
      i = up;
    }
    heap[i] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let i = 0;
    for (;;) {
      let down = 2 * i + 1;
      let below = heap[down];
      if (below === undefined) break;
      const right = heap[down + 1];
      if (right !== undefined && isBefore(right, below)) {
        down++;
        below = right;
      }
      if (isBefore(last, below)) break;
      heap[i] = below;
      i = down;
    }
    heap[i] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
