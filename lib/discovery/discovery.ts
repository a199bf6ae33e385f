/** How a node finds others by itself, and is found. Its parts are loaded when they are used. */
import type { PeerAddress } from '../net/address.js';
import { scopeOf } from '../net/scope.js';
import type { Neighbours } from '../peers/neighbours.js';
import type { PeerChange } from '../peers/neighbours-options.js';
import type { PeerId } from '../wire/messages.js';
import { DialClaims } from './dial-claims.js';
import type { Lan } from './lan/lan.js';

/** Milliseconds for which an address that other machines can use, too, is waited for. */
const SECOND_CHOICE = 1000;

export interface DiscoveryOptions {
  self: PeerId;
  /** Where the node listens. */
  listening: PeerAddress;
  /** Whether it is announced in its own networks, and looks for others there. */
  lan: boolean;
  /** Whether what is found is dialled. */
  discover: boolean;
  neighbours: Neighbours;
  /** Milliseconds between looks at this machine's interfaces, and at what could not be dialled before. */
  look: number;
  onWarning: (reason: string) => void;
}

export class Discovery {
  readonly #options: DiscoveryOptions;
  #lan: Lan | undefined;
  /** What was found and is not reached is offered again then. */
  #again: NodeJS.Timeout | undefined;
  #claims: DialClaims | undefined;
  #closed = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
  }

  /** Resolves when it has begun. */
  async start(): Promise<void> {
    const { lan, listening } = this.#options;
    // On a node that is there for this machine alone.
    if (lan && scopeOf(listening.host) !== 'loopback') await this.#startLan();
  }

  /** Say goodbye. Resolves when that has been sent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#again);
    this.#options.neighbours.off('change', this.#onChange);
    await this.#lan?.close();
  }

  async #startLan(): Promise<void> {
    const { self: id, listening, discover, neighbours, look, onWarning } = this.#options;
    const { Lan } = await import('./lan/lan.js');
    if (this.#closed) return;
    const { host, port } = listening;
    const claims = new DialClaims({
      source: 'lan',
      dial: (address, source) => neighbours.found(address, source),
      isUp: (peer) => neighbours.isUp(peer),
    });
    this.#claims = claims;
    this.#lan = new Lan({
      ...{ service: { id, port }, host, look, onWarning },
      onFound: (peer) => {
        if (!discover || neighbours.isUp(peer)) return;
        // An address that means nothing on other machines is the second choice.
        if (!hasZone(peer)) claims.offer(peer);
        this.#again ??= setTimeout(this.#offerAll, SECOND_CHOICE);
      },
    });
    if (discover) neighbours.on('change', this.#onChange);
  }

  readonly #onChange = ({ kind, host, port }: PeerChange): void => {
    if (kind !== 'up') return;
    this.#claims?.reached({ host, port });
    // There may be more of them at that host.
    for (const peer of this.#lan?.found ?? []) if (!hasZone(peer)) this.#claims?.offer(peer);
  };

  readonly #offerAll = (): void => {
    const { neighbours, look } = this.#options;
    const left = this.#lan?.found.filter((peer) => !neighbours.isUp(peer)) ?? [];
    for (const peer of left) this.#claims?.offer(peer);
    this.#again = left.length === 0 ? undefined : setTimeout(this.#offerAll, look);
  };
}

/** Of link-local addresses in IPv6. */
const hasZone = ({ host }: PeerAddress): boolean => host.includes('%');
