/**
 * A rate that clients share: who sends or receives asks before each piece, and waits until the rate
 * allows it and it is its client's turn.
 *
 * A token bucket says when, start-time fair queueing (Goyal, Vin and Cheng, 1996) says who: each client
 * has a clock of its own that advances by the bytes it was given, and the one that is farthest behind is
 * next. So clients that want more than there is get the same number of bytes, however many connections
 * and requests they have and however large their pieces are; what one does not use goes to the others;
 * and nobody saves up for later.
 */
import { systemClock, type Clock } from '../support/clock.js';
import { abortError } from '../errors.js';

/** What one client asks, before each piece. */
export interface ClientRate {
  /** Bytes of a piece such that all who wait have their turn several times a second. */
  readonly pieceBytes: number;
  /**
   * Ask for so many bytes.
   *
   * @returns undefined: at once; else resolves when it may go on
   * @throws PeerError (as a rejection) the signal's reason, ERR_ABORTED; nothing is used up then
   */
  take(bytes: number, signal?: AbortSignal): Promise<void> | undefined;
}

/** Bytes of a piece, whatever the rate. */
const MIN_PIECE = 1024;
const MAX_PIECE = 256 * 1024;
/** Of a second: what may go out at once after a pause, and in one round of all who wait. */
const BURST = 1 / 8;

interface Take {
  readonly bytes: number;
  readonly go: () => void;
}

/** A client. */
interface Lane {
  /** Where its clock stands: the bytes it was given, in the time of the queue. */
  clock: number;
  /** In order; a client's own requests take turns. */
  readonly takes: Take[];
}

export class RateLimiter {
  readonly #rate: number;
  readonly #burst: number;
  readonly #clock: Clock;
  /** Clients that wait, or whose clocks are ahead of the queue's. */
  readonly #lanes = new Map<string, Lane>();
  /** The number of lanes at which those that mean nothing any more are forgotten. */
  #sweepAt = 16;
  #waiting = 0;
  /** The queue's time: the clock of the client that was served last, before it was. */
  #time = 0;
  #tokens: number;
  #countedAt: number;
  #forgetTimer: (() => void) | undefined;

  /** @param rate bytes per second, for all clients together */
  constructor(rate: number, clock: Clock = systemClock) {
    this.#rate = rate;
    this.#burst = Math.max(MIN_PIECE, rate * BURST);
    this.#clock = clock;
    this.#tokens = this.#burst;
    this.#countedAt = clock.now();
  }

  /** Bytes that may go out at once after a pause, above what the rate allows; and the largest piece. */
  get burst(): number {
    return this.#burst;
  }

  /** @param client whoever shares one share: all of its transfers ask in its name */
  of(client: string): ClientRate {
    const pieceBytes = (): number => this.#pieceBytes();
    return {
      get pieceBytes() {
        return pieceBytes();
      },
      take: (bytes, signal) => this.#take(client, bytes, signal),
    };
  }

  #pieceBytes(): number {
    const round = (this.#rate * BURST) / (this.#waiting + 1);
    return Math.floor(Math.max(MIN_PIECE, Math.min(MAX_PIECE, round)));
  }

  #take(client: string, bytes: number, signal?: AbortSignal): Promise<void> | undefined {
    if (signal?.aborted === true) return Promise.reject(abortError(signal));
    const lane = this.#laneOf(client);
    this.#count();
    if (this.#waiting === 0 && this.#tokens >= this.#needed(bytes)) {
      this.#spend(lane, bytes);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        lane.takes.splice(lane.takes.indexOf(take), 1);
        this.#waiting--;
        if (signal !== undefined) reject(abortError(signal));
        this.#serve();
      };
      const take: Take = {
        bytes,
        go: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      lane.takes.push(take);
      this.#waiting++;
      this.#serve();
    });
  }

  /** Let go whoever may; look again when the next one may. */
  #serve(): void {
    this.#forgetTimer?.();
    this.#forgetTimer = undefined;
    this.#count();
    while (this.#waiting > 0) {
      const lane = this.#next();
      const [take] = lane?.takes ?? [];
      if (lane === undefined || take === undefined) return;
      const lack = this.#needed(take.bytes) - this.#tokens;
      if (lack > 0) {
        const ms = Math.ceil((lack * 1000) / this.#rate);
        this.#forgetTimer = this.#clock.after(ms, () => {
          this.#serve();
        });
        return;
      }
      lane.takes.shift();
      this.#waiting--;
      this.#spend(lane, take.bytes);
      take.go();
    }
  }

  /** The client that waits and is farthest behind; of several the one that came first. */
  #next(): Lane | undefined {
    let next: Lane | undefined;
    for (const lane of this.#lanes.values()) {
      if (lane.takes.length > 0 && (next === undefined || lane.clock < next.clock)) next = lane;
    }
    return next;
  }

  #laneOf(client: string): Lane {
    let lane = this.#lanes.get(client);
    if (lane === undefined) {
      this.#sweep();
      lane = { clock: this.#time, takes: [] };
      this.#lanes.set(client, lane);
    } else if (lane.takes.length === 0) {
      // What it did not use meanwhile is not saved.
      lane.clock = Math.max(lane.clock, this.#time);
    }
    return lane;
  }

  #spend(lane: Lane, bytes: number): void {
    this.#tokens -= bytes;
    this.#time = Math.max(this.#time, lane.clock);
    lane.clock += bytes;
  }

  /** Tokens that must be there. More than the bucket holds is paid afterwards. */
  #needed(bytes: number): number {
    return Math.min(bytes, this.#burst);
  }

  #count(): void {
    const now = this.#clock.now();
    const earned = ((now - this.#countedAt) * this.#rate) / 1000;
    this.#tokens = Math.min(this.#burst, this.#tokens + earned);
    this.#countedAt = now;
  }

  /** Forget clients that would begin where the queue is, as a new one does. */
  #sweep(): void {
    if (this.#lanes.size < this.#sweepAt) return;
    for (const [client, { clock, takes }] of this.#lanes) {
      if (takes.length === 0 && clock <= this.#time) this.#lanes.delete(client);
    }
    this.#sweepAt = Math.max(16, 2 * this.#lanes.size);
  }
}
