/** The first exchange on a connection: PING, whose answer tells whether a peer is there at all. */
import { PeerError } from '../errors.js';
import { PROTOCOL_VERSION } from '../wire/limits.js';
import type { PeerId, PeerInfo, Pong } from '../wire/messages.js';
import { formatAddress, type PeerAddress } from './address.js';
import type { Connection } from './connection.js';
import { dial, type DialOptions } from './dialer.js';

export interface GreetOptions extends DialOptions {
  /** Whether anything may be said to a peer, by the id that it has proven. @default to everybody */
  isAllowed?: ((provenId: PeerId | undefined) => boolean) | undefined;
}

export interface Greeted {
  connection: Connection;
  /** Its id: proven, if the connection has proven one, or what it says. */
  id: PeerId | undefined;
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
  options: GreetOptions,
  info: PeerInfo,
): Promise<Greeted> {
  const connection = await dial(address, options);
  const name = formatAddress(address);
  if (options.isAllowed?.(connection.provenId) === false) {
    connection.destroy();
    throw new PeerError('ERR_FORBIDDEN', `${name} is not on the list of those allowed`);
  }
  try {
    const begin = performance.now();
    const pong = await connection.request({ type: 'PING', info }, options.signal);
    const rtt = performance.now() - begin;
    const { version } = pong.info;
    if (version !== PROTOCOL_VERSION) {
      throw new PeerError('ERR_UNSUPPORTED', `${name} speaks protocol version ${version}`);
    }
    checkId(connection, pong.info);
    return { connection, id: connection.provenId ?? pong.info.id, pong, rtt };
  } catch (error) {
    connection.destroy();
    throw notAPeer(error, name);
  }
}

/** @throws PeerError ERR_MALFORMED when a peer says that it has another id than the one that it has proven */
export function checkId({ provenId }: Connection, { id }: PeerInfo): void {
  if (provenId === undefined || id === undefined || id === provenId) return;
  throw new PeerError('ERR_MALFORMED', 'the id is not that of the certificate');
}

/** What an error on the very first exchange says about the other end. */
function notAPeer(error: unknown, name: string): unknown {
  if (!(error instanceof PeerError)) return error;
  switch (error.code) {
    case 'ERR_MALFORMED':
    case 'ERR_TOO_LARGE':
      return new PeerError(
        'ERR_NOT_A_PEER',
        `${name} is not a peer: its answer is not understood`,
        {
          cause: error,
        },
      );
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
