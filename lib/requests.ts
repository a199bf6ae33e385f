/** Answers the requests that come in: which part of the node answers which message. */
import { PeerError } from './errors.js';
import type { RequestHandler } from './net/connection.js';
import { checkId } from './net/hello.js';
import type { Neighbours } from './peers/neighbours.js';
import type { NodeSearch } from './search/node-search.js';
import type { Uploads } from './serve/uploads.js';
import type { Page } from './share/search-page.js';
import type { Share } from './share/share.js';
import { PROTOCOL_VERSION } from './wire/limits.js';
import type { FileList, PeerInfo, Search } from './wire/messages.js';

/** A node's parts that answer. Those of the network are there before a connection is. */
export interface NodeParts {
  readonly share: Share;
  readonly uploads: Uploads;
  readonly neighbours: () => Neighbours | undefined;
  readonly searches: () => NodeSearch | undefined;
  /** Whether the node only lets transfers end. */
  readonly isFinishing: () => boolean;
}

export function answerRequests(parts: NodeParts): RequestHandler {
  const { share, uploads } = parts;
  return async (request, exchange, connection) => {
    const neighbours = parts.neighbours();
    if (neighbours === undefined) throw new PeerError('ERR_BUSY', 'this peer is starting');
    switch (request.type) {
      case 'PING': {
        checkVersion(request.info);
        checkId(connection, request.info);
        const { files, bytes, state } = share;
        exchange.send({ type: 'ACKN', of: 'PING', info: neighbours.info(), files, bytes, state });
        if (!parts.isFinishing()) neighbours.greeted(connection, request.info);
        return;
      }
      case 'RQLT':
        await exchange.whenRoom(() => {
          const peers = neighbours.list(connection, request.max);
          exchange.send({ type: 'ACKN', of: 'RQLT', peers });
          return Promise.resolve();
        });
        return;
      case 'RQFS':
        await parts.searches()?.handle(request, exchange, connection);
        return;
      case 'RQFH':
        await uploads.answer(request, exchange, connection);
    }
  };
}

/** A node's own matches, for `NodeSearchHost.answer`. */
export async function ownMatches(
  share: Share,
  { query, hash, max, after }: Search,
  client: AbortSignal | undefined,
  then: (list: FileList) => void,
): Promise<void> {
  const use = (page: Page): void => {
    then({ type: 'RPFL', ...page });
  };
  if (hash === undefined) await share.searchThen(query, { max, after, client }, use);
  else use(share.withHash(hash, max));
}

function checkVersion({ version }: PeerInfo): void {
  if (version !== PROTOCOL_VERSION) {
    throw new PeerError('ERR_UNSUPPORTED', `protocol version ${version} is not spoken here`);
  }
}
