/**
 * `/search`: a search of the network as lines of JSON, while answers come. It has the limits of one that comes from a
 * peer: so many of a client at once, and so many a second.
 */
import { PeerError } from '../errors.js';
import type { Misbehaviour } from '../limits/peer-score.js';
import { formatAddress } from '../net/address.js';
import { clientOf } from '../net/scope.js';
import type { NodeSearch } from '../search/node-search.js';
import { MAX_HOPS, newQueryId, wantedOf } from '../search/results.js';
import type { Asker } from '../search/roles.js';
import { onAbort } from '../support/signal.js';
import { MAX_FILES } from '../wire/limits.js';
import type { FileMatch, PeerContact, Search } from '../wire/messages.js';
import { SAFE_HEADERS } from './content.js';
import type { SearchLine } from './page/contract.js';
import { numberOf, type HttpRequest } from './request.js';

export interface SearchOptions {
  readonly searches: NodeSearch;
  /** This node, as a client on a connection reaches it. */
  readonly contactFor: (connection: HttpRequest['connection']) => PeerContact;
  /** A client asks far too often. */
  readonly onFlood: (connection: HttpRequest['connection']) => void;
}

const NDJSON = 'application/x-ndjson; charset=utf-8';
const HOPS = 4;
/** Entries of one peer, unless told otherwise. */
const ENTRIES = 100;
/** Bytes that wait for the client, at which results are left out; half of that for those that are one of many. */
const BACKLOG = 512 * 1024;

/** @throws PeerError ERR_MALFORMED, ERR_USAGE; ERR_BUSY: ask later */
export async function answerSearch(request: HttpRequest, options: SearchOptions): Promise<void> {
  const { message, response, connection, query } = request;
  const [q, hash] = [query.get('q'), query.get('hash')];
  if ((q === null) === (hash === null)) {
    throw new PeerError('ERR_MALFORMED', 'say what to search for: ?q=words or ?hash=');
  }
  const ttl = numberOf(query, 'ttl', { least: 0, most: MAX_HOPS, otherwise: HOPS });
  const max = numberOf(query, 'max', { least: 1, most: MAX_FILES, otherwise: ENTRIES });
  const wanted = wantedOf(hash === null ? (q ?? '') : { hash });
  const head = { ...SAFE_HEADERS, 'Content-Type': NDJSON, 'Cache-Control': 'no-store' };
  if (message.method === 'HEAD') {
    response.writeHead(200, head).end();
    return;
  }
  const search: Search = { type: 'RQFS', ...wanted, ttl, max, queryId: newQueryId() };
  const self = options.contactFor(connection);
  await new Promise<void>((resolve) => {
    const asker = new HttpAsker(request, self, ttl === 0, {
      write: (lines) => {
        if (!response.headersSent) response.writeHead(200, head);
        const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
        connection.account.add(bytes.length);
        response.write(bytes, () => {
          connection.account.give(bytes.length);
        });
      },
      onEnd: resolve,
      onFlood: () => {
        options.onFlood(connection);
      },
    });
    options.searches.ask(search, asker);
    asker.watch();
    if (!response.headersSent) response.writeHead(200, head).flushHeaders();
  });
  response.end();
}

interface AskerEvents {
  readonly write: (lines: SearchLine[]) => void;
  readonly onEnd: () => void;
  readonly onFlood: () => void;
}

/** A client as the asker of a search: no peer, and nobody passes a search on to it. */
class HttpAsker implements Asker {
  readonly isNeighbour = false;
  readonly key: object;
  readonly signal: AbortSignal;
  readonly client: string;
  readonly #request: HttpRequest;
  readonly #self: PeerContact;
  readonly #events: AskerEvents;
  /** Nothing comes but the files of this node. */
  readonly #isAlone: boolean;
  #ended = false;
  #forget: (() => void) | undefined;

  constructor(request: HttpRequest, self: PeerContact, isAlone: boolean, events: AskerEvents) {
    const { connection } = request;
    this.key = connection;
    this.signal = connection.closed;
    this.client = clientOf(connection.remoteHost ?? '');
    this.#request = request;
    this.#self = self;
    this.#isAlone = isAlone;
    this.#events = events;
  }

  /** End with the connection, if nothing else has ended it. */
  watch(): void {
    if (!this.#ended) this.#forget = this.onClosed(this.#events.onEnd);
  }

  peers(then: (ids: ReadonlySet<string>) => void): void {
    then(new Set());
  }

  send(answer: Parameters<Asker['send']>[0], spare = false): boolean {
    const { response } = this.#request;
    if (answer.type === 'TPHF') {
      if (response.writableLength > (spare ? BACKLOG / 2 : BACKLOG)) return false;
      // Its own hop to this node comes before those behind it.
      this.#events.write(linesOf(answer.files, answer.peer, answer.hops));
    } else if (answer.type === 'RPFL') {
      this.#events.write(linesOf(answer.files, this.#self, 0));
      if (this.#isAlone) this.#end({ asked: 0, answered: 0, timedOut: 0 });
    } else {
      this.#end(answer);
    }
    return true;
  }

  penalise(kind: Misbehaviour): void {
    if (kind === 'flood') this.#events.onFlood();
  }

  onClosed(action: () => void): () => void {
    return onAbort(this.signal, action);
  }

  #end({ asked, answered, timedOut }: { asked: number; answered: number; timedOut: number }): void {
    this.#ended = true;
    this.#forget?.();
    this.#events.write([{ type: 'end', asked, answered, late: timedOut }]);
    this.#events.onEnd();
  }
}

function linesOf(
  files: readonly FileMatch[],
  { id, ...address }: PeerContact,
  hops: number,
): SearchLine[] {
  const peers = [{ id, address: formatAddress(address) }];
  return files.map(({ path, hash, size }) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return { type: 'file', hash, size, name, path, peers, hops };
  });
}
