/** Connect to a peer. */
import type { KeyObject } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { isIP, type OnReadOpts, type Socket } from 'node:net';
import { PeerError, abortError, asError, systemCode } from '../errors.js';
import { onAbort } from '../support/signal.js';
import { formatAddress, type PeerAddress } from './address.js';
import { plainConnect, type SecureConnect } from './connecting.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { scopeOf } from './scope.js';

/** Whether connections are encrypted, and who this side is then. */
export interface TlsOptions {
  /** True: with everybody; false: with nobody. @default with everybody but on loopback */
  tls?: boolean | undefined;
  /** The Ed25519 key by which this side proves its id, or what reads it. @default one of this process */
  key?: KeyObject | (() => Promise<KeyObject | undefined>) | undefined;
}

export interface DialOptions extends Omit<ConnectionOptions, 'name' | 'provenId'>, TlsOptions {
  /** Milliseconds until a connection must be there. */
  connectTimeout: number;
  signal?: AbortSignal | undefined;
  /** The addresses of a host, the preferred one first. @default those of the system's resolver */
  resolve?: ((host: string) => Promise<string[]>) | undefined;
}

/** Milliseconds from one attempt to the next: the Connection Attempt Delay of RFC 8305, section 5. */
export const ATTEMPT_DELAY = 250;
/** Addresses of one host that are tried. */
const MAX_ATTEMPTS = 20;

/**
 * Connect to the first address of a host that answers. The next one is tried when the last attempt has
 * failed or taken 250 ms; earlier attempts continue (RFC 8305, Happy Eyeballs). With TLS the handshake is part of it.
 *
 * @param address with a key: TLS is spoken in any case
 * @throws PeerError ERR_UNREACHABLE, ERR_TIMED_OUT or ERR_ABORTED; with TLS ERR_NOT_A_PEER, ERR_BUSY; ERR_WRONG_PEER
 *   when the peer has another key; ERR_USAGE when it shall prove one without TLS
 */
export async function dial(address: PeerAddress, options: DialOptions): Promise<Connection> {
  const { connectTimeout, signal, resolve = addressesOf, tls } = options;
  const { key } = address;
  const name = formatAddress(address);
  if (key !== undefined && tls === false) {
    throw new PeerError(
      'ERR_USAGE',
      `${name}: a peer proves its id with TLS alone, and it is turned off`,
    );
  }
  if (signal?.aborted === true) throw abortError(signal);
  const race = new Race(address, { ...options, name });
  const timer = setTimeout(() => {
    const seconds = connectTimeout / 1000;
    race.end(new PeerError('ERR_TIMED_OUT', `${name}: no connection within ${seconds} s`));
  }, connectTimeout);
  const forget = onAbort(signal, (signal) => {
    race.end(abortError(signal));
  });
  try {
    resolve(address.host)
      .then(async (addresses) => {
        const isSecure = (host: string): boolean =>
          key !== undefined || (tls ?? scopeOf(host) !== 'loopback');
        // Loaded only where it is used: a command starts faster.
        if (addresses.some(isSecure)) await race.secure(isSecure);
        race.start(addresses);
      })
      .catch(race.fail);
    return await race.winner;
  } catch (error) {
    if (error instanceof PeerError) throw error;
    throw new PeerError('ERR_UNREACHABLE', `${name}: ${reasonOf(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
    forget();
  }
}

/** Attempts to connect to the addresses of one host. */
class Race {
  readonly winner: Promise<Connection>;
  readonly #address: PeerAddress;
  readonly #options: DialOptions & { name: string };
  readonly #open = new Set<Socket>();
  #secure: { connect: SecureConnect; isFor: (host: string) => boolean } | undefined;
  #addresses: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #win!: (connection: Connection) => void;
  #lose!: (error: unknown) => void;

  constructor(address: PeerAddress, options: DialOptions & { name: string }) {
    this.#address = address;
    this.#options = options;
    this.winner = new Promise((resolve, reject) => {
      this.#win = resolve;
      this.#lose = reject;
    });
  }

  /** Encrypt the connections to some addresses. */
  async secure(isFor: (host: string) => boolean): Promise<void> {
    const { key } = this.#options;
    const [{ secureConnect }, privateKey] = await Promise.all([
      import('./tls/client.js'),
      typeof key === 'function' ? key() : key,
    ]);
    this.#secure = { connect: secureConnect(privateKey), isFor };
  }

  readonly start = (addresses: readonly string[]): void => {
    if (this.#over) return;
    this.#addresses = interleaved(addresses).slice(0, MAX_ATTEMPTS);
    this.#next();
  };

  /** An attempt has failed, or there are no addresses. */
  readonly fail = (error: unknown): void => {
    if (this.#addresses.length > 0) this.#next();
    else if (this.#open.size === 0) this.#lose(error);
  };

  /** Give up. */
  end(error: PeerError): void {
    this.#stop();
    this.#lose(error);
  }

  #next(): void {
    clearTimeout(this.#timer);
    const host = this.#addresses.shift();
    if (host === undefined) return;
    this.#attempt(host);
    this.#timer = setTimeout(() => {
      this.#next();
    }, ATTEMPT_DELAY);
  }

  #attempt(host: string): void {
    // The socket needs the connection's buffers, and the connection a socket that is connected; nothing is
    // read before.
    let connection: Connection | undefined;
    const onread: OnReadOpts = {
      buffer: () => connection?.onread.buffer() ?? NOTHING,
      callback: (n, memory) => connection?.onread.callback(n, memory) ?? false,
    };
    const { name } = this.#options;
    const { port, key } = this.#address;
    const { socket, whenUsable } =
      this.#secure?.isFor(host) === true
        ? this.#secure.connect({ host, port, onread }, { name, key })
        : plainConnect({ host, port, onread });
    this.#open.add(socket);
    const onError = (error: Error): void => {
      this.#open.delete(socket);
      this.fail(error);
    };
    socket.once('error', onError).once('connect', () => {
      this.#open.delete(socket.off('error', onError));
      this.#stop();
      // It alone may still be given up.
      this.#open.add(socket);
      whenUsable((provenId) => {
        this.#open.delete(socket);
        connection = new Connection(socket, { ...this.#options, provenId });
        this.#win(connection);
      }, this.#lose);
    });
  }

  #stop(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#addresses = [];
    for (const socket of this.#open) socket.destroy();
    this.#open.clear();
  }
}

const NOTHING = new Uint8Array(1);

async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** The families by turns, each in its order; the family of the first address first. */
function interleaved(addresses: readonly string[]): string[] {
  const isFirst = (address: string): boolean => isIP(address) === isIP(addresses[0] ?? '');
  const first = addresses.filter(isFirst);
  const second = addresses.filter((address) => !isFirst(address));
  return Array.from({ length: Math.max(first.length, second.length) }, (_, i) =>
    [first[i], second[i]].filter((address) => address !== undefined),
  ).flat();
}

const REASONS = new Map([
  ['ECONNREFUSED', 'connection refused'],
  ['ENOTFOUND', 'no such host'],
  ['EAI_AGAIN', 'the name could not be looked up'],
  ['EHOSTUNREACH', 'no route to the host'],
  ['ENETUNREACH', 'the network is unreachable'],
  ['ECONNRESET', 'connection reset'],
  ['ETIMEDOUT', 'timed out'],
]);

function reasonOf(error: unknown): string {
  const code = systemCode(error) ?? '';
  return REASONS.get(code) ?? (code || asError(error).message);
}
