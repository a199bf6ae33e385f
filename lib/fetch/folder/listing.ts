/**
 * What a peer lists, and what each file is to be called. Whatever it lists, memory and time are bounded:
 * what is beyond a limit is skipped and counted, and the rest is fetched.
 */
import { DistinctPaths } from '../../disk/distinct-paths.js';
import { abortError } from '../../errors.js';
import { TimeSlicer } from '../../support/time-slicer.js';
import type { FileMatch } from '../../wire/messages.js';
import { PackedFiles } from './packed-files.js';

export interface ListingLimits {
  /** Files. */
  files: number;
  /** Bytes of all paths. */
  pathBytes: number;
  /** Different folders. */
  folders: number;
  /** Folders above a file, and the file. */
  levels: number;
}

export const LISTING_LIMITS: ListingLimits = {
  files: 1_000_000,
  pathBytes: 64 * 1024 * 1024,
  folders: 100_000,
  levels: 64,
};

export class Listing {
  /** Of all files. */
  bytes = 0;
  readonly #limits: ListingLimits;
  readonly #files = new PackedFiles();
  readonly #names = new DistinctPaths();
  /** Of files that are listed more than once, all but one. */
  #repeated: ReadonlySet<number> = new Set();
  #pathBytes = 0;
  readonly #skipped = { deep: 0, folders: 0, more: false };

  private constructor(limits: ListingLimits) {
    this.#limits = limits;
  }

  /** @throws PeerError ERR_ABORTED; what the search threw */
  static async of(
    matches: AsyncIterable<FileMatch>,
    signal: AbortSignal | undefined,
    limits: ListingLimits = LISTING_LIMITS,
  ): Promise<Listing> {
    const listing = new Listing(limits);
    const slicer = new TimeSlicer();
    const pause = async (): Promise<void> => {
      if (!slicer.over) return;
      await slicer.next();
      if (signal?.aborted === true) throw abortError(signal);
    };
    for await (const match of matches) {
      await pause();
      if (!listing.#add(match)) break;
    }
    const steps = listing.#names.settle((i) => listing.#files.pathAt(i));
    let step = steps.next();
    for (; step.done !== true; step = steps.next()) await pause();
    listing.#repeated = step.value;
    for (const i of step.value) listing.bytes -= listing.#files.at(i).size;
    return listing;
  }

  /** How many. */
  get count(): number {
    return this.#files.count - this.#repeated.size;
  }

  *files(): Generator<FileMatch, void, void> {
    for (let i = 0; i < this.#files.count; i++) if (!this.#repeated.has(i)) yield this.#files.at(i);
  }

  /** What was skipped, in words; undefined when nothing was. */
  get skipped(): string | undefined {
    const { files, pathBytes, folders, levels } = this.#limits;
    const { deep, folders: other, more } = this.#skipped;
    const parts = [
      deep > 0 ? `${deep} files below more than ${levels} folders` : undefined,
      other > 0 ? `${other} files in more than ${folders} folders` : undefined,
      more ? `what is behind ${files} files or ${pathBytes} bytes of paths` : undefined,
    ].filter((part) => part !== undefined);
    return parts.length === 0 ? undefined : parts.join(', ');
  }

  /** Where a file is to stand below the folder, separated by `/`. */
  nameOf({ path }: FileMatch): string {
    return this.#names.nameOf(path);
  }

  /** @returns false when nothing more is taken */
  #add(match: FileMatch): boolean {
    const { path, size } = match;
    this.#pathBytes += Buffer.byteLength(path);
    if (this.#files.count === this.#limits.files || this.#pathBytes > this.#limits.pathBytes) {
      this.#skipped.more = true;
      return false;
    }
    if (levelsOf(path) > this.#limits.levels) {
      this.#skipped.deep++;
      return true;
    }
    if (this.#names.folders + this.#names.newFoldersOf(path) > this.#limits.folders) {
      this.#skipped.folders++;
      return true;
    }
    this.#names.add(path);
    this.#files.add(match);
    this.bytes += size;
    return true;
  }
}

function levelsOf(path: string): number {
  let levels = 1;
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) levels++;
  return levels;
}
