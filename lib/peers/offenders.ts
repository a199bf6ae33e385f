/**
 * Peers that do what no honest one does: each connection has its points, ends when they are too many, and
 * the peer at the other end is banned if this node knows where it is.
 */
import { PeerError } from '../errors.js';
import type { Connection } from '../net/connection.js';
import type { PeerContact } from '../wire/messages.js';
import { PeerScore, type Offence } from '../limits/offences.js';

/** How often what was done; connections ended for it; bans. */
export type OffenceStats = Readonly<Record<Offence | 'ended' | 'banned', number>>;

export function noOffences(): Record<Offence | 'ended' | 'banned', number> {
  return { malformed: 0, excess: 0, oversized: 0, stray: 0, flood: 0, ended: 0, banned: 0 };
}

export interface OffenderEvents {
  /** Whom not to dial for a while. */
  ban(peer: PeerContact): void;
  /** A connection ends that floods this node: nobody is to come from there for a while. */
  flood(connection: Connection): void;
}

interface Watched {
  conduct: PeerScore;
  /** Whom this node has reached, where, if it passes searches over this connection. */
  contact: PeerContact | undefined;
  /** It is over: nothing counts any more. */
  ended: boolean;
}

/** What ends a connection by itself, at the first time. */
const FAULTS: ReadonlySet<unknown> = new Set(['ERR_MALFORMED', 'ERR_TOO_LARGE']);

export class Offenders {
  readonly #watched = new WeakMap<Connection, Watched>();
  readonly #stats = noOffences();
  readonly #on: OffenderEvents;

  constructor(on: OffenderEvents) {
    this.#on = on;
  }

  get stats(): OffenceStats {
    return { ...this.#stats };
  }

  /** From now on it counts what is done on a connection. */
  watch(connection: Connection): void {
    this.#at(connection);
  }

  /**
   * A connection is used for searches. Only then anybody is banned for it: it leads to where the peer has
   * been reached, while an id alone can be said by everybody.
   */
  linked(connection: Connection, contact: PeerContact): void {
    this.#at(connection).contact = contact;
  }

  offends(connection: Connection, offence: Offence): void {
    const watched = this.#at(connection);
    if (watched.ended) return;
    this.#stats[offence]++;
    if (!watched.conduct.add(offence, performance.now())) return;
    watched.ended = true;
    this.#stats.ended++;
    // The ban first: what ends with the connection may be tried again at once.
    if (watched.contact !== undefined) {
      this.#stats.banned++;
      this.#on.ban(watched.contact);
    }
    if (offence === 'flood') this.#on.flood(connection);
    const error = new PeerError('ERR_FORBIDDEN', `${connection.name} was dropped: ${offence}`);
    connection.destroy(error);
  }

  #at(connection: Connection): Watched {
    const known = this.#watched.get(connection);
    if (known !== undefined) return known;
    const now = performance.now();
    const watched = { conduct: new PeerScore(now), contact: undefined, ended: false };
    this.#watched.set(connection, watched);
    const { closed } = connection;
    closed.addEventListener(
      'abort',
      () => {
        const { code } = closed.reason as Partial<PeerError>;
        if (FAULTS.has(code)) this.offends(connection, 'malformed');
      },
      { once: true },
    );
    return watched;
  }
}
