/** Sockets that connect, in the clear or with TLS. */
import { Socket, type OnReadOpts, type SocketConstructorOpts } from 'node:net';
import type { PeerError } from '../errors.js';
import type { PeerId } from '../wire/messages.js';

/** Where to connect to, and where what is read goes. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly onread: OnReadOpts;
}

/** A socket that connects. */
export interface Connecting {
  readonly socket: Socket;
  /**
   * To be called when it is connected. Calls one of its arguments once: before anything is read that the other side
   * sends on the connection, or with what went wrong.
   */
  readonly whenUsable: (
    onUsable: (provenId?: PeerId) => void,
    onError: (error: PeerError) => void,
  ) => void;
}

/** @param expected the peer's name, for messages, and the id that it must prove; undefined: any */
export type SecureConnect = (
  target: Target,
  expected: { name: string; key: PeerId | undefined },
) => Connecting;

export function plainConnect({ host, port, onread }: Target): Connecting {
  // The constructor takes what net.connect takes (it passes it on); its type does not say so. Half open:
  // a peer that ends its half after its last request still gets the answers.
  const options: SocketConstructorOpts & { onread: OnReadOpts } = { onread, allowHalfOpen: true };
  const socket = new Socket(options).connect({ host, port });
  const whenUsable: Connecting['whenUsable'] = (onUsable) => {
    onUsable();
  };
  return { socket, whenUsable };
}
