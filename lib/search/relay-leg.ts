/** One neighbour that a search was passed on to: what it answers is checked and counted here. */
import type {
  FileList,
  PeerContact,
  PeerId,
  Search,
  SearchEnd,
  ThirdPartyHasFiles,
} from '../wire/messages.js';
import type { RelayLimits } from './limits.js';
import type { RelayTarget, RelayStats, SearchEvents } from './roles.js';
import { entryBytes, type QuotaPart } from './result-quota.js';

/** The search that it was asked in. */
export interface RelayLegOwner {
  readonly self: PeerId;
  readonly limits: Readonly<RelayLimits>;
  readonly stats: RelayStats;
  /** A result that can be relayed, as it stands in TPHF to the asker. @param share whose it is */
  result(result: ThirdPartyHasFiles, share: QuotaPart): void;
  /** Nothing more comes from this one. @param share what was kept for it */
  ended(share: QuotaPart): void;
}

export type Counts = Omit<SearchEnd, 'type' | 'of'>;

export class RelayLeg implements SearchEvents {
  readonly #owner: RelayLegOwner;
  readonly #neighbour: RelayTarget;
  readonly #search: Search;
  readonly #share: QuotaPart;
  /** Bytes of files' entries that it has sent, and whether they are more than any peer may send. */
  #bytes = 0;
  #hasExceeded = false;
  #giveUp: (() => void) | undefined;
  #over = false;
  #late = false;
  #answered = false;
  /** It had the search already. */
  #duplicate = false;
  #results = 0;
  #repeated = 0;
  /** Peers whose files it told of, by `nameOf`. */
  #peers: Set<string> | undefined;
  #counts: Counts | undefined;

  /** @param share what is kept for this neighbour of what the search may relay */
  constructor(owner: RelayLegOwner, neighbour: RelayTarget, search: Search, share: QuotaPart) {
    this.#owner = owner;
    this.#neighbour = neighbour;
    this.#search = search;
    this.#share = share;
  }

  ask(): void {
    this.#owner.stats.passedOn++;
    const giveUp = this.#neighbour.ask(this.#search, this);
    // Events may have ended it before `ask` returned.
    if (this.#over) giveUp();
    else this.#giveUp = giveUp;
  }

  /** Want nothing more. @param late the time is over */
  giveUp(late: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#late = late;
    this.#giveUp?.();
  }

  files(list: FileList): void {
    const { stats } = this.#owner;
    if (this.#over) {
      stats.late++;
    } else if (this.#answered) {
      stats.stray++;
    } else {
      this.#answered = true;
      this.#duplicate = list.duplicate === true;
      if (list.files.length > Math.max(1, this.#search.max ?? Infinity)) {
        stats.oversized++;
        this.#neighbour.penalise?.('oversized');
      }
      if (list.files.length > 0) this.#firstHand(list);
      // With ttl 0 there is no ACKN.
      if (this.#search.ttl === 0) this.#end();
    }
  }

  third(result: ThirdPartyHasFiles): void {
    const { stats, limits } = this.#owner;
    // Late ones, too: a neighbour is given up early, and could send for as long as it likes.
    if (this.#isTooMuch(result)) this.#exceed();
    else if (this.#over) stats.late++;
    else if (this.#results >= limits.resultsPerNeighbour) stats.capped++;
    else if (!this.#belongs(result)) this.#stray(result);
    else if (this.#isNew(result.peer)) this.#pass(result);
    // Counted whatever it was: the number of results examined is bounded.
    this.#results++;
  }

  end(end: SearchEnd | undefined): void {
    if (this.#over) return;
    this.#counts = end;
    this.#end();
  }

  /** Add what this neighbour contributes; what it says of others is believed up to a bound. */
  addTo(counts: Counts): void {
    counts.duplicates += this.#repeated;
    if (this.#duplicate) {
      counts.duplicates++;
    } else {
      counts.asked++;
      if (this.#answered) counts.answered++;
      if (this.#late) counts.timedOut++;
    }
    if (this.#counts === undefined || this.#search.ttl === 0) return;
    const { count } = this.#owner.limits;
    const asked = Math.min(this.#counts.asked, count);
    counts.asked += asked;
    counts.answered += Math.min(this.#counts.answered, asked);
    counts.timedOut += Math.min(this.#counts.timedOut, asked);
    counts.duplicates += Math.min(this.#counts.duplicates, count);
  }

  /** The neighbour's own files. */
  #firstHand({ total, files }: FileList): void {
    const { query, hash } = this.#search;
    const wanted = hash === undefined ? { query } : { hash };
    const { contact: peer } = this.#neighbour;
    this.#owner.result({ type: 'TPHF', ...wanted, peer, hops: 1, total, files }, this.#share);
  }

  #pass(result: ThirdPartyHasFiles): void {
    if (result.files.length === 0) return;
    const neighbour = this.#neighbour;
    const peer = neighbour.believes ? neighbour.believes(result.peer) : result.peer;
    if (peer === undefined) this.#owner.stats.unbelieved++;
    else this.#owner.result({ ...result, peer, hops: result.hops + 1 }, this.#share);
  }

  /** Counts what comes, whatever it is. */
  #isTooMuch({ files }: ThirdPartyHasFiles): boolean {
    for (const file of files) this.#bytes += entryBytes(file);
    return this.#bytes > this.#owner.limits.bytesPerNeighbour;
  }

  /** More than any peer may send: ignore the rest. */
  #exceed(): void {
    if (this.#hasExceeded) return;
    this.#hasExceeded = true;
    this.#owner.stats.excess++;
    if (!this.#over) {
      this.giveUp(false);
      this.#owner.ended(this.#share);
    }
    this.#neighbour.penalise?.('excess');
  }

  #stray({ peer }: ThirdPartyHasFiles): void {
    this.#owner.stats.stray++;
    // This node's own result may come back over a loop: that is no misbehaviour.
    if (peer.id !== this.#owner.self) this.#neighbour.penalise?.('stray');
  }

  #belongs({ query, hash, hops, peer }: ThirdPartyHasFiles): boolean {
    return (
      query === this.#search.query &&
      hash === this.#search.hash &&
      hops >= 1 &&
      hops <= this.#search.ttl &&
      peer.id !== this.#owner.self
    );
  }

  #isNew(peer: PeerContact): boolean {
    this.#peers ??= new Set([nameOf(this.#neighbour.contact)]);
    const before = this.#peers.size;
    if (this.#peers.add(nameOf(peer)).size > before) return true;
    this.#repeated++;
    this.#owner.stats.repeated++;
    return false;
  }

  #end(): void {
    this.#over = true;
    this.#owner.ended(this.#share);
  }
}

/** An id is a claim: a peer is an id at an address. */
export function nameOf({ id, host, port }: PeerContact): string {
  return `${id} ${host} ${port}`;
}
