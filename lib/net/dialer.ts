/** Connect to a peer. */
import { lookup } from 'node:dns/promises';
import { Socket, isIP, type OnReadOpts, type SocketConstructorOpts } from 'node:net';
import { PeerError, abortError, asError, systemCode } from '../errors.js';
import { formatAddress, type PeerAddress } from './address.js';
import { Connection, type ConnectionOptions } from './connection.js';

export interface DialOptions extends Omit<ConnectionOptions, 'name'> {
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
 * failed or taken 250 ms; earlier attempts go on (RFC 8305, Happy Eyeballs).
 *
 * @throws PeerError ERR_UNREACHABLE, ERR_TIMED_OUT or ERR_ABORTED
 */
export async function dial(address: PeerAddress, options: DialOptions): Promise<Connection> {
  const { connectTimeout, signal, resolve = addressesOf } = options;
  const name = formatAddress(address);
  if (signal?.aborted === true) throw abortError(signal);
  const race = new Race(address.port, { ...options, name });
  const timer = setTimeout(() => {
    const seconds = connectTimeout / 1000;
    race.end(new PeerError('ERR_TIMED_OUT', `${name}: no connection within ${seconds} s`));
  }, connectTimeout);
  const onAbort = (): void => {
    if (signal !== undefined) race.end(abortError(signal));
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    resolve(address.host).then(race.start, race.fail);
    return await race.winner;
  } catch (error) {
    if (error instanceof PeerError) throw error;
    throw new PeerError('ERR_UNREACHABLE', `${name}: ${reasonOf(error)}`, { cause: error });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Attempts to connect to the addresses of one host. */
class Race {
  readonly winner: Promise<Connection>;
  readonly #port: number;
  readonly #options: ConnectionOptions;
  readonly #open = new Set<Socket>();
  #addresses: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #win!: (connection: Connection) => void;
  #lose!: (error: unknown) => void;

  constructor(port: number, options: ConnectionOptions) {
    this.#port = port;
    this.#options = options;
    this.winner = new Promise((resolve, reject) => {
      this.#win = resolve;
      this.#lose = reject;
    });
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
    // The constructor takes what net.connect takes (it passes it on); its type does not say so. Half open:
    // a peer that ends its half after its last request still gets the answers.
    const socketOptions: SocketConstructorOpts & { onread: OnReadOpts } = {
      onread,
      allowHalfOpen: true,
    };
    const socket = new Socket(socketOptions);
    this.#open.add(socket);
    const onError = (error: Error): void => {
      this.#open.delete(socket);
      this.fail(error);
    };
    socket.once('error', onError).once('connect', () => {
      this.#open.delete(socket.off('error', onError));
      this.#stop();
      connection = new Connection(socket, this.#options);
      this.#win(connection);
    });
    socket.connect({ host, port: this.#port });
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
