/**
 * A rate that clients share: a transfer asks before it sends or receives each piece, and waits until the
 * rate allows the piece and it is its client's turn.
 *
 * A token bucket says when, start-time fair queueing (Goyal, Vin and Cheng, 1996) says which one: each client
 * has a virtual clock that advances by the bytes it was given, and the one that is farthest behind is
 * next. So busy clients get the same number of bytes, whatever the number of their connections and requests
 * and the size of their pieces; what one does not use goes to the others, and cannot be saved for later.
 */
import { systemClock, type Clock } from '../support/clock.js';
import { onAbort } from '../support/signal.js';
import { abortError } from '../errors.js';
import { TokenBucket } from './token-bucket.js';

/** What one client asks, before each piece. */
export interface ClientRate {
  /** Bytes of a piece such that all waiting clients get several turns a second. */
  readonly pieceBytes: number;
  /**
   * Ask for so many bytes.
   *
   * @returns undefined: at once; else resolves when it may proceed
   * @throws PeerError (as a rejection) the signal's reason, ERR_ABORTED; nothing is used up then
   */
  take(bytes: number, signal?: AbortSignal): Promise<void> | undefined;
}

/** Bytes of a piece, whatever the rate. */
const MIN_PIECE = 1024;
const MAX_PIECE = 256 * 1024;
/** Of a second: what may go out at once after a pause, and in one round of all waiting clients. */
const BURST = 1 / 8;

interface Take {
  readonly bytes: number;
  readonly go: () => void;
}

/** A client. */
interface Lane {
  /** Its virtual clock: the bytes it was given, in the time of the queue. */
  clock: number;
  /** In the order of asking. */
  readonly takes: Take[];
}

export class RateLimiter {
  readonly #rate: number;
  /** Bytes that may go out at once after a pause, above what the rate allows; and the largest piece. */
  readonly burst: number;
  readonly #bucket: TokenBucket;
  readonly #clock: Clock;
  /** Clients that wait, or whose clocks are ahead of the queue's. */
  readonly #lanes = new Map<string, Lane>();
  /** The number of lanes at which idle ones are removed. */
  #sweepAt = 16;
  #waiting = 0;
  /** The queue's time: the clock of the client that was served last, before it was. */
  #time = 0;
  #cancelTimer: (() => void) | undefined;

  /** @param rate bytes per second, for all clients together */
  constructor(rate: number, clock: Clock = systemClock) {
    this.#rate = rate;
    this.burst = Math.max(MIN_PIECE, rate * BURST);
    this.#bucket = new TokenBucket(rate, this.burst, clock.now());
    this.#clock = clock;
  }

  /** @param client all of its transfers together get one share */
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
    this.#bucket.fill(this.#clock.now());
    if (this.#waiting === 0 && this.#bucket.wait(bytes) === 0) {
      this.#spend(lane, bytes);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      const forget = onAbort(signal, (signal) => {
        lane.takes.splice(lane.takes.indexOf(take), 1);
        this.#waiting--;
        reject(abortError(signal));
        this.#serve();
      });
      const take: Take = {
        bytes,
        go: () => {
          forget();
          resolve();
        },
      };
      lane.takes.push(take);
      this.#waiting++;
      this.#serve();
    });
  }

  /** Start the takes that the rate allows now, and set a timer for the next one. */
  #serve(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#bucket.fill(this.#clock.now());
    while (this.#waiting > 0) {
      const lane = this.#next();
      const [take] = lane?.takes ?? [];
      if (lane === undefined || take === undefined) return;
      const ms = this.#bucket.wait(take.bytes);
      if (ms > 0) {
        this.#cancelTimer = this.#clock.after(ms, () => {
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
    this.#bucket.spend(bytes);
    this.#time = Math.max(this.#time, lane.clock);
    lane.clock += bytes;
  }

  /** Remove clients that a new one would be equal to. */
  #sweep(): void {
    if (this.#lanes.size < this.#sweepAt) return;
    for (const [client, { clock, takes }] of this.#lanes) {
      if (takes.length === 0 && clock <= this.#time) this.#lanes.delete(client);
    }
    this.#sweepAt = Math.max(16, 2 * this.#lanes.size);
  }
}
