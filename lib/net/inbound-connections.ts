/** Accepts connections as `Admission` says, and closes those that must make room for them. */
import type { Socket } from 'node:net';
import { PeerError } from '../errors.js';
import { encodeMessage } from '../wire/messages.js';
import { formatAddress } from './address.js';
import { Admission, type AdmissionLimits, type Candidate } from '../limits/admission.js';
import { Connection, type ConnectionOptions } from './connection.js';
import { Blocklist } from '../limits/blocklist.js';

export interface InboundConnectionsOptions extends Omit<
  ConnectionOptions,
  'name' | 'onUse' | 'onInternalError'
> {
  limits: AdmissionLimits;
  /** Milliseconds for which no connection of a blocked client is accepted. */
  blockFor: number;
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
  readonly #admission: Admission<InboundCandidate>;
  readonly #blocked: Blocklist;
  /** Those that are open, or closing. */
  readonly #candidates = new Map<Connection, InboundCandidate>();
  readonly #stats = { connections: 0, refused: 0, evicted: 0 };

  constructor(options: InboundConnectionsOptions) {
    this.#options = options;
    this.#admission = new Admission(options.limits);
    this.#blocked = new Blocklist({ first: options.blockFor });
  }

  /** Connections accepted so far, open now, refused, and closed to make room for others. */
  get stats(): { connections: number; openConnections: number; refused: number; evicted: number } {
    return { ...this.#stats, openConnections: this.#candidates.size };
  }

  get connections(): Iterable<Connection> {
    return this.#candidates.keys();
  }

  has(connection: Connection): boolean {
    return this.#candidates.has(connection);
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
      refuse(socket, BLOCKED);
      return;
    }
    const verdict = this.#admission.judge(client);
    if (!verdict.admitted) {
      this.#stats.refused++;
      refuse(socket, FULL);
      return;
    }
    if (verdict.evict !== undefined) this.#evict(verdict.evict);
    const name = formatAddress({ host: remoteAddress, port: remotePort });
    const { onInternalError, isKept } = this.#options;
    const connection: Connection = new Connection(socket, {
      ...this.#options,
      name,
      onUse: () => {
        this.#admission.proven(candidate);
      },
      onInternalError: (error) => {
        onInternalError(error, name);
      },
    });
    const candidate = new InboundCandidate(connection, client, isKept);
    connection.readEvents();
    this.#stats.connections++;
    this.#candidates.set(connection, candidate);
    this.#admission.add(candidate);
    this.#options.onAccept(connection);
    connection.closed.addEventListener(
      'abort',
      () => {
        this.#candidates.delete(connection);
        this.#admission.delete(candidate);
      },
      { once: true },
    );
  };

  /** Accept nothing more of this connection's client for a while. What is open may stay. */
  block(connection: Connection): void {
    const candidate = this.#candidates.get(connection);
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
    candidate.connection.dismiss(full());
  }
}

class InboundCandidate implements Candidate {
  readonly connection: Connection;
  readonly client: string;
  readonly since = performance.now();
  readonly #isKept: (connection: Connection) => boolean;

  constructor(connection: Connection, client: string, isKept: (connection: Connection) => boolean) {
    this.connection = connection;
    this.client = client;
    this.#isKept = isKept;
  }

  get lastUse(): number | undefined {
    return this.connection.lastUse;
  }
  get busy(): boolean {
    return this.connection.busy;
  }
  get kept(): boolean {
    return this.#isKept(this.connection);
  }
}

const FULL = 'too many connections';
const BLOCKED = 'too many searches came from this address; come back later';

function full(): PeerError {
  return new PeerError('ERR_BUSY', FULL);
}

/** Say why, as far as the kernel takes it at once, and close. */
function refuse(socket: Socket, message: string): void {
  socket.on('error', () => undefined);
  socket.write(encodeMessage({ type: 'ERRR', code: 'ERR_BUSY', message }, 0));
  socket.destroy();
}
