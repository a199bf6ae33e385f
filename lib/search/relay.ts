/**
 * Searches that go from peer to peer: each node answers for itself, passes the search on, and relays
 * what comes back. The rules are those of PROTOCOL.md, "Passing searches on".
 *
 * Knows neither sockets nor clocks: the same code runs in a node and in a network in memory.
 */
import { PeerError } from '../errors.js';
import type { FileList, PeerId, Search, SearchEnd, Wanted } from '../wire/messages.js';
import { Askers } from './askers.js';
import { RELAY_LIMITS, type RelayLimits } from './limits.js';
import { ForwardLimit } from './forward-limit.js';
import { OpenSearch, SEEN_BEFORE, type OwnAnswer, type SearchHost } from './open-search.js';
import type { Asker, RelayStats, SearchEvents } from './roles.js';
import {
  Coverage,
  SeenSearches,
  derivedId,
  isFirstAnswer,
  keyOf,
  type SeenSearch,
} from './seen.js';

export interface RelayHost extends SearchHost {
  /** A new id for a search: 16 random bytes as 32 lower-case hex digits. */
  newId(): string;
  limits?: Partial<RelayLimits>;
}

export interface SearchSettings {
  /** Hops. @default 4 */
  ttl?: number;
  /** Milliseconds. @default that of the limits */
  timeout?: number;
  /** Entries wanted in one answer. */
  max?: number;
}

/** What comes of a search of the node's own. Its end always has counts. */
export interface OwnSearchEvents extends SearchEvents {
  end(end: SearchEnd): void;
}

const NOTHING_PASSED_ON: SearchEnd = Object.freeze({
  type: 'ACKN',
  of: 'RQFS',
  asked: 0,
  answered: 0,
  timedOut: 0,
  duplicates: 0,
});
const NO_PEERS: ReadonlySet<PeerId> = new Set();

export class Relay {
  readonly stats: RelayStats = {
    fresh: 0,
    again: 0,
    duplicates: 0,
    refused: 0,
    passedOn: 0,
    relayed: 0,
    dropped: 0,
    kept: 0,
    capped: 0,
    excess: 0,
    oversized: 0,
    repeated: 0,
    unbelieved: 0,
    stray: 0,
    late: 0,
  };
  readonly #host: RelayHost;
  readonly #limits: Readonly<RelayLimits>;
  readonly #seen: SeenSearches;
  readonly #askers: Askers;
  readonly #forwardLimit: ForwardLimit;
  readonly #open = new Set<OpenSearch>();
  /** Numbers for askers: what is remembered of a search keeps no connection alive. */
  readonly #numbers = new WeakMap<object, number>();
  #nextNumber = 0;
  /** Known to nobody else. */
  readonly #salt: string;

  constructor(host: RelayHost) {
    this.#host = host;
    this.#salt = host.newId();
    this.#limits = { ...RELAY_LIMITS, ...host.limits };
    this.#seen = new SeenSearches(this.#limits.seen, this.#limits.seenFor);
    this.#askers = new Askers(this.#limits);
    this.#forwardLimit = new ForwardLimit(this.#limits);
  }

  /** Searches under way. */
  get open(): number {
    return this.#open.size;
  }

  /** Searches and askers that are remembered. */
  get remembered(): { searches: number; askers: number } {
    return { searches: this.#seen.size, askers: this.#askers.size };
  }

  /**
   * Answer a search of another's.
   *
   * @throws PeerError ERR_BUSY: too many of this asker, or in all; nothing has been sent
   */
  handle(search: Search, asker: Asker): void {
    if (search.ttl === 0 && search.queryId === undefined) {
      // Meant for this node alone, like any other page of its list.
      this.#answerAlone(search, asker);
      return;
    }
    const now = this.#host.clock.now();
    // In this order: `admits` creates the account.
    if (!this.#askers.admits(asker, now) || this.#askers.ignoresRefusals(asker, now)) {
      this.#refuse('too many searches; ask more slowly', asker, now);
    }
    const ttl = Math.min(search.ttl, this.#limits.ttl);
    const id = this.#idFor(search, asker);
    const key = keyOf(id, search);
    const seen = this.#seen.get(key, now);
    if (seen !== undefined && ttl <= seen.ttl) {
      this.#decline(search, seen, ttl, asker);
      return;
    }
    if (ttl > 0 && !this.#askers.begins(asker)) {
      this.#refuse('too many searches are under way', asker, now);
    }
    if (ttl > 0 && asker.client !== undefined && !this.#forwardLimit.admits(asker.client, now)) {
      this.#askers.ends(asker);
      this.#keep(search, asker, key, seen, now);
      return;
    }
    if (seen === undefined) this.stats.fresh++;
    else this.stats.again++;
    const entry = seen ?? this.#seen.add(key, ttl, now);
    entry.ttl = ttl;
    const isFirst = this.#isFirst(entry, asker);
    if (ttl === 0) {
      this.#answerAlone(search, asker);
      return;
    }
    const answer = seen === undefined ? 'first' : isFirst ? 'duplicate' : 'none';
    this.#begin({ ...search, ttl, queryId: id }, asker, entry, answer, () => {
      this.#askers.ends(asker);
    });
  }

