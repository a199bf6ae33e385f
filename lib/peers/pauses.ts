/** How long each peer is left alone: after it was reached, after a failure, after the loss of a link. */
import { backoff, type Backoff } from '../support/backoff.js';
import type { KnownPeer } from './known.js';
import type { PeerTimes } from './times.js';

/** How much of a pause is random. */
const JITTER = 0.25;

export class Pauses {
  readonly #times: PeerTimes;
  readonly #random: () => number;

  /** @param random from 0 to 1, as Math.random */
  constructor(times: PeerTimes, random: () => number) {
    this.#times = times;
    this.#random = random;
  }

  soon(): number {
    return this.#of({ base: this.#times.soon });
  }

  /** As long as no peer at all answers. */
  isolated(): number {
    return this.#of({ base: this.#times.isolatedPause });
  }

  /** Until a peer that answers is visited again. @param reached how many there are */
  untilVisit(reached: number): number {
    const { revisit, betweenVisits } = this.#times;
    return this.#of({ base: Math.max(revisit, reached * betweenVisits) });
  }

  /** Whether a peer has failed so often, or for so long, that it is dropped. */
  isHopeless({ id, named, failures, seen }: KnownPeer, now: number): boolean {
    if (named) return false;
    const { pauses, forgotten } = this.#times;
    return id === undefined ? failures > pauses.length : now - seen > forgotten;
  }

  /** @param isAlone no peer at all answers, and this is one of those to keep trying */
  afterFailure({ id, named, failures }: KnownPeer, isAlone: boolean): number {
    const { namedPause, soon, pauses, reachedPause } = this.#times;
    let pause: number;
    if (named) pause = this.#of({ base: soon, cap: namedPause }, failures);
    else if (id !== undefined) pause = this.#of(reachedPause, failures);
    else pause = this.#of({ base: pauses[failures - 1] ?? 0 });
    return isAlone ? Math.min(pause, this.isolated()) : pause;
  }

  /** Until the next link to a peer that has ended so many at once. */
  afterLoss({ losses }: KnownPeer): number {
    const { soon, reachedPause } = this.#times;
    return this.#of({ base: soon, factor: 4, cap: reachedPause.cap }, losses + 1);
  }

  #of(pause: Backoff, failures = 1): number {
    return backoff(failures, { jitter: JITTER, ...pause }, this.#random());
  }
}
