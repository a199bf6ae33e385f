/**
 * Who may come in, and who goes for it, when there are as many connections as there may be.
 *
 * To refuse whoever comes next would let the first comers shut out everybody else for as long as they like,
 * at no cost. So a newcomer is let in and a connection that is of less use goes, as in Bitcoin Core
 * (`AttemptToEvictConnection`): an idle one of the client that has most, so that it helps nobody to come
 * often; of several one that has never been of use (it has only said PING, or nothing), then the one whose
 * last use is longest ago.
 *
 * If all are in the middle of something, the youngest of the client that has most goes, it loses least; but
 * only when that client has at least two more than the newcomer's, or they would drive out one another.
 * Neighbours never go: searches depend on them, they have been dialled back, and there are few. Who has just
 * come, and not been answered anything, has a second to say what it wants.
 *
 * Those that have not been answered anything (`pending`) have a limit of their own: the oldest of the client
 * that has most of them goes. A client is an IPv4 address or an IPv6 /64; one that has its full number gives
 * up one of its own, or gets no more.
 */
import { systemClock, type Clock } from '../support/clock.js';

export interface AdmissionLimits {
  /** Connections in all. */
  total: number;
  /** Of one client. */
  perClient: number;
  /** Of all clients, that have not been answered anything. */
  pending: number;
}

/** A connection, to who decides. */
export interface Candidate {
  /** On whose behalf it counts. */
  readonly client: string;
  /** When it came: milliseconds of the clock. */
  readonly since: number;
  /** When it was last of use; undefined: never. */
  readonly lastUse: number | undefined;
  /** It waits for an answer, or is being sent one. */
  readonly busy: boolean;
  /** A neighbour: never goes. */
  readonly kept: boolean;
}

/** Milliseconds in which a newcomer that has not been answered anything does not go for others. */
const NEWCOMER = 1000;

/** For how many newcomers it is looked who has to go. */
const LOOK_AHEAD = 64;

export type Verdict<G> = { admitted: true; evict: G | undefined } | { admitted: false };

interface Client<G> {
  /** In the order in which they came; of these, who have not been answered anything. */
  readonly all: Set<G>;
  readonly pending: Set<G>;
}

export class Admission<G extends Candidate> {
  readonly #limits: Readonly<AdmissionLimits>;
  readonly #clock: Clock;
  readonly #clients = new Map<string, Client<G>>();
  #size = 0;
  #pending = 0;
  /** Who goes next, when all limits but that of all connections are kept. */
  #next: G[] = [];

  constructor(limits: AdmissionLimits, clock: Clock = systemClock) {
    this.#limits = { ...limits };
    this.#clock = clock;
  }

  /** Connections that are in. */
  get size(): number {
    return this.#size;
  }

  /** Of these, who have not been answered anything. */
  get pending(): number {
    return this.#pending;
  }