  /**
   * Search from here: this node's own files, too. Events may come before this returns.
   *
   * @returns ends the search; nothing more comes then, no end either
   */
  search(wanted: Wanted, settings: SearchSettings, on: OwnSearchEvents): () => void {
    const { ttl = 4, timeout, max } = settings;
    const queryId = this.#host.newId();
    // Whatever ttl it comes back with, this node has passed it on to all it knows.
    const key = keyOf(queryId, wanted);
    const entry = this.#seen.add(key, this.#limits.ttl, this.#host.clock.now());
    entry.answered = undefined;
    const asker = new OwnAsker(this.#host.self, on);
    const hops = Math.min(ttl, this.#limits.ttl);
    const search: Search = { type: 'RQFS', ...wanted, ttl: hops, queryId, timeout, max };
    if (hops > 0) {
      const open = this.#begin(search, asker, entry, 'first', () => undefined);
      return () => {
        open.cancel();
      };
    }
    let wants = true;
    this.#host.answer(search, (list) => {
      if (!wants) return;
      on.files(list);
      on.end(NOTHING_PASSED_ON);
    });
    return () => {
      wants = false;
    };
  }

  /** End all searches silently. */
  close(): void {
    for (const open of this.#open) open.cancel();
  }

  #begin(
    search: Search,
    asker: Asker,
    seen: SeenSearch,
    answer: OwnAnswer,
    onOver: () => void,
  ): OpenSearch {
    const { timeout = this.#limits.timeout } = search;
    seen.coverage ??= new Coverage();
    seen.open++;
    const open = new OpenSearch({
      host: this.#host,
      limits: this.#limits,
      stats: this.stats,
      search,
      timeout: Math.min(timeout, this.#limits.maxTimeout),
      asker,
      coverage: seen.coverage,
      isSuperseded: () => asker.id !== this.#host.self && seen.ttl > search.ttl,
      onOver: (over) => {
        this.#open.delete(over);
        if (--seen.open === 0) seen.coverage = undefined;
        onOver();
      },
    });
    this.#open.add(open);
    open.begin(answer);
    return open;
  }

  /** Answer the search without forwarding it. */
  #keep(
    search: Search,
    asker: Asker,
    key: string,
    seen: SeenSearch | undefined,
    now: number,
  ): void {
    this.stats.kept++;
    const entry = seen ?? this.#seen.add(key, 0, now);
    this.#answerOnly(search, asker, entry, seen !== undefined, true);
  }

  /** The search is known with as high a ttl: only askers that are new to it get own matches. */
  #decline(search: Search, seen: SeenSearch, ttl: number, asker: Asker): void {
    this.stats.duplicates++;
    seen.coverage?.add(asker.id, ttl);
    this.#answerOnly(search, asker, seen, true, ttl > 0);
  }

  #answerOnly(
    search: Search,
    asker: Asker,
    seen: SeenSearch,
    duplicate: boolean,
    hasEnd: boolean,
  ): void {
    const end = (list: FileList): void => {
      asker.send(duplicate ? { ...list, duplicate } : list);
      if (hasEnd) asker.send(NOTHING_PASSED_ON);
    };
    if (this.#isFirst(seen, asker)) this.#host.answer(search, end, asker);
    else end(SEEN_BEFORE);
  }

  /**
   * The id under which a search is known here and passed on: for others than neighbours one that is derived
   * from theirs, for those that are no known peers with a part of this node's own.
   */
  #idFor({ queryId }: Search, asker: Asker): string {
    if (queryId === undefined) return this.#host.newId();
    if (asker.isNeighbour !== false) return queryId;
    return derivedId(queryId, asker.id === undefined ? `${this.#salt} ${this.#nameOf(asker)}` : '');
  }

  #isFirst(seen: SeenSearch, asker: Asker): boolean {
    return isFirstAnswer(seen, this.#nameOf(asker));
  }

  /** What stands for an asker where it is remembered. */
  #nameOf({ key }: Asker): string | number {
    if (typeof key === 'string') return key;
    const number = this.#numbers.get(key) ?? this.#nextNumber++;
    this.#numbers.set(key, number);
    return number;
  }

  #answerAlone(search: Search, asker: Asker): void {
    this.#host.answer(
      search,
      (list) => {
        asker.send(list);
      },
      asker,
    );
  }

  #refuse(why: string, asker: Asker, now: number): never {
    this.stats.refused++;
    if (this.#askers.floods(asker, now)) asker.penalise?.('flood');
    // It loses its share of the forwarding limit.
    if (asker.client !== undefined && this.#askers.ignoresRefusals(asker, now)) {
      this.#forwardLimit.forget(asker.client);
    }
    throw new PeerError('ERR_BUSY', why);
  }
}

/** This node as the asker. */
class OwnAsker implements Asker {
  readonly id: PeerId;
  readonly key = this;
  readonly #on: OwnSearchEvents;

  constructor(self: PeerId, on: OwnSearchEvents) {
    this.id = self;
    this.#on = on;
  }

  peers(then: (ids: ReadonlySet<PeerId>) => void): void {
    then(NO_PEERS);
  }

  send(answer: Parameters<Asker['send']>[0]): boolean {
    if (answer.type === 'RPFL') this.#on.files(answer);
    else if (answer.type === 'TPHF') this.#on.third(answer);
    else this.#on.end(answer);
    return true;
  }

  onClosed(): () => void {
    return () => undefined;
  }
}
