/**
 * How many transfers may be under way at once, and who is next when they are all taken.
 *
 * A transfer is a connection over which bodies go out: they follow one another there, so the requests of
 * one connection that are prepared together share a slot. When slots are short a connection gives its
 * own back after them, and the client that has the fewest is next, of several the one that came, or had a
 * transfer end, longest ago.
 */
import { systemClock, type Clock } from '../support/clock.js';
import { PeerError, abortError } from '../errors.js';

export interface SlotLimits {
  /** Transfers at once. */
  max: number;
  /** Requests that may wait for a slot, of all clients and of one. */
  waiting: number;
  waitingPerClient: number;
  /** Milliseconds that one may wait: shorter than a peer's patience (30 s, PROTOCOL.md). */
  wait: number;
}

export const SLOT_LIMITS: Readonly<SlotLimits> = {
  max: Infinity,
  waiting: 1024,
  waitingPerClient: 64,
  wait: 20_000,
};

/** Gives back what was taken. */
export type Release = () => void;

interface Request {
  /** It may begin: ends its waiting, and counts as under way. */
  go(): void;
  fail(error: PeerError): void;
}

/** What waits, of one client: for each of its connections the requests in order. */
interface Client<C> {
  /** Connections of it that have a slot. */
  held: number;
  readonly waiting: Map<C, Request[]>;
  requests: number;
}

/** @typeParam C what stands for a connection */
export class UploadSlots<C extends object> {
  readonly #limits: Readonly<SlotLimits>;
  readonly #clock: Clock;
  /** Connections that have a slot, and how many of their requests are under way. */
  readonly #holders = new Map<C, number>();
  /** Clients that hold or wait. Those that came, or had a transfer end, last are last. */
  readonly #clients = new Map<string, Client<C>>();
  #waiting = 0;
  #closed: PeerError | undefined;

  constructor(limits: Partial<SlotLimits> = {}, clock: Clock = systemClock) {
    this.#limits = { ...SLOT_LIMITS, ...limits };
    this.#clock = clock;
  }

  /** Transfers under way. */
  get active(): number {
    return this.#holders.size;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Connections that have a slot. */
  get connections(): Iterable<C> {
    return this.#holders.keys();
  }

  /** Whether a connection has a slot. */
  has(connection: C): boolean {
    return this.#holders.has(connection);
  }

  /**
   * Begin with a request for a body, when it is its turn.
   *
   * @param client on whose behalf: see `clientOf`
   * @param signal aborted when nobody wants it any more
   * @throws PeerError ERR_BUSY: too many wait, or it has waited too long, or no more is begun here
   */
  async take(client: string, connection: C, signal: AbortSignal): Promise<Release> {
    if (this.#closed !== undefined) throw this.#closed;
    if (signal.aborted) throw abortError(signal);
    const entry = this.#clients.get(client);
    const shares = this.#holders.has(connection) && this.#waiting === 0;
    const free = this.#holders.size < this.#limits.max && this.#waiting === 0;
    if (shares || free) {
      this.#begin(client, connection);
    } else {
      const { waiting, waitingPerClient } = this.#limits;
      if (this.#waiting >= waiting || (entry?.requests ?? 0) >= waitingPerClient) {
        throw this.#busy('more than that wait already');
      }
      await this.#wait(client, connection, signal);
    }
    let held = true;
    return () => {
      if (held) this.#end(client, connection);
      held = false;
    };
  }

  /** Begin nothing any more: those that wait, and those that come, get this. */
  close(error: PeerError): void {
    this.#closed ??= error;
    for (const { waiting } of [...this.#clients.values()]) {
      for (const requests of [...waiting.values()]) {
        for (const request of [...requests]) request.fail(error);
      }
    }
  }

  #busy(why: string): PeerError {
    return new PeerError('ERR_BUSY', `${this.#limits.max} transfers are under way, and ${why}`);
  }

  #wait(client: string, connection: C, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        this.#leave(client, connection, request);
        forget();
        signal.removeEventListener('abort', onAbort);
      };
      const request: Request = {
        go: () => {
          leave();
          this.#begin(client, connection);
          resolve();
        },
        fail: (error) => {
          leave();
          this.#forgetIdle(client);
          reject(error);
        },
      };
      const onAbort = (): void => {
        request.fail(abortError(signal));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      const forget = this.#clock.after(this.#limits.wait, () => {
        request.fail(this.#busy(`none ended within ${this.#limits.wait / 1000} s`));
      });
      const entry = this.#clientOf(client);
      const requests = entry.waiting.get(connection);
      if (requests === undefined) entry.waiting.set(connection, [request]);
      else requests.push(request);
      entry.requests++;
      this.#waiting++;
    });
  }

  #leave(client: string, connection: C, request: Request): void {
    const entry = this.#clientOf(client);
    const requests = entry.waiting.get(connection) ?? [];
    const at = requests.indexOf(request);
    if (at >= 0) requests.splice(at, 1);
    if (requests.length === 0) entry.waiting.delete(connection);
    entry.requests--;
    this.#waiting--;
  }

  #begin(client: string, connection: C): void {
    const under = this.#holders.get(connection) ?? 0;
    if (under === 0) this.#clientOf(client).held++;
    this.#holders.set(connection, under + 1);
  }

  #end(client: string, connection: C): void {
    const under = (this.#holders.get(connection) ?? 0) - 1;
    if (under > 0) {
      this.#holders.set(connection, under);
      return;
    }
    this.#holders.delete(connection);
    const entry = this.#clientOf(client);
    entry.held--;
    // The turn of the others comes first.
    this.#clients.delete(client);
    if (entry.held > 0 || entry.requests > 0) this.#clients.set(client, entry);
    this.#serve();
  }

  #serve(): void {
    while (this.#waiting > 0 && this.#holders.size < this.#limits.max) {
      const [requests] = this.#next()?.waiting.values() ?? [];
      if (requests === undefined) return;
      // All that waits on the connection: its bodies follow one another.
      for (const request of [...requests]) request.go();
    }
  }

  #next(): Client<C> | undefined {
    let next: Client<C> | undefined;
    for (const client of this.#clients.values()) {
      if (client.waiting.size === 0) continue;
      if (next === undefined || client.held < next.held) next = client;
    }
    return next;
  }

  #clientOf(name: string): Client<C> {
    let client = this.#clients.get(name);
    if (client === undefined) {
      client = { held: 0, waiting: new Map(), requests: 0 };
      this.#clients.set(name, client);
    }
    return client;
  }

  #forgetIdle(name: string): void {
    const client = this.#clients.get(name);
    if (client?.held === 0 && client.requests === 0) this.#clients.delete(name);
  }
}
