/**
 * Which connections are let in, and which one is evicted when there are as many as there may be.
 *
 * To refuse newcomers would let the first comers shut out everybody else at no cost. So a newcomer is let in
 * and a less useful connection is evicted, as in Bitcoin Core (`AttemptToEvictConnection`): an idle one of the
 * client that has most; of several one that has never been of use (it has only sent PING, or nothing), then
 * the one whose last use is longest ago.
 *
 * If all are busy, the youngest of the client that has most is evicted, because it loses least; but only when
 * that client has at least two more than the newcomer's, or they would evict one another. Links to neighbours
 * are never evicted: searches depend on them, they have been dialled back, and there are few. A connection
 * that has not been answered yet has a second to send its first request.
 *
 * Connections that have not been answered yet (`pending`) have a limit of their own: the oldest of the client
 * that has most of them is evicted. A client is an IPv4 address or an IPv6 /64; one that has its full number
 * loses one of its own connections, or gets no more.
 */
import { systemClock, type Clock } from '../support/clock.js';

export interface AdmissionLimits {
  /** Connections in all. */
  total: number;
  /** Of one client. */
  perClient: number;
  /** Of all clients, that have not been answered yet. */
  pending: number;
}

/** A connection, as far as admission needs to know it. */
export interface Candidate {
  /** The client that it counts for. */
  readonly client: string;
  /** When it was accepted: milliseconds of the clock. */
  readonly since: number;
  /** When it was last of use; undefined: never. */
  readonly lastUse: number | undefined;
  /** It waits for an answer, or is being sent one. */
  readonly busy: boolean;
  /** A link to a neighbour: never evicted. */
  readonly kept: boolean;
}

/** Milliseconds in which a new connection is not evicted before it was of use, or at least answered. */
const GRACE = 1000;

/** Evictions that one look at all connections finds. */
const LOOK_AHEAD = 64;

export type Verdict<C> = { admitted: true; evict: C | undefined } | { admitted: false };

interface Client<C> {
  /** In the order of accepting; of these, those not answered yet. */
  readonly all: Set<C>;
  readonly pending: Set<C>;
}

export class Admission<C extends Candidate> {
  readonly #limits: Readonly<AdmissionLimits>;
  readonly #clock: Clock;
  readonly #clients = new Map<string, Client<C>>();
  #size = 0;
  #pending = 0;
  /** The next ones to evict when only the limit of all connections is reached. */
  #next: C[] = [];

  constructor(limits: AdmissionLimits, clock: Clock = systemClock) {
    this.#limits = { ...limits };
    this.#clock = clock;
  }

  /** Connections that are in. */
  get size(): number {
    return this.#size;
  }

  /** Of these, those not answered yet. */
  get pending(): number {
    return this.#pending;
  }

