/**
 * The connections to one peer. Calls that cannot delay one another share a connection: requests with a
 * short answer one, small files another. A body that its reader may pause has a connection of its own,
 * so that no other call waits behind it, and ending it early ends nothing else.
 *
 * Connections are made when they are needed and kept for the next call.
 */
import { once } from 'node:events';
import { PeerError, abortError, isWireErrorCode } from '../errors.js';
import type { BodySink } from '../net/body-sink.js';
import type { Connection } from '../net/connection.js';
import { unlessAborted } from '../support/signal.js';
import { hangUp } from './client-connection.js';
import { ConnectionSlots } from './connection-slots.js';

export interface PoolOptions {
  /** For messages: `host:port`. */
  readonly name: string;
  /** Make a connection. The signal is aborted when no call waits for it any more. @throws PeerError */
  readonly dial: (signal: AbortSignal) => Promise<Connection>;
  /** Milliseconds in which something must move: while a call waits for its turn, and while `close` waits. */
  readonly patience: number;
}

export interface UseOptions {
  /** Calls with the same key share a connection. @default none: a connection of its own */
  readonly share?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** Unused connections that are kept. */
const MAX_IDLE = 4;

/** A connection in use. */
export class Lease {
  /** The key that calls share it by; undefined: it belongs to one call. */
  readonly share: unknown;
  readonly ready: Promise<Connection>;
  users = 0;
  connection: Connection | undefined;
  /** The peer may owe more than a failed call has taken: the connection cannot be used again. */
  owes = false;
  /** Requests for bodies under way. */
  requests = 0;
  /** The connection ends with the last call. */
  spoiled = false;
  /** The body that is being received. */
  sink: BodySink | undefined;
  readonly #dial = new AbortController();

  constructor(share: unknown, connect: (signal: AbortSignal) => Connection | Promise<Connection>) {
    this.share = share;
    this.ready = Promise.resolve(connect(this.#dial.signal)).then((connection) => {
      this.connection = connection;
      return connection;
    });
    // Each call that waits is told; perhaps none does any more.
    this.ready.catch(() => undefined);
  }

  stopDialling(): void {
    this.#dial.abort();
  }
}

export class ConnectionPool {
  readonly #options: PoolOptions;
  readonly #idle: Connection[] = [];
  readonly #leases = new Set<Lease>();
  /** Leases that calls share, by their key. */
  readonly #shared = new Map<unknown, Lease>();
  /** For calls with a connection of their own. */
  readonly #slots: ConnectionSlots;
  #calls = 0;
  #closing: Promise<void> | undefined;
  #isClosed = false;
  #onLastCall = (): void => undefined;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#slots = new ConnectionSlots(options.name, options.patience);
  }

  /** Whether `close` was called. */
  get closing(): boolean {
    return this.#closing !== undefined;
  }

  /** @throws PeerError ERR_CLOSED after `close` */
  check(): void {
    if (this.closing) throw this.#closedError();
  }

