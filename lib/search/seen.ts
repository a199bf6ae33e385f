/** Searches that came by, remembered for a while, and the peers known to have them. */
import { createHash } from 'node:crypto';
import type { PeerId, Wanted } from '../wire/messages.js';

const NO_PEERS: ReadonlySet<PeerId> = new Set();
/** Askers of one search that are remembered. */
const MAX_ASKERS = 64;

/**
 * The peers that have a search already, with at least some ttl: they need not be asked. To consider all
 * askers so far, rather than only the present one, saves one message in nine where the copies of
 * a search overtake each other (10,000 peers, 8 links each, 5 to 35 ms a link, ttl 7).
 */
export class Coverage {
  readonly #askers: { id: string | undefined; ttl: number; peers: ReadonlySet<string> }[] = [];

  /** Neighbours that this node asked, and with what ttl at most. */
  readonly #told = new Map<string, number>();

  /** A neighbour is asked with this ttl: by a copy that came later, perhaps, and need not wait as long. */
  tell(peer: string, ttl: number): void {
    this.#told.set(peer, ttl);
  }

  /**
   * A peer asked with this ttl: it has the search with one more, and the peers it passes searches on
   * to have been asked by it with the same ttl, or had it with as much from elsewhere.
   */
  add(id: string | undefined, ttl: number, peers = NO_PEERS): void {
    if (this.#askers.length < MAX_ASKERS) this.#askers.push({ id, ttl, peers });
  }

  /** Whether a peer has the search with this ttl or a higher one. */
  has(peer: string, ttl: number): boolean {
    if ((this.#told.get(peer) ?? -1) >= ttl) return true;
    for (const asker of this.#askers) {
      if (asker.ttl >= ttl && asker.peers.has(peer)) return true;
      if (asker.ttl + 1 >= ttl && asker.id === peer) return true;
    }
    return false;
  }
}

/** Longer ones are not kept. */
const KEPT_QUERY = 64;

/**
 * What a search is known by: its id together with what it looks for. A peer that
 * sends another search under an id that it has seen cannot suppress the answer to the first.
 */
export function keyOf(id: string, { hash, query }: Wanted): string {
  const wanted = hash ?? query;
  if (wanted.length <= KEPT_QUERY) return `${id} ${wanted}`;
  return `${id} ${createHash('sha256').update(wanted).digest('base64')}`;
}

/** Another id for a search, from which the first does not follow. @param salt as in PROTOCOL.md, section 7 */
export function derivedId(id: string, salt: string): string {
  const digest = createHash('sha256').update(Buffer.from(id, 'hex')).update(salt).digest('hex');
  return digest.slice(0, id.length);
}

export interface SeenSearch {
  /** The highest it came with. */
  ttl: number;
  /** When it came first. */
  readonly at: number;
  /** Kept while the search is under way. */
  coverage: Coverage | undefined;
  /** How often it is under way. */
  open: number;
  /** Askers that have had this node's own matches; undefined for a search of its own. */
  answered: (string | number)[] | undefined;
}

/** Askers of one search that get this node's own matches. */
const MAX_ANSWERED = 64;

/**
 * Whether an asker has not had this node's own matches yet; it has them then. Each gets them once: another
 * that replays the search ahead does not keep them from it.
 *
 * @param asker not an object, which would be kept alive
 */
export function isFirstAnswer({ answered }: SeenSearch, asker: string | number): boolean {
  if (answered === undefined || answered.length >= MAX_ANSWERED || answered.includes(asker)) {
    return false;
  }
  answered.push(asker);
  return true;
}

export class SeenSearches {
  readonly #max: number;
  readonly #lifetime: number;
  /** By `keyOf`, the oldest first. */
  readonly #searches = new Map<string, SeenSearch>();

  /** @param lifetime milliseconds */
  constructor(max: number, lifetime: number) {
    this.#max = max;
    this.#lifetime = lifetime;
  }

  get size(): number {
    return this.#searches.size;
  }

  /** @param now milliseconds; never less than before */
  get(key: string, now: number): SeenSearch | undefined {
    const seen = this.#searches.get(key);
    return seen === undefined || now - seen.at >= this.#lifetime ? undefined : seen;
  }

  /** Remember a search that is not known; the oldest makes room. */
  add(key: string, ttl: number, now: number): SeenSearch {
    // A search that comes again after its time is a new one, and the youngest.
    this.#searches.delete(key);
    for (const [old, { at }] of this.#searches) {
      if (this.#searches.size < this.#max && now - at < this.#lifetime) break;
      this.#searches.delete(old);
    }
    const seen = { ttl, at: now, coverage: undefined, open: 0, answered: [] };
    this.#searches.set(key, seen);
    return seen;
  }
}
