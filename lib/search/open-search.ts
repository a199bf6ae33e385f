/** One search under way: sends own matches, then relays the results of neighbours until all have ended. */
import { createHash } from 'node:crypto';
import type { FileList, FileMatch, PeerId, Search, ThirdPartyHasFiles } from '../wire/messages.js';
import { RelayLeg, nameOf, type RelayLegOwner, type Counts } from './relay-leg.js';
import type { Clock } from '../support/clock.js';
import type { RelayLimits } from './limits.js';
import type { Asker, RelayTarget, RelayStats } from './roles.js';
import type { Coverage } from './seen.js';
import { ResultQuota, entryBytes, type QuotaPart } from './result-quota.js';

/** What a search needs of the node it runs in. */
export interface SearchHost {
  readonly self: PeerId;
  readonly clock: Clock;
  /** The targets to forward to, each peer once. */
  neighbours(): Iterable<RelayTarget>;
  /** Tell the node's own matches, now or later. @param asker that it is for */
  answer(search: Search, then: (list: FileList) => void, asker?: Asker): void;
  /**
   * Call `action` when what has arrived by now has been looked at. A search that comes by several ways
   * is then passed on once, by the best of them. @default at once
   */
  settle?(action: () => void): void;
}

export interface OpenSearchOptions {
  host: SearchHost;
  limits: Readonly<RelayLimits>;
  stats: RelayStats;
  /** With an id, a ttl within the limits, and a timeout. */
  search: Search;
  /** Milliseconds. */
  timeout: number;
  asker: Asker;
  /** The peers that have this search already. */
  coverage: Coverage;
  /** Whether a copy with a higher ttl has come since, which is forwarded instead. */
  isSuperseded: () => boolean;
  /** Told once, when it is over. */
  onOver: (search: OpenSearch) => void;
}

/**
 * What becomes of the node's own matches: sent; sent to an asker that is not the first, which counts as a
 * duplicate; not sent again.
 */
export type OwnAnswer = 'first' | 'duplicate' | 'none';

/** What a peer answers that had the search of this asker already. */
export const SEEN_BEFORE: FileList = Object.freeze({
  type: 'RPFL',
  total: 0,
  files: [],
  duplicate: true,
});
const NO_FILES: FileList = { type: 'RPFL', total: 0, files: [] };
const NO_PEERS: ReadonlySet<PeerId> = new Set();

export class OpenSearch implements RelayLegOwner {
  readonly limits: Readonly<RelayLimits>;
  readonly stats: RelayStats;
  readonly #options: OpenSearchOptions;
  readonly #deadline: number;
  readonly #legs: RelayLeg[] = [];
  readonly #quota: ResultQuota;
  /** Digests of the first files relayed of each peer, by `nameOf`. */
  readonly #relayed = new Map<string, string>();
  /** Legs that have not ended; one more until all have been asked. */
  #waiting = 1;
  #over = false;
  #answered = false;
  #stopTimer: (() => void) | undefined;
  #stopListTimer: (() => void) | undefined;
  #forgetAsker: (() => void) | undefined;

  constructor(options: OpenSearchOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.stats = options.stats;
    this.#quota = new ResultQuota(this.limits.files, this.limits.bytes);
    this.#deadline = options.host.clock.now() + options.timeout;
  }

  get self(): PeerId {
    return this.#options.host.self;
  }

  begin(own: OwnAnswer): void {
    try {
      this.#begin(own);
    } catch (error) {
      this.cancel();
      throw error;
    }
  }

