/** Connect to a peer as a client: one that sends requests and shares no files. */
import { PeerError } from '../errors.js';
import type { PeerAddress } from '../net/address.js';
import type { Connection, RequestHandler } from '../net/connection.js';
import { dialPeer, type Greeted } from '../net/hello.js';
import { option, type ConnectOptions } from '../options.js';
import { AGENT } from '../support/version.js';
import { PROTOCOL_VERSION } from '../wire/limits.js';
import type { PeerInfo } from '../wire/messages.js';

/** What a client says of itself. */
export const CLIENT: PeerInfo = { version: PROTOCOL_VERSION, agent: AGENT };

const answerAsClient: RequestHandler = (request, exchange) => {
  if (request.type !== 'PING') throw new PeerError('ERR_UNSUPPORTED', 'this peer shares nothing');
  exchange.send({ type: 'ACKN', of: 'PING', info: CLIENT, files: 0, bytes: 0, state: 'ready' });
};

/** @throws PeerError as `dialPeer`; ERR_USAGE for an option */
export function callPeer(
  address: PeerAddress,
  { connectTimeout, answerTimeout, tls, key, signal }: ConnectOptions,
): Promise<Greeted> {
  return dialPeer(
    address,
    {
      handler: answerAsClient,
      connectTimeout: option('connectTimeout', connectTimeout),
      answerTimeout: option('answerTimeout', answerTimeout),
      tls: option('tls', tls),
      key,
      signal: signal ?? undefined,
    },
    CLIENT,
  );
}

/** Milliseconds that the other side has to close the connection. */
const CLOSE_GRACE = 1000;

/** End a connection; at once when the other side does not close its own soon. */
export function hangUp(connection: Connection): void {
  if (connection.closed.aborted) return;
  connection.end();
  const timer = setTimeout(() => {
    connection.destroy();
  }, CLOSE_GRACE);
  connection.closed.addEventListener(
    'abort',
    () => {
      clearTimeout(timer);
    },
    { once: true },
  );
}
