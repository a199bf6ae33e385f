/** The peers at the other end of connections that they made: who they say they are, whom they know. */
import type { Connection } from '../net/connection.js';
import type { PeerAddress } from '../net/address.js';
import type { PeerId } from '../wire/messages.js';
import { linkedIds } from './link.js';
import { scopeOf } from '../net/scope.js';
import type { PeerTimes } from './times.js';

interface Caller {
  readonly id: PeerId;
  /** The address it connects from. */
  readonly host: string;
  /** It keeps the connection, and takes searches on it. */
  link: boolean;
  /** Whom it passes searches to, or will when it has answered; and since when. */
  asked: { readonly ids: Promise<ReadonlySet<PeerId>>; readonly at: number } | undefined;
}

const NOBODY: ReadonlySet<PeerId> = new Set();

export class InboundPeers {
  readonly #times: PeerTimes;
  readonly #callers = new Map<Connection, Caller>();

  constructor(times: PeerTimes) {
    this.#times = times;
  }

  /** A peer that can be a node has said who it is. */
  set(connection: Connection, id: PeerId, host: string, link: boolean): void {
    if (connection.closed.aborted) return;
    if (!this.#callers.has(connection)) {
      const forget = (): void => {
        this.#callers.delete(connection);
      };
      connection.closed.addEventListener('abort', forget, { once: true });
    }
    const asked = this.#callers.get(connection)?.asked;
    this.#callers.set(connection, { id, host, link, asked });
  }

  idOf(connection: Connection): PeerId | undefined {
    return this.#callers.get(connection)?.id;
  }

  /**
   * A connection of a peer that takes searches, and comes from where the peer has been reached: anybody
   * can say any id.
   */
  linkOf(id: PeerId, { host }: PeerAddress): Connection | undefined {
    for (const [connection, caller] of this.#callers) {
      if (caller.id !== id || !caller.link || !connection.usable) continue;
      const sameHost = caller.host === host;
      const sameMachine = scopeOf(caller.host) === 'loopback' && scopeOf(host) === 'loopback';
      if (sameHost || sameMachine) return connection;
    }
    return undefined;
  }

  /** To whom a caller passes searches, asked of it at most now and then. */
  peerIdsOf(connection: Connection): Promise<ReadonlySet<PeerId>> {
    const caller = this.#callers.get(connection);
    if (caller === undefined) return Promise.resolve(NOBODY);
    const now = performance.now();
    if (caller.asked === undefined || now - caller.asked.at > this.#times.asked) {
      const limit = AbortSignal.timeout(this.#times.answer);
      const ids = connection.request({ type: 'RQLT' }, limit).then(
        ({ peers }) => linkedIds(peers),
        () => NOBODY,
      );
      caller.asked = { ids, at: now };
    }
    return caller.asked.ids;
  }
}
