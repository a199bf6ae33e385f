/** The options and events of a download. */
import type { RateLimiter } from '../../limits/rate-limiter.js';
import type { PeerError } from '../../errors.js';
import type { OnList } from '../receive/body-verifier.js';
import type { FileHead, Hash } from '../../wire/messages.js';
import type { BlockSet } from '../block-set.js';
import type { ByteSink } from '../receive/body-receiver.js';
import type { SourceCounts } from './source.js';

/** What became of a source. */
export interface SourceEvent {
  /** `host:port`. */
  readonly peer: string;
  /**
   * `ready`: it has the file. `stalled`: it sends nothing; its blocks are requested from others.
   * `lost`: it is dialled again later. `lied`, `dropped`: it is no longer used.
   */
  readonly state: 'ready' | 'stalled' | 'lost' | 'lied' | 'dropped';
  /** What was wrong. */
  readonly error?: PeerError | undefined;
}

/** What one source gave. */
export interface SourceSummary extends SourceCounts {
  /** `host:port`. */
  readonly peer: string;
}

export interface DownloadOptions {
  readonly hash: Hash;
  /** First byte wanted, and how many. @default 0, to the end of the file */
  readonly offset?: number | undefined;
  readonly length?: number | undefined;
  readonly sink: ByteSink;
  /** Write in the order of the file; else as blocks come. */
  readonly ordered: boolean;
  /** Bytes in memory at most, more or less: what has come before its turn, in order. */
  readonly window: number;
  /** Blocks that are there: not fetched, not written. */
  readonly have?: BlockSet | undefined;
  /** Trust no size before its last block has been seen. @default only where sources differ */
  readonly prove?: boolean | undefined;
  /** Milliseconds without a byte until the blocks of a source are requested from others. */
  readonly stall: number;
  /** How fast it may come, from all together. */
  readonly limit?: RateLimiter | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told the size and the range; again if the size turns out to be another. */
  readonly onHead?: ((head: FileHead) => void) | undefined;
  /** Told of every list of the block tree that comes on the way, when its hash was right. */
  readonly onList?: OnList | undefined;
  readonly onSource?: ((event: SourceEvent) => void) | undefined;
}
