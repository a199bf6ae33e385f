/** Finds the nodes in this machine's own networks, and lets them find this one: DNS-SD over multicast DNS. */
import { TokenBucket } from '../../limits/token-bucket.js';
import { NetworkMonitor } from '../../peers/network-monitor.js';
import { Random } from '../../support/random.js';
import { FoundPeers, type FoundPeer } from './found.js';
import { linksFor, type LanLink } from './links.js';
import { MDNS_PORT, LinkSocket, type PacketSource } from './link-socket.js';
import type { Received } from './packet.js';
import { announcement, asksFor, queryFor, servicesIn, type Service } from './service.js';

export interface LanOptions {
  /** What is announced; undefined: it only looks. */
  service?: Service | undefined;
  /** Where the node listens: on the links there it is announced. @default every address */
  host?: string | undefined;
  /** Milliseconds between looks at this machine's interfaces. @default 5000 */
  look?: number | undefined;
  /** A node was found, or was seen again. Its id is a claim. */
  onFound: (peer: FoundPeer) => void;
  /** A link on which nothing can be found or announced. */
  onWarning?: ((reason: string) => void) | undefined;
}

/** Milliseconds. The first query, and what is a second after it, wait so long at most (RFC 6762, sections 5.2, 6, 8.3). */
const LEAST_DELAY = 20;
const MOST_DELAY = 120;
const SECOND = 1000;
/** Between queries: three times as long each time. */
const QUERY_FACTOR = 3;
const LONGEST_QUERY_PAUSE = 10 * 60_000;
/** Known answers in a query: it shall be one packet. */
const MAX_KNOWN = 20;
/** Answers a second to those that are no members of the group, each in a packet of its own. */
const LEGACY_ANSWERS = 10;

interface Open {
  readonly link: LanLink;
  readonly socket: LinkSocket;
  /** When the last response went to the group: at most one a second does, however often it is asked for. */
  answeredAt: number;
  answer: NodeJS.Timeout | undefined;
}

export class Lan {
  readonly #options: LanOptions;
  readonly #random = new Random(Math.random);
  readonly #found = new FoundPeers(this.#random);
  readonly #legacy = new TokenBucket(LEGACY_ANSWERS, LEGACY_ANSWERS, performance.now());
  readonly #links = new Map<string, Open>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #monitor: NetworkMonitor;
  /** Queries begin anew when the network is another. */
  #round = 0;
  #closed = false;

  constructor(options: LanOptions) {
    this.#options = options;
    this.#monitor = new NetworkMonitor({
      every: options.look ?? 5 * SECOND,
      onChange: () => {
        this.#begin();
      },
    });
    this.#begin();
  }

  /** Those that were found and are not gone. */
  get found(): FoundPeer[] {
    return this.#found.all();
  }

  /** Say goodbye on every link, and leave. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#monitor.close();
    for (const timer of this.#timers) clearTimeout(timer);
    const { service } = this.#options;
    const open = [...this.#links.values()];
    for (const { answer } of open) clearTimeout(answer);
    const sent = open.map(async ({ socket, link }) => {
      if (service !== undefined)
        await socket.send(announcement(service, link.addresses, 'goodbye'));
      socket.close();
    });
    await Promise.all(sent);
  }

  /** Use the links that there are now; on all of them announce and ask anew. */
  #begin(): void {
    const links = new Map(linksFor(this.#options.host ?? '::').map((link) => [keyOf(link), link]));
    for (const [key, { socket, answer }] of this.#links) {
      if (links.has(key)) continue;
      clearTimeout(answer);
      socket.close();
      this.#links.delete(key);
    }
    for (const [key, link] of links) if (!this.#links.has(key)) this.#open(key, link);
    const round = ++this.#round;
    this.#query(round, SECOND);
    // Twice, a second apart (RFC 6762, section 8.3).
    this.#announce();
    this.#after(SECOND, () => {
      if (round === this.#round) this.#announce();
    });
  }

  #open(key: string, link: LanLink): void {
    const open: Open = {
      link,
      socket: new LinkSocket(link, {
        onPacket: (packet, from) => {
          this.#take(open, packet, from);
        },
        onError: ({ message }) => {
          this.#options.onWarning?.(`${link.name}, IPv${link.family}: ${message}`);
        },
      }),
      answeredAt: -Infinity,
      answer: undefined,
    };
    this.#links.set(key, open);
  }

  #announce(): void {
    for (const open of this.#links.values()) this.#answer(open);
  }

  #query(round: number, pause: number): void {
    this.#after(this.#delay(), () => {
      if (round !== this.#round) return;
      for (const { socket, link } of this.#links.values()) {
        const { service } = this.#options;
        const known = this.#found.freshOn(link, MAX_KNOWN);
        // A node need not answer itself.
        void socket.send(queryFor(service === undefined ? known : [service.id, ...known]));
      }
      this.#after(pause, () => {
        const next = Math.min(LONGEST_QUERY_PAUSE, pause * QUERY_FACTOR);
        if (round === this.#round) this.#query(round, next);
      });
    });
  }

  #take(open: Open, packet: Received, from: PacketSource): void {
    if (this.#closed) return;
    const { service } = this.#options;
    if (packet.type === 'query') {
      if (service === undefined || !asksFor(packet, service.id)) return;
      if (from.port === MDNS_PORT) this.#answer(open);
      else this.#answerLegacy(open, service, packet, from);
      return;
    }
    // From another port it is none (RFC 6762, section 6).
    if (from.port !== MDNS_PORT) return;
    for (const seen of servicesIn(packet)) {
      if (seen.id === service?.id) continue;
      const peer = this.#found.see(seen, from.host, open.link);
      if (peer !== undefined) this.#options.onFound(peer);
    }
  }

  /** All that is to be said, to the group, a little later and at most once a second. */
  #answer(open: Open): void {
    const { service } = this.#options;
    if (service === undefined || open.answer !== undefined) return;
    const rest = open.answeredAt + SECOND - performance.now();
    open.answer = setTimeout(
      () => {
        open.answer = undefined;
        open.answeredAt = performance.now();
        void open.socket.send(announcement(service, open.link.addresses));
      },
      Math.max(rest, this.#delay()),
    );
  }

  #answerLegacy(open: Open, service: Service, query: Received, from: PacketSource): void {
    this.#legacy.fill(performance.now());
    if (this.#legacy.tokens < 1) return;
    this.#legacy.spend();
    const { id, questions } = query;
    const answer = announcement(service, open.link.addresses, 'legacy');
    void open.socket.send({ ...answer, id, questions }, from);
  }

  #delay(): number {
    return LEAST_DELAY + Math.random() * (MOST_DELAY - LEAST_DELAY);
  }

  #after(milliseconds: number, act: () => void): void {
    if (this.#closed) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, milliseconds);
    this.#timers.add(timer);
  }
}

const keyOf = ({ name, family, addresses }: LanLink): string =>
  [name, family, ...addresses].join(' ');
