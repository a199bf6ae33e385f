/** The sources of a download: connected as they become known, dialled again when lost, dropped at last. */
import type { RateLimiter } from '../../limits/rate-limiter.js';
import { PeerError, asError, isPeerFault } from '../../errors.js';
import { pause } from '../../support/backoff.js';
import type { Hash } from '../../wire/messages.js';
import type { SourceEvent, SourceSummary } from './events.js';
import { noneLeft, pauseBeforeRetry, type SourceFailure } from './source-error.js';
import { Source, type SourcePeer } from './source.js';

/** A source that is connected and says how long the file is. */
export interface Session {
  readonly source: Source;
  /** Bytes of the file, as it says. */
  readonly claim: number;
  stalled: boolean;
  /** When it was last found too slow, in milliseconds; undefined when it is not. */
  slowSince: number | undefined;
  /** Ends the session, if it has not ended. */
  readonly fail: (error: PeerError) => void;
}

/** What the sources are used for. */
export interface SourcePoolOptions {
  readonly hash: Hash;
  /** First byte wanted. @default 0 */
  readonly offset?: number | undefined;
  /** How fast it may come, from all together. */
  readonly limit?: RateLimiter | undefined;
}

export interface SourcePoolOwner {
  /** A source can be asked. */
  onEnter(session: Session): void;
  /** It cannot any more, for a while or for ever. */
  onLeave(session: Session): void;
  /** No source is left, and none will come. */
  onNone(): void;
  onEvent(event: SourceEvent): void;
  /** The peers cannot be told. */
  onError(error: Error): void;
}

/** Sources used at once; more wait until one is dropped. */
const MAX_SOURCES = 16;

export class SourcePool {
  readonly #options: SourcePoolOptions;
  readonly #owner: SourcePoolOwner;
  readonly #sources: Source[] = [];
  readonly #sessions = new Set<Session>();
  readonly #failures: SourceFailure[] = [];
  readonly #ended = new AbortController();
  /** Sources that are not dropped. */
  #active = 0;
  #exhausted = false;
  #onVacancy = (): void => undefined;

  constructor(wanted: SourcePoolOptions, owner: SourcePoolOwner) {
    this.#options = wanted;
    this.#owner = owner;
  }

  /** Those that can be asked now. */
  get sessions(): readonly Session[] {
    return [...this.#sessions];
  }

  has(session: Session): boolean {
    return this.#sessions.has(session);
  }

  /** Whether no source is left, and none will come. */
  get isGone(): boolean {
    return this.#exhausted && this.#active === 0;
  }

  /** Why none is left. */
  get error(): PeerError {
    return noneLeft(this.#failures);
  }

  /** Whether it was told to `end`. */
  isEnded(): boolean {
    return this.#ended.signal.aborted;
  }

  /** Use these peers, as they come, until `end`. */
  async join(peers: Iterable<SourcePeer> | AsyncIterable<SourcePeer>): Promise<void> {
    try {
      for await (const peer of peers) {
        while (this.#active >= MAX_SOURCES && !this.isEnded()) {
          await new Promise<void>((resolve) => (this.#onVacancy = resolve));
        }
        if (this.isEnded()) return;
        this.#active++;
        const source = new Source(peer, this.#options.hash, this.#options.limit);
        this.#sources.push(source);
        void this.#use(source);
      }
    } catch (error) {
      this.#owner.onError(asError(error));
    }
    this.#exhausted = true;
    if (this.isGone) this.#owner.onNone();
  }

  /** What each source gave, in the order in which they came. */
  get summary(): SourceSummary[] {
    return this.#sources.map(({ name, counts }) => ({ peer: name, ...counts }));
  }

  /** Let go of all. */
  end(): void {
    this.#ended.abort();
    this.#onVacancy();
    for (const source of this.#sources) source.close();
  }

  report(source: Source, state: SourceEvent['state'], error?: PeerError): void {
    this.#owner.onEvent({ peer: source.name, state, error });
  }

  /** All the life of a source: connected, asked, lost, connected again. */
  async #use(source: Source): Promise<void> {
    for (let attempts = 1; ; attempts++) {
      const before = source.counts.blocks;
      const error = await this.#session(source);
      source.close(error);
      if (this.isEnded()) return;
      if (source.counts.blocks > before) attempts = 1;
      const milliseconds = pauseBeforeRetry(error, attempts, source.counts.blocks > 0);
      if (milliseconds === undefined) {
        this.#drop(source, error);
        return;
      }
      this.report(source, 'lost', error);
      await pause(milliseconds, this.#ended.signal);
      if (this.isEnded()) return;
    }
  }

  #drop(source: Source, error: PeerError): void {
    this.#active--;
    this.#failures.push({ name: source.name, error });
    this.report(source, isPeerFault(error) ? 'lied' : 'dropped', error);
    this.#onVacancy();
    if (this.isGone) this.#owner.onNone();
  }

  /** @returns what ended it */
  async #session(source: Source): Promise<PeerError> {
    try {
      const claim = await source.open(this.#options.offset ?? 0, this.#ended.signal);
      return await new Promise<PeerError>((resolve) => {
        const fail = (error: PeerError): void => {
          if (!this.#sessions.delete(session)) return;
          resolve(error);
          this.#owner.onLeave(session);
        };
        const session: Session = { source, claim, stalled: false, slowSince: undefined, fail };
        this.#sessions.add(session);
        this.#owner.onEnter(session);
      });
    } catch (error) {
      if (error instanceof PeerError) return error;
      return new PeerError('ERR_CLOSED', asError(error).message, { cause: error });
    }
  }
}
