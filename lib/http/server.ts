/**
 * HTTP/1.1 on connections that others accept: read-only, what is shared and what this node knows. Node's server does
 * the protocol (RFC 9112); here is who is answered, what, and within which limits.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PeerError, asError, systemCode } from '../errors.js';
import type { ByteBudget } from '../limits/byte-budget.js';
import type { RequestQuota } from '../limits/request-quota.js';
import type { OpenConnection } from '../net/inbound-connections.js';
import { clientOf } from '../net/scope.js';
import { HttpConnection } from './connection.js';
import { answerFiles, answerHash, type FilesOptions } from './files.js';
import { HostCheck } from './host-check.js';
import { INDEX, answerAsset } from './page-assets.js';
import { answerPeers, answerStatus, type StateOptions } from './node-state.js';
import { reply, replyError, replyStatus } from './reply.js';
import { targetOf, type HttpRequest } from './request.js';
import { answerSearch, type SearchOptions } from './search.js';

export interface HttpOptions extends FilesOptions, SearchOptions, StateOptions {
  /** Names that it answers to, beside those of this machine. */
  readonly hosts: readonly string[];
  readonly quota: RequestQuota;
  readonly sendBudget: ByteBudget;
  /** Milliseconds in which the head of a request has come. */
  readonly headTimeout: number;
  /** Milliseconds in which a client takes something of what waits for it. */
  readonly stallTimeout: number;
  readonly onInternalError: (error: Error) => void;
}

/** Milliseconds for which a connection may be without a request. */
const KEEP_ALIVE = 60_000;
/** Bytes of the head of a request, at most. */
const HEAD_BYTES = 16 * 1024;

const METHODS = 'GET, HEAD, OPTIONS';

/** How what cannot be understood is answered, by the code of Node's error. */
const FAULTS = new Map([
  ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
]);

export class HttpServer {
  readonly #options: HttpOptions;
  readonly #server: Server;
  readonly #hosts: HostCheck;
  readonly #connections = new WeakMap<Duplex, HttpConnection>();

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#hosts = new HostCheck(options.hosts);
    const { headTimeout } = options;
    const server = createServer({
      headersTimeout: headTimeout,
      requestTimeout: headTimeout,
      connectionsCheckingInterval: Math.ceil(headTimeout / 4),
      keepAliveTimeout: KEEP_ALIVE,
      maxHeaderSize: HEAD_BYTES,
    });
    // All headers of a head that is short enough: Node leaves out those that are too many, and says nothing.
    server.maxHeadersCount = 0;
    // A client that sends a request and ends its half still gets the answer. Not in Node's documentation.
    (server as Server & { httpAllowHalfOpen: boolean }).httpAllowHalfOpen = true;
    // A body is not waited for: whoever asks whether to send it gets the answer itself.
    for (const event of ['request', 'checkContinue', 'checkExpectation']) {
      server.on(event, this.#onRequest);
    }
    server.on('connect', (_request, socket) => {
      this.#connections.get(socket)?.refuse('405 Method Not Allowed');
    });
    server.on('clientError', (error, socket) => {
      const status = FAULTS.get(systemCode(error) ?? '') ?? '400 Bad Request';
      if (socket.writable) this.#connections.get(socket)?.refuse(status);
      else socket.destroy();
    });
    // Nothing listens here, but Node keeps its deadlines only from this event on.
    server.emit('listening');
    this.#server = server;
  }

  /** A connection that has begun to speak HTTP. */
  readonly accept = (socket: Socket, onUse: () => void): OpenConnection => {
    const { sendBudget, quota, stallTimeout } = this.#options;
    const account = sendBudget.account(clientOf(socket.remoteAddress ?? ''));
    const connection = new HttpConnection(socket, { account, quota, stallTimeout, onUse });
    this.#connections.set(socket, connection);
    this.#server.emit('connection', socket);
    socket.resume();
    return connection;
  };

  close(): void {
    this.#server.close();
  }

  readonly #onRequest = (message: IncomingMessage, response: ServerResponse): void => {
    const connection = this.#connections.get(message.socket);
    connection?.add(response, () => this.#answer(message, response, connection));
  };

  /** @returns whether it was of use */
  async #answer(
    message: IncomingMessage,
    response: ServerResponse,
    connection: HttpConnection,
  ): Promise<boolean> {
    // Its body is not read: what comes after it cannot be told from it. Nor what comes after a wish for another protocol.
    const { upgrade } = message.headers;
    if (hasBody(message) || upgrade !== undefined) response.shouldKeepAlive = false;
    try {
      const { host, ...target } = targetOf(message);
      if (host !== undefined && !this.#hosts.allows(host)) {
        replyStatus(response, 421, 'this node does not answer to that name (--http-host)');
        return false;
      }
      if (message.method === 'OPTIONS') {
        reply(response, '', { headers: { Allow: METHODS } });
        return false;
      }
      if (message.method !== 'GET' && message.method !== 'HEAD') {
        replyStatus(response, 405, undefined, { Allow: METHODS });
        return false;
      }
      await this.#route({ message, response, connection, ...target });
      return true;
    } catch (error) {
      if (response.headersSent || connection.closed.aborted) {
        // That an answer is not complete shows in nothing but its end.
        connection.destroy();
      } else {
        // Who does not know how to ask may mean something else by what follows.
        if (isMalformed(error)) response.shouldKeepAlive = false;
        if (replyError(response, error)) this.#options.onInternalError(asError(error));
      }
      return false;
    }
  }

  async #route(request: HttpRequest): Promise<void> {
    switch (request.room) {
      case 'files':
        await answerFiles(request, this.#options);
        return;
      case 'hash':
        await answerHash(request, this.#options);
        return;
      case '':
        answerAsset(request, INDEX);
        return;
      case 'page':
        answerAsset(request, request.path ?? '');
        return;
      case 'search':
        refuseOtherSites(request);
        await answerSearch(request, this.#options);
        return;
      case 'peers':
        refuseOtherSites(request);
        answerPeers(request, this.#options);
        return;
      case 'status':
        refuseOtherSites(request);
        answerStatus(request, this.#options);
        return;
      case 'healthz':
        reply(request.response, 'ok\n');
        return;
      default:
        throw new PeerError('ERR_NOT_FOUND', 'nothing is here');
    }
  }
}

/**
 * Pages of other sites cannot read what a node says, but could make it search. Browsers say where a request comes from
 * (Fetch Metadata); a link that is followed may come from anywhere.
 *
 * @throws PeerError ERR_FORBIDDEN
 */
function refuseOtherSites({ message: { headers } }: HttpRequest): void {
  const { 'sec-fetch-site': site = 'none', 'sec-fetch-mode': mode } = headers;
  if (site !== 'none' && site !== 'same-origin' && mode !== 'navigate') {
    throw new PeerError('ERR_FORBIDDEN', 'this is not for pages of other sites');
  }
}

function isMalformed(error: unknown): boolean {
  return error instanceof PeerError && error.code === 'ERR_MALFORMED';
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
}
