/** Reaches peers: connects, asks each for its id, keeps the connection as a link or learns its peers. */
import { PeerError } from '../errors.js';
import type { PeerAddress } from '../net/address.js';
import { dialPeer, type Greeted } from '../net/hello.js';
import type { Random } from '../support/random.js';
import { onAbort } from '../support/signal.js';
import { PRIVATE } from '../wire/limits.js';
import type { ListedPeer, PeerContact, PeerId, PeerInfo } from '../wire/messages.js';
import type { Direction, LinkTo } from './link.js';
import type { Links } from './links.js';
import type { DialledConnectionOptions } from './neighbours-options.js';
import type { PeerTable } from './table.js';
import type { PeerTimes } from './times.js';

export interface ReachOptions extends DialledConnectionOptions {
  table: PeerTable;
  links: Links;
  random: Random;
  times: PeerTimes;
  /** Milliseconds since 1970; the table's clock. */
  now: () => number;
  /** Whether anything may be said to a peer, by the id that it has proven. */
  isAllowed: (provenId: PeerId | undefined) => boolean;
  onInternalError: (error: Error) => void;
  /** Told once of each address at which another peer answers than the one that the user named. */
  onWrongPeer: (error: PeerError) => void;
  /** What to say of this node. */
  info: () => PeerInfo;
  /** The link for which a peer would be dialled now, if it is this one. */
  linkFor: (address: PeerAddress) => Direction | undefined;
  /** Told of peers that a peer knows; undefined when peers are not learned. */
  learn: ((speaker: PeerContact, peers: readonly ListedPeer[]) => void) | undefined;
}

export class Reach {
  readonly #options: ReachOptions;
  readonly #closing = new AbortController();
  /** What was said of peers with another key. */
  readonly #said = new Set<string>();

  constructor(options: ReachOptions) {
    this.#options = options;
  }

  /** @throws PeerError what `dialPeer` throws; ERR_NOT_A_PEER for a peer without an id */
  async attempt(address: PeerAddress, forLink: Direction | undefined): Promise<void> {
    const { table } = this.#options;
    const { connection, id, pong, rtt } = await this.#greet(address);
    if (id === undefined || this.#closing.signal.aborted) {
      connection.destroy();
      throw new PeerError('ERR_NOT_A_PEER', `${connection.name} has no id`);
    }
    const known = table.at(address);
    const wasUp = known?.id === id && known.up;
    const isPrivate = pong.info.features?.includes(PRIVATE) === true;
    const what = { proven: connection.provenId !== undefined, isPrivate };
    if (table.reached(address, id, rtt, what) === 'kept') {
      const contact = { id, ...address };
      await this.#use({ contact, connection, isPrivate }, wasUp, forLink);
    } else {
      connection.destroy();
    }
  }

  close(error: PeerError): void {
    this.#closing.abort(error);
  }

  async #greet(address: PeerAddress): Promise<Greeted> {
    const { table, times, info } = this.#options;
    const limit = new AbortController();
    const timer = setTimeout(() => {
      limit.abort();
    }, times.connect + times.answer);
    const forget = onAbort(this.#closing.signal, () => {
      limit.abort();
    });
    try {
      return await dialPeer(
        { ...address, key: table.at(address)?.key },
        { ...this.#options, connectTimeout: times.connect, signal: limit.signal },
        info(),
      );
    } catch (error) {
      if (error instanceof PeerError && error.code === 'ERR_WRONG_PEER') this.#sayOnce(error);
      throw error;
    } finally {
      clearTimeout(timer);
      forget();
    }
  }

  #sayOnce(error: PeerError): void {
    if (this.#said.has(error.message)) return;
    this.#said.add(error.message);
    this.#options.onWrongPeer(error);
  }

  /** A peer has been reached: keep the connection, or learn from it and end it. */
  async #use(
    { contact, connection, isPrivate }: Pick<LinkTo, 'contact' | 'connection' | 'isPrivate'>,
    wasUp: boolean,
    forLink: Direction | undefined,
  ): Promise<void> {
    const { table, links, times, linkFor, learn } = this.#options;
    const isNamed = table.at(contact)?.named === true;
    if (links.to(contact) === undefined) {
      const direction = isNamed ? this.#placeForNamed(contact) : (forLink ?? linkFor(contact));
      if (direction !== undefined && (isNamed || links.hasRoom(contact, direction))) {
        links.add({ contact, connection, direction, isNamed, isPrivate });
        return;
      }
    }
    try {
      // Those visited again and again are asked only once: the links are asked all the time.
      if (wasUp || learn === undefined) return;
      const limit = AbortSignal.timeout(times.answer);
      learn(contact, (await connection.request({ type: 'RQLT' }, limit)).peers);
    } finally {
      connection.destroy();
    }
  }

  /** A place for a peer that the user named, if need be that of another. */
  #placeForNamed(contact: PeerContact): Direction | undefined {
    const { links, table, random } = this.#options;
    if ((table.at(contact)?.nextLink ?? 0) > this.#options.now()) return undefined;
    if (!links.full) return 'out';
    const victim = random.pick([...links].filter(({ isNamed }) => !isNamed));
    if (victim !== undefined) links.remove(victim);
    return victim === undefined ? undefined : 'out';
  }
}