  /**
   * Take a connection for a call.
   *
   * @throws PeerError ERR_CLOSED after the pool was closed; ERR_BUSY when too many wait; ERR_ABORTED;
   *   what `dial` throws
   */
  async take({ share, signal }: UseOptions): Promise<{ lease: Lease; connection: Connection }> {
    // A stream that was made before `close` may begin after it.
    if (this.#isClosed) throw this.#closedError();
    if (signal?.aborted === true) throw abortError(signal);
    this.#calls++;
    try {
      const lease = await this.#take(share, signal);
      try {
        return { lease, connection: await unlessAborted(lease.ready, signal) };
      } catch (error) {
        this.#release(lease, false);
        throw error;
      }
    } catch (error) {
      this.#endCall();
      throw error;
    }
  }

  /** @param error what the call failed with, if it did */
  giveBack(lease: Lease, error?: { thrown: unknown }): void {
    this.#release(lease, error === undefined || isHarmless(error.thrown, lease));
    this.#endCall();
  }

  /** Do something over a connection. @throws as `take`; what `call` throws */
  async use<T>(
    options: UseOptions,
    call: (connection: Connection, lease: Lease) => Promise<T>,
  ): Promise<T> {
    const { lease, connection } = await this.take(options);
    let result: T;
    try {
      result = await call(connection, lease);
    } catch (error) {
      this.giveBack(lease, { thrown: error });
      throw error;
    }
    this.giveBack(lease);
    return result;
  }

  /**
   * Let the calls under way end, then end the connections. Calls whose connection brings nothing for as
   * long as the patience lasts fail with ERR_CLOSED.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async #close(): Promise<void> {
    // Streams that are being read begin in this turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    this.#isClosed = true;
    const closed: Promise<unknown>[] = [];
    const hangUpAll = (): void => {
      for (const connection of this.#idle.splice(0)) {
        if (connection.closed.aborted) continue;
        closed.push(once(connection.closed, 'abort'));
        hangUp(connection);
      }
    };
    hangUpAll();
    if (this.#calls > 0) {
      const watch = this.#watchProgress();
      await new Promise<void>((resolve) => (this.#onLastCall = resolve));
      clearInterval(watch);
    }
    hangUpAll();
    await Promise.all(closed);
  }

  /** Ends connections on which nothing moves, while `close` waits for them. */
  #watchProgress(): NodeJS.Timeout {
    const seen = new Map<Lease, number | undefined>();
    return setInterval(() => {
      for (const lease of this.#leases) {
        const left = lease.sink?.remaining;
        if (seen.has(lease) && seen.get(lease) === left) {
          lease.stopDialling();
          lease.connection?.destroy(this.#closedError());
        }
        seen.set(lease, left);
      }
    }, this.#options.patience);
  }

  async #take(share: unknown, signal: AbortSignal | undefined): Promise<Lease> {
    let lease = share === undefined ? undefined : this.#shared.get(share);
    if (lease === undefined || lease.connection?.usable === false) {
      if (share === undefined) await this.#slots.take(signal);
      lease = new Lease(share, (stop) => this.#idleConnection() ?? this.#options.dial(stop));
      this.#leases.add(lease);
      if (share !== undefined) this.#share(lease);
    }
    lease.users++;
    return lease;
  }

  #share(lease: Lease): void {
    this.#shared.set(lease.share, lease);
    // Later calls dial anew.
    lease.ready.catch(() => {
      this.#unshare(lease);
    });
  }

  #unshare(lease: Lease): void {
    if (this.#shared.get(lease.share) === lease) this.#shared.delete(lease.share);
  }

  #release(lease: Lease, harmless: boolean): void {
    if (!harmless) {
      lease.spoiled = true;
      this.#unshare(lease);
    }
    if (--lease.users > 0) return;
    lease.stopDialling();
    this.#leases.delete(lease);
    this.#unshare(lease);
    if (lease.share === undefined) this.#slots.give();
    const { connection, spoiled } = lease;
    if (connection?.usable !== true) return;
    if (spoiled) connection.destroy();
    else if (this.#idle.length < MAX_IDLE) this.#idle.push(connection);
    else hangUp(connection);
  }

  #endCall(): void {
    if (--this.#calls === 0) this.#onLastCall();
  }

  #idleConnection(): Connection | undefined {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.usable) return idle;
    }
    return undefined;
  }

  #closedError(): PeerError {
    return new PeerError('ERR_CLOSED', `the connection to ${this.#options.name} was closed here`);
  }
}

/** Whether a connection can be used again after a call over it failed. */
function isHarmless(error: unknown, { owes, share }: Lease): boolean {
  if (owes || !(error instanceof PeerError)) return false;
  // The peer's answer was an ERRR; or an answer that comes late is ignored.
  return isWireErrorCode(error.code)
    ? error.code !== 'ERR_TIMED_OUT'
    : share !== undefined && error.code === 'ERR_ABORTED';
}
