/** What a node knows of itself and of others, as JSON: `/status`, `/peers`. */
import type { InboundConnections } from '../net/inbound-connections.js';
import { formatAddress } from '../net/address.js';
import { AddressPolicy, interfaceAddresses, scopeOf } from '../net/scope.js';
import type { Neighbour } from '../peers/neighbours-options.js';
import type { Uploads } from '../serve/uploads.js';
import type { Share } from '../share/share.js';
import { AGENT } from '../support/version.js';
import { JSON_TYPE, reply } from './reply.js';
import type { HttpRequest } from './request.js';

export interface StateOptions {
  readonly id: string;
  readonly port: number;
  readonly share: Share;
  readonly uploads: Uploads;
  readonly neighbours: { readonly peers: readonly Neighbour[] };
  readonly connectionStats: () => InboundConnections['stats'];
}

const policy = new AddressPolicy(interfaceAddresses);

/** Who does what over which connection is for this machine alone. */
export function answerStatus(request: HttpRequest, options: StateOptions): void {
  const { id, port, share, uploads, connectionStats } = options;
  const { bytesRead, sent, waitingUploads } = uploads.stats;
  const isLocal = scopeOf(request.connection.remoteHost ?? '') === 'loopback';
  const { files, totalFiles, bytes, totalBytes } = share.progress;
  const hashing = share.state === 'hashing';
  replyJson(request, {
    id,
    version: AGENT,
    port,
    share: {
      files: share.files,
      bytes: share.bytes,
      hashing,
      ...(hashing && { progress: { files, totalFiles, bytes, totalBytes } }),
    },
    uploads: Array.from(uploads.transfers(), ({ client, bytes: sentBytes }) => ({
      ...(isLocal && { client }),
      sentBytes,
    })),
    waitingUploads,
    sent,
    sentBytes: bytesRead,
    receivedBytes: 0,
    connections: connectionStats().openConnections,
    uptime: Math.floor(process.uptime()),
  });
}

/** Those that the client could reach, too; what is listed to nobody is for this machine alone. */
export function answerPeers(request: HttpRequest, { neighbours }: StateOptions): void {
  const host = request.connection.remoteHost ?? '';
  const isLocal = scopeOf(host) === 'loopback';
  const peers = neighbours.peers.filter(
    (peer) => isLocal || (peer.isPrivate !== true && policy.mayTell(host, peer.host)),
  );
  replyJson(request, {
    peers: peers.map(({ id, host, port, seen, rtt, link }) => {
      return { id, address: formatAddress({ host, port }), seen, rtt, link: link ?? null };
    }),
  });
}

function replyJson({ response }: HttpRequest, value: unknown): void {
  reply(response, `${JSON.stringify(value)}\n`, {
    type: JSON_TYPE,
    headers: { 'Cache-Control': 'no-store' },
  });
}
