/** Runs the relay on real connections: searches go out over links and come in as requests. */
import { systemClock } from '../support/clock.js';
import { onAbort } from '../support/signal.js';
import { PeerError, isEnding } from '../errors.js';
import type { Connection } from '../net/connection.js';
import type { Exchange } from '../net/exchange.js';
import type { FileList, PeerContact, PeerId, Search, Wanted } from '../wire/messages.js';
import type { Misbehaviour } from '../limits/peer-score.js';
import { clientOf } from '../net/scope.js';
import { RELAY_LIMITS, type RelayLimits } from './limits.js';
import { LinkNeighbour, type SearchLink } from './link-neighbour.js';
import type { Asker, RelayStats } from './roles.js';
import { Relay } from './relay.js';
import { newQueryId, results, type NetworkSearchOptions, type SearchResult } from './results.js';

export interface NodeSearchHost {
  /** This node, as others reach it. */
  readonly self: PeerContact;
  links(): Iterable<SearchLink>;
  /** What the peer at the other end is known by, if it is known: its id, unless others claim that, too. */
  keyOf(connection: Connection): string | undefined;
  /** Whether that peer is a neighbour. @default every one */
  isNeighbour?(connection: Connection): boolean;
  /** The peers to which the peer at the other end forwards searches. */
  peerIdsOf(connection: Connection): Promise<ReadonlySet<PeerId>>;
  /**
   * Find this node's own matches. Resolves when `then` has been called with them.
   *
   * @param client that asks; the search is given up when it is aborted
   */
  answer(
    search: Search,
    client: AbortSignal | undefined,
    then: (list: FileList) => void,
  ): Promise<void>;
  onError(error: unknown): void;
  /** Whether a peer may use this node; undefined: every one may, and none is asked who it is. */
  isAllowed?: ((id: PeerId) => boolean) | undefined;
  /** The peer at the other end has done what no honest one does. */
  penalise?(connection: Connection, kind: Misbehaviour): void;
  limits?: Partial<RelayLimits> | undefined;
}

/** What became of searches since the start. */
export interface SearchStats extends RelayStats {
  /** Searches under way now. */
  open: number;
}

/** Bytes waiting to be sent to an asker at which results for it are dropped; at half of it those that
 * are more than their neighbour's share. */
const BACKLOG = 512 * 1024;
const NOTHING: FileList = { type: 'RPFL', total: 0, files: [] };
const NO_PEERS: ReadonlySet<PeerId> = new Set();

/** Entries of a page while memory for answers is short. */
const SHORT_PAGE = 32;

export class NodeSearch {
  readonly #host: NodeSearchHost;
  readonly #relay: Relay;
  /** Until when neighbours that refused a search are asked nothing; ms of `performance.now`. */
  readonly #busy = new WeakMap<Connection, number>();
  readonly #closed = new AbortController();

