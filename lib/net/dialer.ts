/** Connect to a peer. */
import { Socket, type OnReadOpts, type SocketConstructorOpts } from 'node:net';
import { PeerError, abortError, systemCode } from '../errors.js';
import { formatAddress, type PeerAddress } from './address.js';
import { Connection, type ConnectionOptions } from './connection.js';

export interface DialOptions extends Omit<ConnectionOptions, 'name'> {
  /** Milliseconds until a connection must be there. */
  connectTimeout: number;
  signal?: AbortSignal | undefined;
}

/**
 * @throws PeerError ERR_UNREACHABLE, ERR_TIMED_OUT or ERR_ABORTED
 */
export async function dial(address: PeerAddress, options: DialOptions): Promise<Connection> {
  const { connectTimeout, signal } = options;
  const name = formatAddress(address);
  if (signal?.aborted === true) throw abortError(signal);
  // The socket needs the connection's buffers, and the connection the socket; nothing is read before
  // it connects.
  const onread: OnReadOpts = {
    buffer: () => connection.onread.buffer(),
    callback: (n, memory) => connection.onread.callback(n, memory),
  };
  // The constructor takes what net.connect takes (it passes it on); its type does not say so.
  // Half open: a peer that ends its half after its last request still gets the answers.
  const socketOptions: SocketConstructorOpts & { onread: OnReadOpts } = {
    onread,
    allowHalfOpen: true,
  };
  const socket = new Socket(socketOptions);
  const connection: Connection = new Connection(socket, { ...options, name });
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      const seconds = connectTimeout / 1000;
      finish(new PeerError('ERR_TIMED_OUT', `${name}: no connection within ${seconds} s`));
    }, connectTimeout);
    const onAbort = (): void => {
      if (signal !== undefined) finish(abortError(signal));
    };
    const onError = (error: Error): void => {
      finish(new PeerError('ERR_UNREACHABLE', `${name}: ${reasonOf(error)}`, { cause: error }));
    };
    const onConnect = (): void => {
      finish();
    };
    const finish = (error?: PeerError): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off('error', onError).off('connect', onConnect);
      if (error === undefined) {
        resolve();
      } else {
        connection.destroy(error);
        reject(error);
      }
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError).once('connect', onConnect);
    socket.connect({ host: address.host, port: address.port });
  });
  return connection;
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

function reasonOf(error: Error): string {
  const code = systemCode(error) ?? '';
  return REASONS.get(code) ?? (code || error.message);
}
