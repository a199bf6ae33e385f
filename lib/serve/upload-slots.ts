/**
 * How many transfers may be under way at once, which client is next when all slots are taken, and which transfer
 * gives way.
 *
 * A transfer is a connection over which bodies go out: they follow one another there, so the requests of
 * one connection that are prepared together share a slot. When slots are short a connection gives its
 * own back after them, and the client that has the fewest is next, of several the one that came, or had a
 * transfer end, longest ago.
 *
 * While a client waits, a transfer of a client that has at least two more slots gives way to it: the slowest
 * one of the client that has most. Where nobody has that many, a transfer gives way that is slower than
 * SLOW_RATE, of a client with more slots or of the same one. It is ended; its peer can resume it later. So slow readers, from one address or from many, do not
 * keep others out.
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

/** Milliseconds between two looks at how fast transfers are, while somebody waits. */
const LOOK = 250;
/** Looks over which a transfer's rate counts; none gives way before. */
const RATE_LOOKS = 3;
/** Bytes per second of a transfer that gives way to a client with fewer slots. */
const SLOW_RATE = 64 * 1024;
/** Transfers that give way at one look, at most. */
const MOST_AT_ONCE = 128;

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

const TOO_MANY_WAIT = 'more than that wait already';

/** A connection that has a slot. */
interface Transfer<C> {
  readonly connection: C;
  readonly client: string;
  /** Its requests that are under way. */
  requests: number;
  /** Bytes sent, and as many as were at the last looks, the oldest first. */
  bytes: number;
  readonly looks: number[];
  /** It has been told to end. */
  ending: boolean;
}

/** @typeParam C what stands for a connection */
export class UploadSlots<C extends object> {
  readonly #limits: Readonly<SlotLimits>;
  readonly #clock: Clock;
  readonly #endTransfer: (connection: C) => void;
  readonly #transfers = new Map<C, Transfer<C>>();
  /** Clients that hold or wait. Those that came, or had a transfer end, last are last. */
  readonly #clients = new Map<string, Client<C>>();
  #waiting = 0;
  #closed: PeerError | undefined;
  #cancelLook: (() => void) | undefined;

  /** @param endTransfer ends a connection whose transfer gives way */
  constructor(
    limits: Partial<SlotLimits>,
    endTransfer: (connection: C) => void,
    clock: Clock = systemClock,
  ) {
    this.#limits = { ...SLOT_LIMITS, ...limits };
    this.#endTransfer = endTransfer;
    this.#clock = clock;
  }

  /** Transfers under way. */
  get active(): number {
    return this.#transfers.size;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Connections that have a slot. */
  get connections(): Iterable<C> {
    return this.#transfers.keys();
  }

  /** Transfers under way: for whom, and the bytes sent so far. */
  *transfers(): Generator<{ readonly client: string; readonly bytes: number }> {
    for (const { client, bytes } of this.#transfers.values()) yield { client, bytes };
  }

  /** Whether a connection has a slot. */
  has(connection: C): boolean {
    return this.#transfers.has(connection);
  }

  /** Bytes have been sent over a connection. */
  sent(connection: C, bytes: number): void {
    const transfer = this.#transfers.get(connection);
    if (transfer !== undefined) transfer.bytes += bytes;
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
    const shares = this.#transfers.has(connection) && this.#waiting === 0;
    const free = this.#transfers.size < this.#limits.max && this.#waiting === 0;
    if (shares || free) {
      this.#begin(client, connection);
    } else {
      const { waiting, waitingPerClient } = this.#limits;
      const own = entry?.requests ?? 0;
      if (own >= waitingPerClient || (this.#waiting >= waiting && !this.#dropLast(own + 2))) {
        throw this.#busy(TOO_MANY_WAIT);
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
    this.#cancelLook?.();
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
      if (this.#cancelLook === undefined) {
        for (const transfer of this.#transfers.values()) transfer.looks.length = 0;
        this.#lookLater();
      }
    });
  }

  /** Refuse the last request of the client that has most waiting, if it has so many. */
  #dropLast(least: number): boolean {
    let most: Client<C> | undefined;
    for (const client of this.#clients.values()) {
      if (client.requests >= Math.max(least, (most?.requests ?? 0) + 1)) most = client;
    }
    const last = [...(most?.waiting.values() ?? [])].at(-1)?.at(-1);
    last?.fail(this.#busy(TOO_MANY_WAIT));
    return last !== undefined;
  }

  #lookLater(): void {
    this.#cancelLook = this.#clock.after(LOOK, () => {
      this.#cancelLook = undefined;
      if (this.#waiting === 0) return;
      this.#giveWay();
      for (const { looks, bytes } of this.#transfers.values()) {
        looks.push(bytes);
        if (looks.length > RATE_LOOKS) looks.shift();
      }
      this.#lookLater();
    });
  }

  /** End transfers for clients that wait. */
  #giveWay(): void {
    const held = new Map(Array.from(this.#clients, ([name, client]) => [name, client.held]));
    // Slots that are about to be free.
    let ending = 0;
    for (const transfer of this.#transfers.values()) if (transfer.ending) ending++;
    const heldBy = ({ client }: Transfer<C>): number => held.get(client) ?? 0;
    const measured = [...this.#transfers.values()]
      .filter(({ ending, looks }) => !ending && looks.length === RATE_LOOKS)
      .map((transfer) => ({ transfer, bytes: transfer.bytes - (transfer.looks[0] ?? 0) }))
      .sort((a, b) => a.bytes - b.bytes);
    const slow = (SLOW_RATE * LOOK * RATE_LOOKS) / 1000;
    const waiting = [...this.#clients.entries()]
      .filter(([, client]) => client.waiting.size > 0)
      .sort(([, a], [, b]) => a.held - b.held)
      .slice(ending, MOST_AT_ONCE);
    for (const [name, { held: own }] of waiting) {
      let victim: (typeof measured)[number] | undefined;
      for (const each of measured) {
        const { transfer, bytes } = each;
        const has = heldBy(transfer);
        const isOwn = transfer.client === name;
        if (transfer.ending || (bytes >= slow && (isOwn || has < own + 2))) continue;
        // Behind one address there may be more than one peer: a slow transfer gives way to its own, too.
        if (!isOwn && has <= own) continue;
        // They are sorted: of one client the slowest comes first.
        if (victim === undefined || has > heldBy(victim.transfer)) victim = each;
      }
      if (victim === undefined) continue;
      const { transfer } = victim;
      transfer.ending = true;
      held.set(transfer.client, heldBy(transfer) - 1);
      this.#endTransfer(transfer.connection);
    }
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
    let transfer = this.#transfers.get(connection);
    if (transfer === undefined) {
      transfer = { connection, client, requests: 0, bytes: 0, looks: [], ending: false };
      this.#transfers.set(connection, transfer);
      this.#clientOf(client).held++;
    }
    transfer.requests++;
  }

  #end(client: string, connection: C): void {
    const transfer = this.#transfers.get(connection);
    if (transfer === undefined || --transfer.requests > 0) return;
    this.#transfers.delete(connection);
    const entry = this.#clientOf(client);
    entry.held--;
    // The turn of the others comes first.
    this.#clients.delete(client);
    if (entry.held > 0 || entry.requests > 0) this.#clients.set(client, entry);
    this.#serve();
  }

  #serve(): void {
    while (this.#waiting > 0 && this.#transfers.size < this.#limits.max) {
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