  constructor(host: NodeSearchHost) {
    this.#host = host;
    this.#relay = new Relay({
      self: host.self.id,
      clock: systemClock,
      newId: newQueryId,
      neighbours: () => this.#neighbours(),
      settle: setImmediate,
      answer: (search, then, asker) => {
        void this.#answer(search, then, asker);
      },
      ...(host.limits !== undefined && { limits: host.limits }),
    });
  }

  get stats(): Readonly<SearchStats> {
    return { ...this.#relay.stats, open: this.#relay.open };
  }

  /**
   * Answer RQFS. Resolves when the last answer has been sent, or the asker is gone.
   *
   * @throws PeerError ERR_BUSY, ERR_FORBIDDEN
   */
  async handle(asked: Search, exchange: Exchange, connection: Connection): Promise<void> {
    const via = this.#chain(asked, connection);
    const search = via === asked.via ? asked : { ...asked, via };
    if (search.ttl === 0 && search.queryId === undefined) {
      // Meant for this node alone, like any other page of its list.
      await exchange.whenRoom((ample) =>
        this.#host.answer(shortened(search, ample), exchange.closed, (list) => {
          exchange.send(list);
        }),
      );
      return;
    }
    await new Promise<void>((resolve) => {
      const asker = new ExchangeAsker(this.#host, search, exchange, connection, resolve);
      this.#relay.handle(search, asker);
      // Only now: a refused asker must leave no listener behind.
      asker.watch();
    });
  }

  /**
   * Answer a search that comes by other means than a connection between peers, within the same limits.
   *
   * @throws PeerError ERR_BUSY: nothing has been sent
   */
  ask(search: Search, asker: Asker): void {
    this.#relay.handle(search, asker);
  }

  /** Search from here: this node's own files and the network. */
  search(wanted: Wanted, options: NetworkSearchOptions): AsyncGenerator<SearchResult, void, void> {
    return results(
      options,
      () => this.#host.self,
      (settings, on) => this.#relay.search(wanted, settings, on),
      this.#closed.signal,
    );
  }

  /** End all searches; those of this node's own throw. */
  close(): void {
    this.#closed.abort(new PeerError('ERR_CLOSED', 'this node was closed'));
    this.#relay.close();
  }

  /**
   * The peers on whose behalf a search comes, where that counts: in a private share.
   *
   * @throws PeerError ERR_FORBIDDEN when one of them may not use it
   */
  #chain({ via = [] }: Search, { provenId }: Connection): readonly PeerId[] | undefined {
    const { isAllowed } = this.#host;
    if (isAllowed === undefined) return undefined;
    const chain = [...via, ...(provenId === undefined ? [] : [provenId])];
    if (provenId !== undefined && chain.every(isAllowed)) return chain;
    throw new PeerError('ERR_FORBIDDEN', 'it is asked for a peer that is not on the list');
  }

  async #answer(search: Search, then: (list: FileList) => void, asker?: Asker): Promise<void> {
    const find = async (ample: boolean): Promise<void> => {
      try {
        await this.#host.answer(shortened(search, ample), asker?.signal, then);
      } catch (error) {
        // An asker that is gone needs no answer, and neither overload nor an end is an internal error.
        const isBusy = error instanceof PeerError && error.code === 'ERR_BUSY';
        const isInternal = !isBusy && !isEnding(error) && asker?.signal?.aborted !== true;
        if (isInternal) this.#host.onError(error);
        then(NOTHING);
      }
    };
    if (asker instanceof ExchangeAsker) await asker.whenRoom(find);
    else await find(true);
  }

  *#neighbours(): Generator<LinkNeighbour> {
    const { busyPause: pause } = { ...RELAY_LIMITS, ...this.#host.limits };
    for (const link of this.#host.links()) {
      const { connection } = link;
      if (!connection.usable || (this.#busy.get(connection) ?? 0) > performance.now()) continue;
      yield new LinkNeighbour(
        link,
        ({ code }) => {
          if (code === 'ERR_BUSY') this.#busy.set(connection, performance.now() + pause);
        },
        (kind) => {
          this.#host.penalise?.(connection, kind);
        },
        this.#host.keyOf(connection),
      );
    }
  }
}

/** A search for fewer matches, while memory for answers is short. */
function shortened(search: Search, ample: boolean): Search {
  return ample ? search : { ...search, max: Math.min(search.max ?? SHORT_PAGE, SHORT_PAGE) };
}

class ExchangeAsker implements Asker {
  readonly id: string | undefined;
  readonly isNeighbour: boolean;
  readonly key: object;
  readonly signal: AbortSignal;
  readonly client: string | undefined;
  readonly #host: NodeSearchHost;
  readonly #search: Search;
  readonly #exchange: Exchange;
  readonly #connection: Connection;
  readonly #onEnd: () => void;
  #ended = false;
  #forget: (() => void) | undefined;

  constructor(
    host: NodeSearchHost,
    search: Search,
    exchange: Exchange,
    connection: Connection,
    onEnd: () => void,
  ) {
    this.id = host.keyOf(connection);
    this.isNeighbour = host.isNeighbour?.(connection) ?? true;
    this.key = connection;
    this.signal = exchange.closed;
    const { remoteHost } = connection;
    this.client = remoteHost === undefined ? undefined : clientOf(remoteHost);
    this.#host = host;
    this.#search = search;
    this.#exchange = exchange;
    this.#connection = connection;
    this.#onEnd = onEnd;
  }

  /** End with the connection, if nothing else has ended it: most searches are answered at once. */
  watch(): void {
    if (!this.#ended) this.#forget = this.onClosed(this.#onEnd);
  }

  peers(then: (ids: ReadonlySet<PeerId>) => void): void {
    this.#host.peerIdsOf(this.#connection).then(then, () => {
      then(NO_PEERS);
    });
  }

  penalise(kind: Misbehaviour): void {
    this.#host.penalise?.(this.#connection, kind);
  }

  /** Resolves when the job has run, or the asker is gone. */
  async whenRoom(job: (ample: boolean) => Promise<void>): Promise<void> {
    await this.#exchange.whenRoom(job).catch((error: unknown) => {
      if (!this.signal.aborted) throw error;
    });
  }

  send(answer: Parameters<Asker['send']>[0], spare = false): boolean {
    const most = spare ? BACKLOG / 2 : BACKLOG;
    if (answer.type === 'TPHF' && this.#exchange.waitingBytes > most) return false;
    this.#exchange.send(answer);
    const last = this.#search.ttl === 0 ? 'RPFL' : 'ACKN';
    if (answer.type === last) {
      this.#ended = true;
      this.#forget?.();
      this.#onEnd();
    }
    return true;
  }

  onClosed(action: () => void): () => void {
    return onAbort(this.#exchange.closed, action);
  }
}
