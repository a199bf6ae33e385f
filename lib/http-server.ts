/** Makes a node's HTTP server out of its parts. */
import { HttpServer } from './http/server.js';
import { parseAddress, type PeerAddress } from './net/address.js';
import type { ByteBudget } from './limits/byte-budget.js';
import type { RequestQuota } from './limits/request-quota.js';
import type { InboundConnections } from './net/inbound-connections.js';
import type { Settings } from './options.js';
import type { Neighbours } from './peers/neighbours.js';
import type { NodeSearch } from './search/node-search.js';
import type { Uploads } from './serve/uploads.js';
import type { Share } from './share/share.js';
import type { PeerId } from './wire/messages.js';

export interface HttpServerParts {
  readonly settings: Settings;
  readonly id: PeerId;
  /** Where the node listens. */
  readonly listening: PeerAddress;
  readonly share: Share;
  readonly uploads: Uploads;
  readonly neighbours: Neighbours;
  readonly searches: NodeSearch;
  readonly connections: InboundConnections;
  readonly quota: RequestQuota;
  readonly sendBudget: ByteBudget;
  readonly onInternalError: (error: Error) => void;
}

export function makeHttpServer(parts: HttpServerParts): HttpServer {
  const { settings, id, listening, connections } = parts;
  const { httpHosts, advertise, firstFrameTimeout, stallTimeout } = settings;
  const { port } = listening;
  return new HttpServer({
    ...parts,
    port,
    hosts: [...httpHosts, ...(advertise === undefined ? [] : [parseAddress(advertise).host])],
    headTimeout: firstFrameTimeout,
    stallTimeout,
    contactFor: ({ socket }) => ({ id, host: socket.localAddress ?? listening.host, port }),
    onFlood: (connection) => {
      connections.block(connection);
      connection.end();
    },
    connectionStats: () => connections.stats,
  });
}
