/** What the peers of a node need from it, and what they tell. */
import type { PeerError } from '../errors.js';
import type { PeerAddress } from '../net/address.js';
import type { Connection, ConnectionOptions } from '../net/connection.js';
import type { TlsOptions } from '../net/dialer.js';
import type { PeerContact, PeerId } from '../wire/messages.js';
import type { Direction } from './link.js';
import type { PeerTimes } from './times.js';

/** What the connections that this node makes have in common. */
export type DialledConnectionOptions = TlsOptions &
  Pick<ConnectionOptions, 'handler' | 'quota' | 'sendBudget' | 'answerTimeout' | 'stallTimeout'>;

export interface NeighboursOptions extends DialledConnectionOptions {
  self: PeerId;
  /** Where this node listens. */
  listening: PeerAddress;
  /** Where it wants to be reached, if not there. */
  advertise?: PeerAddress | undefined;
  /** Program and version, for people. */
  agent: string;
  /** Peers that the user named. */
  named: readonly PeerAddress[];
  /** Peers to which links are kept. */
  maxPeers: number;
  /** Links to peers of one network. */
  maxPerNetwork: number;
  /** Whether peers are learned from the lists of others. */
  discover: boolean;
  times: PeerTimes;
  /** This node is there for some peers alone. */
  isPrivate: boolean;
  /** Whether a peer may use this node, by the id that it has proven. */
  isAllowed: (provenId: PeerId | undefined) => boolean;
  /** A connection ends because it floods this node. */
  onFlood: (connection: Connection) => void;
  onInternalError: (error: Error) => void;
  /** Told once of each address at which another peer answers than the one that the user named. */
  onWrongPeer: (error: PeerError) => void;
  /** The table of the last run, and where to keep this one's. */
  store: { loadPeers(): Uint8Array | undefined; savePeers(bytes: Uint8Array): void };
}

/** A peer that this node can reach. */
export interface Neighbour extends PeerContact {
  /** Seconds since it was last reached. */
  seen: number;
  /** Milliseconds that its last answer to PING took. */
  rtt: number;
  /** Which side wanted the link that is kept to it, if one is. */
  link: Direction | undefined;
  /** It is there for some peers alone, and listed to nobody. */
  isPrivate?: boolean;
}

/**
 * What has become of a peer: it can be reached (no more); a connection to it is kept (no more); it did what
 * no honest peer does, and is not dialled for a while.
 */
export interface PeerChange extends PeerContact {
  kind: 'up' | 'down' | 'linked' | 'unlinked' | 'banned';
}