  /** @returns whether a connection of this client is let in, and which one to evict for it */
  judge(name: string): Verdict<C> {
    const own = this.#clients.get(name);
    const { total, perClient, pending } = this.#limits;
    if (own !== undefined && own.all.size >= perClient) {
      const young = this.#clock.now() - GRACE;
      const mayPend = this.#pending < pending;
      const idle = firstIdle(own.pending, young) ?? (mayPend ? this.#weakest([own]) : undefined);
      // Those that come again at once would evict one another before any of them is served.
      const isNew = idle !== undefined && idle.since > young && idle.lastUse === undefined;
      return verdictOf(isNew ? undefined : idle);
    }
    if (this.#pending >= pending) return verdictOf(this.#oldestPending());
    if (this.#size < total) return { admitted: true, evict: undefined };
    const most = (own?.all.size ?? 0) + 2;
    return verdictOf(this.#weakestOfAll() ?? this.#oldestPending() ?? this.#youngestOfMany(most));
  }

  add(candidate: C): void {
    let own = this.#clients.get(candidate.client);
    if (own === undefined) {
      own = { all: new Set(), pending: new Set() };
      this.#clients.set(candidate.client, own);
    }
    own.all.add(candidate);
    own.pending.add(candidate);
    this.#size++;
    this.#pending++;
  }

  /** It has been answered. */
  proven(candidate: C): void {
    if (this.#clients.get(candidate.client)?.pending.delete(candidate) === true) this.#pending--;
  }

  /** It is closed, or closing. */
  delete(candidate: C): void {
    const own = this.#clients.get(candidate.client);
    if (own?.all.delete(candidate) !== true) return;
    if (own.pending.delete(candidate)) this.#pending--;
    if (own.all.size === 0) this.#clients.delete(candidate.client);
    this.#size--;
  }

  /**
   * The least useful connections, `count` at most, for when there is no room even for those that are in.
   * The caller deletes them.
   */
  leastUseful(count: number): C[] {
    const rank = (candidate: C): number => {
      if (candidate.kept) return 3;
      if (candidate.busy) return 2;
      return this.#clients.get(candidate.client)?.pending.has(candidate) === true ? 0 : 1;
    };
    return Array.from(this.#clients.values(), ({ all }) => [...all])
      .flat()
      .map((candidate) => ({ candidate, rank: rank(candidate) }))
      .sort((a, b) => a.rank - b.rank || (isOfLessUse(a.candidate, b.candidate) ? -1 : 1))
      .slice(0, count)
      .map(({ candidate }) => candidate);
  }

  /** Of the client that has most of them. */
  #oldestPending(): C | undefined {
    if (this.#pending === 0) return undefined;
    let most: { candidate: C; count: number } | undefined;
    for (const { pending } of this.#clients.values()) {
      if (pending.size <= (most?.count ?? 0)) continue;
      const candidate = firstIdle(pending);
      if (candidate !== undefined) most = { candidate, count: pending.size };
    }
    return most?.candidate;
  }

  /** The idle one that is of least use, of the client that has most. */
  #weakest(clients: Iterable<Client<C>>): C | undefined {
    return this.#weakestFew(clients, 1)[0];
  }

  /** The same of all clients. A look at all connections is as costly as an accept: it finds the next ones, too. */
  #weakestOfAll(): C | undefined {
    for (;;) {
      const next = this.#next.shift();
      if (next === undefined) break;
      const { all } = this.#clients.get(next.client) ?? {};
      if (all?.has(next) === true && !next.busy && !next.kept) return next;
    }
    this.#next = this.#weakestFew(this.#clients.values(), LOOK_AHEAD);
    return this.#next.shift();
  }

  /** The `count` weakest, the weakest first. */
  #weakestFew(clients: Iterable<Client<C>>, count: number): C[] {
    const young = this.#clock.now() - GRACE;
    const few: { candidate: C; own: number }[] = [];
    for (const { all, pending } of clients) {
      const own = all.size;
      for (const candidate of all) {
        const last = few.length < count ? undefined : few.at(-1);
        if (last !== undefined && !isWeaker({ candidate, own }, last)) continue;
        if (candidate.busy || candidate.kept) continue;
        if (candidate.since > young && pending.has(candidate)) continue;
        if (last !== undefined) few.pop();
        const place = few.findIndex((other) => isWeaker({ candidate, own }, other));
        few.splice(place < 0 ? few.length : place, 0, { candidate, own });
      }
    }
    return few.map(({ candidate }) => candidate);
  }

  /** Of the client that has most, if it has at least `least`: the last one that may be evicted. */
  #youngestOfMany(least: number): C | undefined {
    let most: Set<C> | undefined;
    for (const { all } of this.#clients.values()) {
      if (all.size >= Math.max(least, (most?.size ?? 0) + 1)) most = all;
    }
    return [...(most ?? [])].filter(({ kept }) => !kept).at(-1);
  }
}

/** @param own how many connections its client has */
function isWeaker(
  a: { candidate: Candidate; own: number },
  b: { candidate: Candidate; own: number },
): boolean {
  return a.own === b.own ? isOfLessUse(a.candidate, b.candidate) : a.own > b.own;
}

function isOfLessUse(a: Candidate, b: Candidate): boolean {
  const isNever = a.lastUse === undefined;
  if (isNever !== (b.lastUse === undefined)) return isNever;
  return (a.lastUse ?? a.since) < (b.lastUse ?? b.since);
}

/** The oldest that does not wait for an answer, if it was accepted by then. */
function firstIdle<C extends Candidate>(candidates: Iterable<C>, by = Infinity): C | undefined {
  for (const candidate of candidates) {
    if (candidate.since <= by && !candidate.busy && !candidate.kept) return candidate;
  }
  return undefined;
}

function verdictOf<C>(evict: C | undefined): Verdict<C> {
  return evict === undefined ? { admitted: false } : { admitted: true, evict };
}