  /** @returns whether a connection of this client may come in, and who has to go for it */
  judge(name: string): Verdict<G> {
    const own = this.#clients.get(name);
    const { total, perClient, pending } = this.#limits;
    if (own !== undefined && own.all.size >= perClient) {
      const mayPend = this.#pending < pending;
      return verdictOf(firstIdle(own.pending) ?? (mayPend ? this.#weakest([own]) : undefined));
    }
    if (this.#pending >= pending) return verdictOf(this.#oldestPending());
    if (this.#size < total) return { admitted: true, evict: undefined };
    const most = (own?.all.size ?? 0) + 2;
    return verdictOf(this.#weakestOfAll() ?? this.#oldestPending() ?? this.#youngestOfMany(most));
  }

  add(guest: G): void {
    let own = this.#clients.get(guest.client);
    if (own === undefined) {
      own = { all: new Set(), pending: new Set() };
      this.#clients.set(guest.client, own);
    }
    own.all.add(guest);
    own.pending.add(guest);
    this.#size++;
    this.#pending++;
  }

  /** It has been answered something. */
  proven(guest: G): void {
    if (this.#clients.get(guest.client)?.pending.delete(guest) === true) this.#pending--;
  }

  /** It has gone, or is going. */
  delete(guest: G): void {
    const own = this.#clients.get(guest.client);
    if (own?.all.delete(guest) !== true) return;
    if (own.pending.delete(guest)) this.#pending--;
    if (own.all.size === 0) this.#clients.delete(guest.client);
    this.#size--;
  }

  /**
   * There is no room even for those that are in: who goes first, so many at most, of those that are of
   * least use. They are to be deleted.
   */
  leastUseful(count: number): G[] {
    const rank = (guest: G): number => {
      if (guest.kept) return 3;
      if (guest.busy) return 2;
      return this.#clients.get(guest.client)?.pending.has(guest) === true ? 0 : 1;
    };
    return Array.from(this.#clients.values(), ({ all }) => [...all])
      .flat()
      .map((guest) => ({ guest, rank: rank(guest) }))
      .sort((a, b) => a.rank - b.rank || (isOfLessUse(a.guest, b.guest) ? -1 : 1))
      .slice(0, count)
      .map(({ guest }) => guest);
  }

  /** Of the client that has most of them. */
  #oldestPending(): G | undefined {
    if (this.#pending === 0) return undefined;
    let most: { guest: G; count: number } | undefined;
    for (const { pending } of this.#clients.values()) {
      if (pending.size <= (most?.count ?? 0)) continue;
      const guest = firstIdle(pending);
      if (guest !== undefined) most = { guest, count: pending.size };
    }
    return most?.guest;
  }

  /** The idle one that is of least use, of the client that has most. */
  #weakest(clients: Iterable<Client<G>>): G | undefined {
    return this.#weakestFew(clients, 1)[0];
  }

  /** The same of all. A look at all of them costs as much as it is to accept one: it is for the next, too. */
  #weakestOfAll(): G | undefined {
    for (;;) {
      const next = this.#next.shift();
      if (next === undefined) break;
      const { all } = this.#clients.get(next.client) ?? {};
      if (all?.has(next) === true && !next.busy && !next.kept) return next;
    }
    this.#next = this.#weakestFew(this.#clients.values(), LOOK_AHEAD);
    return this.#next.shift();
  }

  /** So many at most, the weakest first. */
  #weakestFew(clients: Iterable<Client<G>>, count: number): G[] {
    const young = this.#clock.now() - NEWCOMER;
    const few: { guest: G; own: number }[] = [];
    for (const { all, pending } of clients) {
      const own = all.size;
      for (const guest of all) {
        const last = few.length < count ? undefined : few.at(-1);
        if (last !== undefined && !isWeaker({ guest, own }, last)) continue;
        if (guest.busy || guest.kept) continue;
        if (guest.since > young && pending.has(guest)) continue;
        if (last !== undefined) few.pop();
        const place = few.findIndex((other) => isWeaker({ guest, own }, other));
        few.splice(place < 0 ? few.length : place, 0, { guest, own });
      }
    }
    return few.map(({ guest }) => guest);
  }

  /** Of the client that has most, if it has so many: the one that came last and may go. */
  #youngestOfMany(least: number): G | undefined {
    let most: Set<G> | undefined;
    for (const { all } of this.#clients.values()) {
      if (all.size >= Math.max(least, (most?.size ?? 0) + 1)) most = all;
    }
    return [...(most ?? [])].filter(({ kept }) => !kept).at(-1);
  }
}

/** @param own how many connections its client has */
function isWeaker(
  a: { guest: Candidate; own: number },
  b: { guest: Candidate; own: number },
): boolean {
  return a.own === b.own ? isOfLessUse(a.guest, b.guest) : a.own > b.own;
}

function isOfLessUse(a: Candidate, b: Candidate): boolean {
  const isNever = a.lastUse === undefined;
  if (isNever !== (b.lastUse === undefined)) return isNever;
  return (a.lastUse ?? a.since) < (b.lastUse ?? b.since);
}

/** The oldest that does not wait for an answer. */
function firstIdle<G extends Candidate>(guests: Iterable<G>): G | undefined {
  for (const guest of guests) if (!guest.busy && !guest.kept) return guest;
  return undefined;
}

function verdictOf<G>(evict: G | undefined): Verdict<G> {
  return evict === undefined ? { admitted: false } : { admitted: true, evict };
}
