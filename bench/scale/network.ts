/**
 * Nodes in memory that search each other with the relay of lib/search, over links with a delay, on a
 * clock of their own. What is simulated is the connection; the relay is the real one.
 */
import { PeerError } from '../../lib/errors.js';
import type { RelayLimits } from '../../lib/search/limits.js';
import type { Asker, SearchEvents } from '../../lib/search/parties.js';
import { Relay, type SearchSettings } from '../../lib/search/relay.js';
import type {
  FileList,
  FileMatch,
  PeerContact,
  PeerId,
  Search,
  SearchEnd,
  ThirdPartyHasFiles,
  Wanted,
} from '../../lib/wire/messages.js';
import type { Graph } from '../common/graphs.js';
import { seededRandom } from '../common/random.js';
import { Link, Requester, type Lists, type Passed, type Wires } from './link.js';
import { VirtualClock } from '../common/virtual-clock.js';

export interface NetworkOptions {
  graph: Graph;
  /** Milliseconds from one node to another. */
  delay: number | ((from: number, to: number) => number);
  /** What a node has that matches. @default nothing */
  files?: (node: number, search: Search) => readonly FileMatch[];
  limits?: Partial<RelayLimits>;
  seed?: number;
  /** Whether nodes know their neighbours' lists. @default known */
  lists?: Lists;
  /** Milliseconds for which a node looks at what arrives before it passes a search on. @default none */
  settle?: number | undefined;
  /** Nodes that answer in a way of their own. */
  strange?: ReadonlyMap<number, (search: Search, asker: Asker) => void>;
  /** Told of every message that is sent. @returns whether it gets lost */
  onMessage?: (from: number, to: number, message: Passed) => boolean | undefined;
}

/** What came of one search. */
export interface Outcome {
  own: FileList | undefined;
  results: ThirdPartyHasFiles[];
  ends: SearchEnd[];
  /** Milliseconds until the last result, and until the end. */
  lastAt: number;
  endAt: number;
  cancel: () => void;
}

export function peerId(node: number): PeerId {
  return node.toString(16).padStart(64, '0');
}

export class Network implements Wires {
  readonly clock = new VirtualClock();
  readonly relays: readonly Relay[];
  /** Messages sent, by kind; and how often each node has answered for itself. */
  readonly sent = { RQFS: 0, RPFL: 0, TPHF: 0, ACKN: 0 };
  readonly answers: Uint32Array;
  readonly #options: NetworkOptions;
  readonly #links: readonly Link[][];

  constructor(options: NetworkOptions) {
    this.#options = options;
    const { graph, limits = {}, seed = 1, settle } = options;
    const random = seededRandom(seed);
    const digit = (): string => Math.floor(random() * 16).toString(16);
    const newId = (): string => Array.from({ length: 32 }, digit).join('');
    this.answers = new Uint32Array(graph.length);
    const contacts = graph.map((_, node) => contactOf(node));
    const ids = contacts.map(({ id }) => id);
    this.#links = graph.map((neighbours, from) => {
      const peers = new Set(neighbours.map((node) => ids[node] ?? ''));
      return neighbours.map((to) => {
        return new Link(this, from, to, ids[from] ?? '', contacts[to] ?? contactOf(to), peers);
      });
    });
    this.relays = graph.map((_, node) => {
      return new Relay({
        self: ids[node] ?? '',
        clock: this.clock,
        limits,
        newId,
        neighbours: () => this.#links[node] ?? [],
        ...(settle !== undefined && {
          settle: (action: () => void) => {
            this.clock.after(settle, action);
          },
        }),
        answer: (search, then) => {
          then(this.#answer(node, search));
        },
      });
    });
  }

  get lists(): Lists {
    return this.#options.lists ?? 'known';
  }

  /** Begin a search; run the clock to see what comes of it. */
  search(node: number, wanted: Wanted, settings: SearchSettings): Outcome {
    const begin = this.clock.now();
    const took = (): number => this.clock.now() - begin;
    const outcome: Outcome = {
      own: undefined,
      results: [],
      ends: [],
      lastAt: 0,
      endAt: NaN,
      cancel: () => undefined,
    };
    outcome.cancel = this.relay(node).search(wanted, settings, {
      files: (list) => {
        outcome.own = list;
      },
      third: (result) => {
        outcome.results.push(result);
        outcome.lastAt = took();
      },
      end: (end) => {
        outcome.ends.push(end);
        outcome.endAt = took();
      },
    });
    return outcome;
  }

  relay(node: number): Relay {
    const relay = this.relays[node];
    if (relay === undefined) throw new RangeError(`there is no node ${node}`);
    return relay;
  }

  /** Cut the connection between two nodes; both notice at once. */
  cut(a: number, b: number): void {
    this.#link(a, b).close();
    this.#link(b, a).close();
  }

  #link(from: number, to: number): Link {
    const link = this.#links[from]?.find((link) => link.to === to);
    if (link === undefined) throw new RangeError(`${from} is not linked with ${to}`);
    return link;
  }

  delay(from: number, to: number): number {
    const { delay } = this.#options;
    return typeof delay === 'number' ? delay : delay(from, to);
  }

  /** A search arrives. */
  take(link: Link, search: Search, on: SearchEvents): void {
    const asker = new Requester(this, link, search.ttl, on);
    const strange = this.#options.strange?.get(link.to);
    if (strange !== undefined) {
      strange(search, asker);
      return;
    }
    try {
      this.relay(link.to).handle(search, asker);
    } catch (error) {
      if (!(error instanceof PeerError && error.code === 'ERR_BUSY')) throw error;
      this.clock.after(this.delay(link.to, link.from), () => {
        on.end(undefined);
      });
    }
  }

  /** Send a message from one to another; what arrives has its effect. */
  deliver(from: number, to: number, message: Passed, effect: () => void): void {
    this.sent[message.type]++;
    if (this.#options.onMessage?.(from, to, message) === true) return;
    this.clock.after(this.delay(from, to), effect);
  }

  #answer(node: number, search: Search): FileList {
    this.answers[node] = (this.answers[node] ?? 0) + 1;
    const files = this.#options.files?.(node, search) ?? [];
    return { type: 'RPFL', total: files.length, files: files.slice(0, search.max) };
  }
}

function contactOf(node: number): PeerContact {
  const host = `10.${(node >> 16) & 255}.${(node >> 8) & 255}.${node & 255}`;
  return { id: peerId(node), host, port: 7000 };
}