  /** End the search without an answer. */
  cancel(): void {
    if (this.#over) return;
    for (const leg of this.#legs) leg.giveUp(false);
    this.#close();
  }

  /** Relay a result, as far as the limits allow. */
  result(result: ThirdPartyHasFiles, share: QuotaPart): void {
    const { filesPerResult, bytesPerResult } = this.limits;
    const room = this.#quota.room(share);
    const first = result.files.slice(0, Math.min(filesPerResult, room.files));
    const { files, bytes } = upTo(first, Math.min(bytesPerResult, room.bytes));
    if (files.length < Math.min(result.files.length, filesPerResult)) this.stats.capped++;
    const name = nameOf(result.peer);
    const digest = digestOf(files);
    // The peer answered two neighbours, and this node has relayed the very same already.
    if (files.length === 0 || this.#relayed.get(name) === digest) return;
    const isSpare = files.length > share.files || bytes > share.bytes;
    if (this.#options.asker.send({ ...result, files }, isSpare)) {
      this.stats.relayed++;
      if (!this.#relayed.has(name)) this.#relayed.set(name, digest);
      this.#quota.take(share, files.length, bytes);
    } else {
      this.stats.dropped++;
    }
  }

  ended(share?: QuotaPart): void {
    if (share !== undefined) this.#quota.release(share);
    if (--this.#waiting === 0) this.#finish();
  }

  #begin(own: OwnAnswer): void {
    const { host, search, asker, timeout } = this.#options;
    this.#forgetAsker = asker.onClosed(() => {
      this.cancel();
    });
    if (this.#over) this.#forgetAsker();
    else if (own === 'none') this.#answer(SEEN_BEFORE);
    else {
      host.answer(
        search,
        (list) => {
          this.#answer(own === 'duplicate' ? { ...list, duplicate: true } : list);
        },
        asker,
      );
    }
    // In a large network most searches end here: every neighbour has the search already.
    if (this.#isOver()) return;
    this.#stopTimer = host.clock.after(timeout, () => {
      this.#timeUp();
    });
  }

  #answer(list: FileList): void {
    if (this.#over || this.#answered) return;
    this.#answered = true;
    this.#options.asker.send(list);
    if (!this.#isOver()) this.#askForPeers();
  }

  /** Learn which peers the asker forwards to; after a while forward without that knowledge. */
  #askForPeers(): void {
    let known = false;
    const then = (ids: ReadonlySet<PeerId>): void => {
      if (known || this.#over) return;
      known = true;
      this.#stopListTimer?.();
      if (host.settle === undefined) this.#passOn(ids);
      else {
        host.settle(() => {
          if (!this.#over) this.#passOn(ids);
        });
      }
    };
    const { asker, host } = this.#options;
    asker.peers(then);
    if (this.#knows(known)) return;
    const { listWait, listWaitShare } = this.limits;
    const wait = Math.min(listWait, (this.#deadline - host.clock.now()) * listWaitShare);
    this.#stopListTimer = host.clock.after(wait, () => {
      then(NO_PEERS);
    });
  }

  #passOn(theirs: ReadonlySet<PeerId>): void {
    const { host, search, asker, coverage, isSuperseded } = this.#options;
    coverage.add(asker.id, search.ttl, theirs);
    if (isSuperseded()) {
      this.ended();
      return;
    }
    const { margin, marginShare, minTimeout, filesPerResult } = this.limits;
    const left = this.#deadline - host.clock.now();
    const timeout = Math.floor(left - Math.max(margin, left * marginShare));
    if (timeout >= minTimeout) {
      const ttl = search.ttl - 1;
      const max = Math.min(search.max ?? filesPerResult, filesPerResult);
      // Frozen: it is the same for all.
      const next = Object.freeze<Search>({ ...search, ttl, timeout, max, after: undefined });
      // Which peer asks is no business of others.
      const open = Object.freeze<Search>({ ...next, via: undefined });
      const chosen: RelayTarget[] = [];
      for (const neighbour of host.neighbours()) {
        if (neighbour.id === host.self || neighbour.id === asker.id) continue;
        if (!this.#mayAsk(neighbour) || coverage.has(neighbour.id, ttl)) continue;
        coverage.tell(neighbour.id, ttl);
        chosen.push(neighbour);
      }
      for (const [i, share] of this.#quota.divide(chosen.length).entries()) {
        const neighbour = chosen[i];
        if (neighbour === undefined) continue;
        const asked = neighbour.isPrivate === true ? next : open;
        this.#legs.push(new RelayLeg(this, neighbour, asked, share));
      }
      // All are chosen before the first is asked: asking may lose a neighbour at once.
      this.#waiting += this.#legs.length;
      for (const leg of this.#legs) {
        leg.ask();
        if (this.#isOver()) return;
      }
    }
    this.ended();
  }

  /** A private peer is asked on behalf of peers that have proven who they are, or of this one alone. */
  #mayAsk({ isPrivate = false }: RelayTarget): boolean {
    const { search, asker, host } = this.#options;
    return !isPrivate || search.via !== undefined || asker.id === host.self;
  }

  #timeUp(): void {
    for (const leg of this.#legs) leg.giveUp(true);
    if (!this.#answered) this.#options.asker.send(NO_FILES);
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    const counts: Counts = { asked: 0, answered: 0, timedOut: 0, duplicates: 0 };
    for (const leg of this.#legs) leg.addTo(counts);
    this.#close();
    this.#options.asker.send({ type: 'ACKN', of: 'RQFS', ...counts });
  }

  #close(): void {
    this.#over = true;
    this.#stopTimer?.();
    this.#stopListTimer?.();
    this.#forgetAsker?.();
    this.#options.onOver(this);
  }

  /** A method, so that TypeScript does not narrow it: callbacks may have ended the search. */
  #isOver(): boolean {
    return this.#over;
  }

  #knows(known: boolean): boolean {
    return known || this.#over;
  }
}

/** The first of them whose entries have at most so many bytes. */
function upTo(files: readonly FileMatch[], most: number): { files: FileMatch[]; bytes: number } {
  let [count, bytes] = [0, 0];
  for (const file of files) {
    const more = entryBytes(file);
    if (bytes + more > most) break;
    bytes += more;
    count++;
  }
  return { files: files.slice(0, count), bytes };
}

function digestOf(files: readonly FileMatch[]): string {
  const digest = createHash('sha256');
  for (const { path, hash, size } of files) digest.update(`${path}\0${hash} ${size}\0`);
  return digest.digest('base64');
}
