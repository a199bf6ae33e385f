/** Accepts connections as `Admission` says, and closes those that must make room for them. */
import type { Socket } from 'node:net';
import { PeerError, asError } from '../errors.js';
import { Admission, type AdmissionLimits, type Candidate } from '../limits/admission.js';
import { Blocklist } from '../limits/blocklist.js';
import { HANDSHAKES, KeyedRateLimit } from '../limits/keyed-rate-limit.js';
import type { PeerId } from '../wire/messages.js';
import { formatAddress } from './address.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { Opening } from './opening.js';
import { Refusals, sayLast, sendAway } from './refusals.js';
import { scopeOf } from './scope.js';
import type { TlsServer } from './tls/server.js';

type SharedOptions = Omit<
  ConnectionOptions,
  'name' | 'provenId' | 'since' | 'onUse' | 'onInternalError'
>;

/** A connection that is open, whatever is spoken on it. */
export interface OpenConnection {
  /** The address at the other end; undefined when there is no connection. */
  readonly remoteHost: string | undefined;
  /** Aborted, with a PeerError as reason, when it is closed. */
  readonly closed: AbortSignal;
  /** When it was last of use: performance.now(). Undefined: never. */
  readonly lastUse: number | undefined;
  /** The other side waits for an answer, or has not taken all of one. */
  readonly busy: boolean;
  /** End it when what is under way has gone out. */
  end(): void;
  /** End it at once, and say why where nothing else is being said. */
  dismiss(error: PeerError): void;
  destroy(error?: PeerError): void;
}

/** Takes over a connection that speaks HTTP. @param onUse to be called when its first request was answered well */
export type AcceptHttp = (socket: Socket, onUse: () => void) => OpenConnection;

export interface InboundConnectionsOptions extends SharedOptions {
  /** Loaded for the first connection that needs it. */
  tls: () => Promise<TlsServer>;
  /** The same for HTTP; undefined: it is not spoken. */
  http: (() => Promise<AcceptHttp>) | undefined;
  limits: AdmissionLimits;
  /** Milliseconds for which no connection of a blocked client is accepted. */
  blockFor: number;
  /**
   * Whether the other side may use the node at all, by the id that it has proven; undefined: it has proven none.
   *
   * @returns why not
   */
  refusal: (provenId: PeerId | undefined) => string | undefined;
  /** On whose behalf a connection from this address counts. */
  clientOf: (host: string) => string;
  /** Whether this is a neighbour's, which stays. */
  isKept: (connection: Connection) => boolean;
  /** It is in. */
  onAccept: (connection: Connection) => void;
  onInternalError: (error: Error, name: string) => void;
}

/** The part of the open connections that is closed when the process has no descriptor left. */
const SHED = 1 / 8;

export class InboundConnections {
  readonly #options: InboundConnectionsOptions;
  /** What connections have in common, and nothing else: each has a copy. */
  readonly #connection: SharedOptions;
  readonly #admission: Admission<InboundCandidate>;
  readonly #blocked: Blocklist;
  readonly #refusals = new Refusals();
  readonly #handshakes = new KeyedRateLimit(HANDSHAKES);
  /** Those that are open, or closing, and those that are not open yet. */
  readonly #candidates = new Set<InboundCandidate>();
  readonly #byConnection = new Map<OpenConnection, InboundCandidate>();
  readonly #stats = { connections: 0, refused: 0, evicted: 0 };

