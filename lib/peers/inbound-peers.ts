/** The peers at the other end of connections that they made: the ids they claim, the peers they know. */
import type { Connection } from '../net/connection.js';
import type { PeerAddress } from '../net/address.js';
import type { PeerId } from '../wire/messages.js';
import { linkedIds } from './link.js';
import { networksOf } from './networks.js';
import type { PeerTimes } from './times.js';

interface InboundPeer {
  readonly id: PeerId;
  /** The address it connects from. */
  readonly from: PeerAddress;
  /** It keeps the connection, and takes searches on it. */
  link: boolean;
  /** The peers it passes searches to, or will when it has answered; and since when. */
  list: { readonly ids: Promise<ReadonlySet<PeerId>>; readonly at: number } | undefined;
}

const NO_PEERS: ReadonlySet<PeerId> = new Set();

export class InboundPeers {
  readonly #times: PeerTimes;
  readonly #peers = new Map<Connection, InboundPeer>();
  /** Connections that are kept as links by the other side, by the id it says. */
  readonly #links = new Map<PeerId, Set<Connection>>();

  constructor(times: PeerTimes) {
    this.#times = times;
  }

  /** A peer that can be a node has said its id. */
  set(connection: Connection, id: PeerId, from: PeerAddress, link: boolean): void {
    if (connection.closed.aborted) return;
    const before = this.#peers.get(connection);
    if (before === undefined) {
      const forget = (): void => {
        const peer = this.#peers.get(connection);
        this.#peers.delete(connection);
        if (peer !== undefined) this.#unlink(peer.id, connection);
      };
      connection.closed.addEventListener('abort', forget, { once: true });
    } else if (before.id !== id) {
      this.#unlink(before.id, connection);
    }
    this.#peers.set(connection, { id, from, link, list: before?.list });
    if (link) this.#links.set(id, (this.#links.get(id) ?? new Set()).add(connection));
  }

  /** The id said on a connection, and the address it came from. A claim. */
  get(connection: Connection): Pick<InboundPeer, 'id' | 'from'> | undefined {
    return this.#peers.get(connection);
  }

  /** The last connection that a peer reached at `address` keeps as its link to this node, if it has one. */
  linkOf(id: PeerId, address: PeerAddress): Connection | undefined {
    const isOf = (connection: Connection): boolean => {
      const from = this.#peers.get(connection)?.from;
      if (!connection.usable || from === undefined) return false;
      return connection.provenId === id || isSameMachine(from, address);
    };
    return [...(this.#links.get(id) ?? [])].findLast(isOf);
  }

  /** The peers to which the one at the other end passes searches, requested at most once in `listCached` ms. */
  peerIdsOf(connection: Connection): Promise<ReadonlySet<PeerId>> {
    const peer = this.#peers.get(connection);
    if (peer === undefined) return Promise.resolve(NO_PEERS);
    const now = performance.now();
    if (peer.list === undefined || now - peer.list.at > this.#times.listCached) {
      const limit = AbortSignal.timeout(this.#times.answer);
      const ids = connection.request({ type: 'RQLT' }, limit).then(
        ({ peers }) => linkedIds(peers),
        () => NO_PEERS,
      );
      peer.list = { ids, at: now };
    }
    return peer.list.ids;
  }

  #unlink(id: PeerId, connection: Connection): void {
    const connections = this.#links.get(id);
    connections?.delete(connection);
    if (connections?.size === 0) this.#links.delete(id);
  }
}

/** Whether what comes from one address can be the peer that was reached at the other. */
export function isSameMachine(a: PeerAddress, b: PeerAddress): boolean {
  return a.host === b.host || (networksOf(a).isLoopback && networksOf(b).isLoopback);
}
