/** Samples the sources: how fast they are, how much to request from each, which of them stall. */
import { PeerError } from '../../errors.js';
import type { Session } from './source-pool.js';
import { rangeOf } from './throughput.js';
import type { Scheduler } from './scheduler.js';

/** Milliseconds between looks. */
export const SAMPLE_INTERVAL = 100;
/** Milliseconds after which a source that was too slow gets another request. */
const SLOW_PAUSE = 2000;
/** Seconds of useless blocks that are worth a new connection. */
const USELESS = 1;

export class SourceMonitor {
  readonly #stall: number;
  readonly #window: number;
  readonly #onStall: (session: Session) => void;
  /** Blocks per second, at the last look: of the fastest, and of all together. */
  #fastest = 0;
  #total = 0;

  /**
   * @param stall milliseconds without a byte of what is owed
   * @param window blocks, in order; else Infinity
   * @param onStall told once of each stall
   */
  constructor(stall: number, window: number, onStall: (session: Session) => void) {
    this.#stall = stall;
    this.#window = window;
    this.#onStall = onStall;
  }

  /** Blocks to ask of a source at once; 0: none for now. */
  rangeOf(session: Session): number {
    const { throughput, ranges } = session.source;
    const blocks = rangeOf({
      rate: throughput.rate,
      fastest: this.#fastest,
      total: this.#total,
      window: this.#window,
      ranges,
    });
    if (blocks > 0) {
      session.slowSince = undefined;
      return blocks;
    }
    // It may have become faster.
    const now = performance.now();
    session.slowSince ??= now;
    if (now - session.slowSince < SLOW_PAUSE) return 0;
    session.slowSince = now;
    return 1;
  }

  sample(sessions: readonly Session[], scheduler: Scheduler<Session>): void {
    const now = performance.now();
    this.#fastest = 0;
    this.#total = 0;
    for (const session of sessions) {
      const { source } = session;
      source.sample(now, scheduler.waiting(session));
      const { rate } = source.throughput;
      if (rate === undefined) continue;
      scheduler.measured(session, rate);
      this.#fastest = Math.max(this.#fastest, rate);
      this.#total += rate;
    }
    // When no source sends anything the fault is not a source's, and none could replace it.
    const moves = sessions.some(({ source }) => source.silentFor < this.#stall);
    for (const session of sessions) {
      const stalls = moves && session.source.silentFor >= this.#stall;
      if (stalls && !session.stalled) this.#onStall(session);
      if (stalls !== session.stalled) scheduler.stall(session, stalls);
      session.stalled = stalls;
      if (isUseless(session, scheduler)) {
        const why = stalls ? 'stalls' : 'is too slow';
        const text = `${session.source.name} ${why}: others gave what it owes`;
        session.fail(new PeerError('ERR_TIMED_OUT', text));
      }
    }
  }
}

/** It still sends what has come from others, and begins anew if that saves time. */
function isUseless(session: Session, scheduler: Scheduler<Session>): boolean {
  const waiting = scheduler.waiting(session);
  if (waiting === 0 || scheduler.needed(session) > 0) return false;
  return waiting / (session.source.throughput.rate ?? Infinity) > USELESS;
}
