/** A connection between two nodes in memory: to ask through it, and to be asked. */
import type { Clock } from '../../lib/clock.js';
import type { Asker, Neighbour, SearchEvents } from '../../lib/search/parties.js';
import type {
  FileList,
  PeerContact,
  PeerId,
  Search,
  SearchEnd,
  ThirdPartyHasFiles,
} from '../../lib/wire/messages.js';

export type Passed = Search | FileList | ThirdPartyHasFiles | SearchEnd;

/**
 * Whether a node knows its neighbours' lists already, must ask for them (a way there and back), or
 * never gets them.
 */
export type Lists = 'known' | 'asked' | 'never';

/** What carries messages from one node to another. */
export interface Wires {
  readonly clock: Clock;
  readonly lists: Lists;
  /** Milliseconds. */
  delay(from: number, to: number): number;
  /** Send a message; `effect` is what it does when it arrives. */
  deliver(from: number, to: number, message: Passed, effect: () => void): void;
  /** A search arrives. */
  take(link: Link, search: Search, on: SearchEvents): void;
}

/** One node's way to ask another. */
export class Link implements Neighbour {
  readonly id: PeerId;
  readonly contact: PeerContact;
  readonly from: number;
  readonly to: number;
  /** Of the one that asks. */
  readonly fromId: PeerId;
  readonly fromPeers: ReadonlySet<PeerId>;
  /** What is to be done when it is cut, by the one that answers. */
  readonly closing = new Set<() => void>();
  /** Those that wait for answers. */
  readonly waiting = new Set<SearchEvents>();
  readonly #wires: Wires;
  #closed = false;

  constructor(
    wires: Wires,
    from: number,
    to: number,
    fromId: PeerId,
    contact: PeerContact,
    fromPeers: ReadonlySet<PeerId>,
  ) {
    this.#wires = wires;
    this.from = from;
    this.to = to;
    this.fromId = fromId;
    this.contact = contact;
    this.id = contact.id;
    this.fromPeers = fromPeers;
  }

  get closed(): boolean {
    return this.#closed;
  }

  ask(search: Search, on: SearchEvents): () => void {
    if (this.#closed) {
      on.end(undefined);
      return () => undefined;
    }
    this.waiting.add(on);
    this.#wires.deliver(this.from, this.to, search, () => {
      if (!this.#closed) this.#wires.take(this, search, on);
    });
    // Events come all the same: the relay has to know what it wants.
    return () => undefined;
  }

  close(): void {
    this.#closed = true;
    for (const action of this.closing) action();
    for (const on of this.waiting) on.end(undefined);
    this.closing.clear();
    this.waiting.clear();
  }
}

/** One request, as the one sees it that answers. */
export class Requester implements Asker {
  readonly #wires: Wires;
  readonly #link: Link;
  readonly #ttl: number;
  readonly #on: SearchEvents;

  constructor(wires: Wires, link: Link, ttl: number, on: SearchEvents) {
    this.#wires = wires;
    this.#link = link;
    this.#ttl = ttl;
    this.#on = on;
  }

  get id(): PeerId {
    return this.#link.fromId;
  }

  get key(): object {
    return this.#link;
  }

  peers(then: (ids: ReadonlySet<PeerId>) => void): void {
    const { fromPeers, from, to } = this.#link;
    const { lists, clock } = this.#wires;
    if (lists === 'known') {
      then(fromPeers);
    } else if (lists === 'asked') {
      const wait = this.#wires.delay(to, from) + this.#wires.delay(from, to);
      clock.after(wait, () => {
        then(fromPeers);
      });
    }
  }

  send(answer: FileList | ThirdPartyHasFiles | SearchEnd): boolean {
    const { from, to } = this.#link;
    this.#wires.deliver(to, from, answer, () => {
      if (this.#link.closed) return;
      if (answer.type === (this.#ttl === 0 ? 'RPFL' : 'ACKN')) this.#link.waiting.delete(this.#on);
      if (answer.type === 'RPFL') this.#on.files(answer);
      else if (answer.type === 'TPHF') this.#on.third(answer);
      else this.#on.end(answer);
    });
    return true;
  }

  onClosed(action: () => void): () => void {
    if (this.#link.closed) action();
    this.#link.closing.add(action);
    return () => {
      this.#link.closing.delete(action);
    };
  }
}