  constructor(options: InboundConnectionsOptions) {
    this.#options = options;
    const { handler, quota, receive, sendBudget } = options;
    const { answerTimeout, stallTimeout, firstFrameTimeout, frameTimeout } = options;
    this.#connection = {
      ...{ handler, quota, receive, sendBudget },
      ...{ answerTimeout, stallTimeout, firstFrameTimeout, frameTimeout },
    };
    this.#admission = new Admission(options.limits);
    this.#blocked = new Blocklist({ first: options.blockFor });
  }

  /** Connections accepted so far, open now, refused, and closed to make room for others. */
  get stats(): { connections: number; openConnections: number; refused: number; evicted: number } {
    return { ...this.#stats, openConnections: this.#candidates.size };
  }

  get connections(): Iterable<OpenConnection> {
    return this.#byConnection.keys();
  }

  has(connection: OpenConnection): boolean {
    return this.#byConnection.has(connection);
  }

  /** End them all at once. */
  close(error: PeerError): void {
    this.#refusals.close();
    for (const candidate of this.#candidates) candidate.destroy(error);
  }

  /** A connection has come. */
  readonly accept = (socket: Socket): void => {
    const { remoteAddress, remotePort = 0 } = socket;
    // It has gone already.
    if (remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    const client = this.#options.clientOf(remoteAddress);
    if (this.#blocked.has(client)) {
      this.#stats.refused++;
      this.#refusals.add(socket, BLOCKED);
      return;
    }
    const verdict = this.#admission.judge(client);
    if (!verdict.admitted) {
      this.#stats.refused++;
      this.#refusals.add(socket, FULL);
      return;
    }
    if (verdict.evict !== undefined) this.#evict(verdict.evict);
    const name = formatAddress({ host: remoteAddress, port: remotePort });
    const { isKept, firstFrameTimeout, tls, http } = this.#options;
    const candidate = new InboundCandidate(socket, client, isKept);
    this.#stats.connections++;
    this.#candidates.add(candidate);
    this.#admission.add(candidate);
    candidate.opening = new Opening(socket, {
      timeout: firstFrameTimeout,
      tls: () => {
        if (this.#handshakes.admits(client)) return tls();
        this.#stats.refused++;
        return undefined;
      },
      onOpen: (open, provenId) => {
        this.#onOpen(candidate, name, open, provenId);
      },
      onHttp:
        http === undefined
          ? undefined
          : () => {
              this.#onHttp(candidate, name, socket, http);
            },
      onEnd: () => {
        this.#delete(candidate);
      },
    });
  };

  #onOpen(
    candidate: InboundCandidate,
    name: string,
    socket: Socket,
    provenId: PeerId | undefined,
  ): void {
    const { onInternalError, refusal } = this.#options;
    const why = refusal(provenId);
    if (why !== undefined) {
      this.#sendAway(candidate, socket, why, 'frames');
      return;
    }
    const connection = new Connection(socket, {
      ...this.#connection,
      name,
      provenId,
      since: candidate.since,
      onUse: () => {
        this.#admission.proven(candidate);
      },
      onInternalError: (error) => {
        onInternalError(error, name);
      },
    });
    this.#isOpen(candidate, connection);
    this.#options.onAccept(connection);
    connection.readEvents();
  }

  /** HTTP proves no id: where only some peers may use the node, it is for this machine. */
  #onHttp(
    candidate: InboundCandidate,
    name: string,
    socket: Socket,
    load: () => Promise<AcceptHttp>,
  ): void {
    const why = this.#options.refusal(undefined);
    if (why !== undefined && scopeOf(socket.remoteAddress ?? '') !== 'loopback') {
      this.#sendAway(candidate, socket, why, 'http');
      return;
    }
    const onClose = (): void => {
      this.#delete(candidate);
    };
    socket.once('close', onClose);
    load().then(
      (accept) => {
        socket.off('close', onClose);
        if (socket.destroyed) {
          onClose();
          return;
        }
        const onUse = (): void => {
          this.#admission.proven(candidate);
        };
        this.#isOpen(candidate, accept(socket, onUse));
      },
      (error: unknown) => {
        this.#options.onInternalError(asError(error), name);
        socket.destroy();
      },
    );
  }

  #isOpen(candidate: InboundCandidate, connection: OpenConnection): void {
    candidate.connection = connection;
    candidate.opening = undefined;
    this.#byConnection.set(connection, candidate);
    connection.closed.addEventListener(
      'abort',
      () => {
        this.#byConnection.delete(connection);
        this.#delete(candidate);
      },
      { once: true },
    );
  }

  #sendAway(
    candidate: InboundCandidate,
    socket: Socket,
    message: string,
    language: 'http' | 'frames',
  ): void {
    this.#stats.refused++;
    socket.once('close', () => {
      this.#delete(candidate);
    });
    sendAway(socket, { code: 'ERR_FORBIDDEN', message }, language);
  }

  #delete(candidate: InboundCandidate): void {
    this.#candidates.delete(candidate);
    this.#admission.delete(candidate);
  }

  /** End those that would not be let in any more. */
  judgeAgain(): void {
    for (const connection of this.#byConnection.keys()) {
      if (!(connection instanceof Connection)) continue;
      const why = this.#options.refusal(connection.provenId);
      if (why !== undefined) connection.dismiss(new PeerError('ERR_FORBIDDEN', why));
    }
  }

  /** Accept nothing more of this connection's client for a while. What is open may stay. */
  block(connection: OpenConnection): void {
    const candidate = this.#byConnection.get(connection);
    if (candidate !== undefined) this.#blocked.add(candidate.client);
  }

  /** The process has no descriptor left: close some. @returns whether there were any */
  readonly shed = (): boolean => {
    const count = Math.ceil(this.#admission.size * SHED);
    const going = this.#admission.leastUseful(count);
    for (const candidate of going) this.#evict(candidate);
    return going.length > 0;
  };

  #evict(candidate: InboundCandidate): void {
    this.#stats.evicted++;
    // Its descriptor is free at once; that it is closed is told later.
    this.#admission.delete(candidate);
    candidate.dismiss(new PeerError('ERR_BUSY', FULL));
  }
}

class InboundCandidate implements Candidate {
  readonly client: string;
  readonly since = performance.now();
  opening: Opening | undefined;
  /** Undefined until it can be used. */
  connection: OpenConnection | undefined;
  readonly #socket: Socket;
  readonly #isKept: (connection: Connection) => boolean;

  constructor(socket: Socket, client: string, isKept: (connection: Connection) => boolean) {
    this.client = client;
    this.#socket = socket;
    this.#isKept = isKept;
  }

  get lastUse(): number | undefined {
    return this.connection?.lastUse;
  }
  get busy(): boolean {
    return this.connection?.busy ?? false;
  }
  get kept(): boolean {
    return this.connection instanceof Connection && this.#isKept(this.connection);
  }

  /** End it at once, and say why where that is understood. */
  dismiss(error: PeerError): void {
    const language = this.opening?.language;
    if (this.connection !== undefined) this.connection.dismiss(error);
    else if (language !== undefined) sayLast(this.#socket, language, error.message);
    else this.#socket.destroy();
  }

  destroy(error: PeerError): void {
    if (this.connection !== undefined) this.connection.destroy(error);
    else this.#socket.destroy();
  }
}

const FULL = 'too many connections';
const BLOCKED = 'too many searches came from this address; come back later';
