/**
 * Peers that do what no honest peer does: each connection has a score. When it reaches the limit the
 * connection ends, and an address is banned if this node made the connection to it.
 */
import { PeerError } from '../errors.js';
import type { Connection } from '../net/connection.js';
import type { PeerContact } from '../wire/messages.js';
import { PeerScore, type Misbehaviour } from '../limits/peer-score.js';

/** How often each kind of misbehaviour was seen; connections ended for it, and addresses banned. */
export type MisbehaviourStats = Readonly<Record<Misbehaviour | 'ended' | 'banned', number>>;

export function noMisbehaviour(): Record<Misbehaviour | 'ended' | 'banned', number> {
  return { malformed: 0, excess: 0, oversized: 0, stray: 0, flood: 0, ended: 0, banned: 0 };
}

export interface PeerScoreEvents {
  /** An address is not to be dialled for a while. */
  ban(peer: PeerContact): void;
  /** A connection ends that floods this node: its client is not to be accepted for a while. */
  flood(connection: Connection): void;
}

interface Watched {
  score: PeerScore;
  /** The peer and its address, if this node made the connection. */
  contact: PeerContact | undefined;
  /** It is over: nothing counts any more. */
  ended: boolean;
}

/** Errors that end a connection at the first time. */
const FAULTS: ReadonlySet<unknown> = new Set(['ERR_MALFORMED', 'ERR_TOO_LARGE']);

export class PeerScores {
  readonly #watched = new WeakMap<Connection, Watched>();
  readonly #stats = noMisbehaviour();
  readonly #on: PeerScoreEvents;

  constructor(on: PeerScoreEvents) {
    this.#on = on;
  }

  get stats(): MisbehaviourStats {
    return { ...this.#stats };
  }

  /**
   * Count what is done on a connection from now on.
   *
   * @param contact the peer, if this node has dialled it: the address is proven then, and only then banned.
   *   On an inbound connection a peer can claim any id.
   */
  watch(connection: Connection, contact?: PeerContact): void {
    const watched = this.#at(connection);
    if (contact !== undefined) watched.contact = contact;
  }

  penalise(connection: Connection, kind: Misbehaviour): void {
    const watched = this.#at(connection);
    if (watched.ended) return;
    this.#stats[kind]++;
    if (!watched.score.add(kind, performance.now())) return;
    watched.ended = true;
    this.#stats.ended++;
    // The ban first: what ends with the connection may be tried again at once.
    if (watched.contact !== undefined) {
      this.#stats.banned++;
      this.#on.ban(watched.contact);
    }
    if (kind === 'flood') this.#on.flood(connection);
    const error = new PeerError('ERR_FORBIDDEN', `${connection.name} was dropped: ${kind}`);
    connection.destroy(error);
  }

  #at(connection: Connection): Watched {
    const known = this.#watched.get(connection);
    if (known !== undefined) return known;
    const now = performance.now();
    const watched = { score: new PeerScore(now), contact: undefined, ended: false };
    this.#watched.set(connection, watched);
    const { closed } = connection;
    closed.addEventListener(
      'abort',
      () => {
        const { code } = closed.reason as Partial<PeerError>;
        if (FAULTS.has(code)) this.penalise(connection, 'malformed');
      },
      { once: true },
    );
    return watched;
  }
}
