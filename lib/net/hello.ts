/** The first exchange on a connection: PING, whose answer tells whether a peer is there at all. */
import { PeerError } from '../errors.js';
import { PROTOCOL_VERSION } from '../wire/limits.js';
import type { PeerInfo, Pong } from '../wire/messages.js';
import { formatAddress, type PeerAddress } from './address.js';
import type { Connection } from './connection.js';
import { dial, type DialOptions } from './dialer.js';

export interface Greeted {
  connection: Connection;
  /** What the peer says of itself. */
  pong: Pong;
  /** Milliseconds from PING to its answer. */
  rtt: number;
}

/**
 * Connect to a peer that speaks our version of the protocol.
 *
 * @param info what to say of ourselves
 * @throws PeerError ERR_UNREACHABLE, ERR_TIMED_OUT, ERR_NOT_A_PEER, ERR_UNSUPPORTED, ERR_ABORTED; what
 *   the peer's ERRR says
 */
export async function dialPeer(
  address: PeerAddress,
  options: DialOptions,
  info: PeerInfo,
): Promise<Greeted> {
  const connection = await dial(address, options);
  const name = formatAddress(address);
  try {
    const begin = performance.now();
    const pong = await connection.request({ type: 'PING', info }, options.signal);
    const rtt = performance.now() - begin;
    const { version } = pong.info;
    if (version === PROTOCOL_VERSION) return { connection, pong, rtt };
    throw new PeerError('ERR_UNSUPPORTED', `${name} speaks protocol version ${version}`);
  } catch (error) {
    connection.destroy();
    throw notAPeer(error, name);
  }
}

/** What an error on the very first exchange says about the other end. */
function notAPeer(error: unknown, name: string): unknown {
  if (!(error instanceof PeerError)) return error;
  switch (error.code) {
    case 'ERR_MALFORMED':
    case 'ERR_TOO_LARGE':
      return new PeerError('ERR_NOT_A_PEER', `${name} is not a peer: its answer makes no sense`, {
        cause: error,
      });
    case 'ERR_CLOSED':
      return new PeerError(
        'ERR_NOT_A_PEER',
        `${name} is not a peer, or refuses: it closed the connection without an answer`,
        { cause: error },
      );
    default:
      return error;
  }
}
