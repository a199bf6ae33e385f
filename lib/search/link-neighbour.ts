/** A connection to a peer, as a target of searches. */
import type { PeerError } from '../errors.js';
import type { Connection } from '../net/connection.js';
import type { Misbehaviour } from '../limits/peer-score.js';
import type { PeerContact, Search } from '../wire/messages.js';
import { AddressPolicy, interfaceAddresses } from '../net/scope.js';
import type { RelayTarget, SearchEvents } from './roles.js';

const policy = new AddressPolicy(interfaceAddresses);

/** A connection that is kept, to pass searches over. */
export interface SearchLink {
  /** Where the peer was reached. */
  readonly contact: PeerContact;
  readonly connection: Connection;
  /** It is there for some peers alone. */
  readonly isPrivate?: boolean;
}

export class LinkNeighbour implements RelayTarget {
  readonly id: string;
  readonly contact: PeerContact;
  readonly isPrivate: boolean;
  readonly #connection: Connection;

  readonly #onFail: (error: PeerError) => void;
  readonly #onMisbehaviour: (kind: Misbehaviour) => void;

  /**
   * @param onFail told why a search came to nothing
   * @param onMisbehaviour told of what no honest peer does
   * @param key what it is known by. @default its id
   */
  constructor(
    { contact, connection, isPrivate = false }: SearchLink,
    onFail: (error: PeerError) => void = () => undefined,
    onMisbehaviour: (kind: Misbehaviour) => void = () => undefined,
    key: string = contact.id,
  ) {
    this.id = key;
    this.contact = contact;
    this.isPrivate = isPrivate;
    this.#connection = connection;
    this.#onFail = onFail;
    this.#onMisbehaviour = onMisbehaviour;
  }

  /** What it says of addresses is judged as in its list of peers: one on the internet names none here. */
  believes(peer: PeerContact): PeerContact | undefined {
    const speaker = this.#connection.remoteHost ?? this.contact.host;
    const address = policy.believed(speaker, peer);
    return address === undefined ? undefined : { id: peer.id, ...address };
  }

  penalise(kind: Misbehaviour): void {
    this.#onMisbehaviour(kind);
  }

  ask(search: Search, on: SearchEvents): () => void {
    return this.#connection.search(search, {
      files: (list) => {
        on.files(list);
      },
      third: (result) => {
        on.third(result);
      },
      late: (result) => {
        on.third(result);
      },
      end: (end) => {
        on.end(end);
      },
      fail: (error) => {
        this.#onFail(error);
        on.end(undefined);
      },
    });
  }
}
