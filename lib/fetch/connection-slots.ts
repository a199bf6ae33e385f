/**
 * Limits the dedicated connections of calls to one peer. A call that has one may wait for a call that has none
 * (a stream whose reader fetches something else), so another slot opens whenever none was freed for a moment.
 */
import { PeerError } from '../errors.js';
import { Semaphore } from '../limits/semaphore.js';
import { onAbort, unlessAborted } from '../support/signal.js';

const PLACES = 4;
/** Milliseconds without a place becoming free until there is one more. */
const PATIENCE = 250;
/** So many more at most. */
const MAX_EXTRA = 28;

export class ConnectionSlots {
  readonly #name: string;
  /** Milliseconds. */
  readonly #timeout: number;
  readonly #free = new Semaphore(PLACES);
  #extra = 0;
  readonly #waiters = new Set<AbortController>();
  #timer: NodeJS.Timeout | undefined;
  /** When a place was last given, or waited for: performance.now(). */
  #lastMove = 0;

  /**
   * @param name of the peer, for messages
   * @param timeout milliseconds without a place becoming free after which those that wait give up
   */
  constructor(name: string, timeout: number) {
    this.#name = name;
    this.#timeout = timeout;
  }

  /** Resolves when there is a place, for `give`. @throws PeerError ERR_BUSY, ERR_ABORTED */
  async take(signal: AbortSignal | undefined): Promise<void> {
    const place = this.#free.take(1);
    if (place === undefined) return;
    const waiter = new AbortController();
    const forget = onAbort(signal, ({ reason }) => {
      waiter.abort(reason);
    });
    this.#waiters.add(waiter);
    this.#lastMove = performance.now();
    this.#timer ??= setInterval(this.#look, PATIENCE);
    try {
      await unlessAborted(place, waiter.signal);
    } catch (error) {
      // It stays in the queue: pass its slot on.
      void place.then(() => {
        this.give();
      });
      throw error;
    } finally {
      forget();
      this.#waiters.delete(waiter);
      if (this.#waiters.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
    }
  }

  give(): void {
    this.#lastMove = performance.now();
    if (this.#extra > 0 && this.#waiters.size === 0) this.#extra--;
    else this.#free.give(1);
  }

  readonly #look = (): void => {
    const waited = performance.now() - this.#lastMove;
    if (this.#extra < MAX_EXTRA) {
      // Timers may be a little early.
      if (waited < 0.9 * PATIENCE) return;
      this.#lastMove = performance.now();
      this.#extra++;
      this.#free.give(1);
    } else if (waited >= this.#timeout) {
      const seconds = this.#timeout / 1000;
      const text = `${this.#name}: ${PLACES + MAX_EXTRA} fetches are under way, and none ended within ${seconds} s`;
      for (const waiter of this.#waiters) waiter.abort(new PeerError('ERR_BUSY', text));
    }
  };
}
