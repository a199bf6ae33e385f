/**
 * Fetch everything that a search of one peer finds into a folder: one connection, many requests on the
 * way at once.
 *
 * A file gets its name when all of it is there and verified, never before (disk/target.ts). What stands
 * there already with the same size and hash is not fetched again, and of a file of more than one block
 * what an earlier run has verified is kept; another regular file of that name is replaced.
 */
import { signalOf } from '../../support/signal.js';
import type { Peer } from '../peer.js';
import { OutputFolder, checkFolder } from '../../disk/output-folder.js';
import { PeerError, abortError } from '../../errors.js';
import { retrying, type RetryOptions } from '../retry.js';
import { FolderFetch, type FetchAllOptions, type FetchedFile } from './folder-fetch.js';
import { Listing, type ListingLimits } from './listing.js';

export type { FetchAllOptions, FetchedFile };

/**
 * @param query terms, as in `Peer.search`; '' is every file
 * @param folder made if it is not there and something is found; symbolic links in it are not followed
 * @returns each file's result, in any order. Leaving the loop stops the rest; what was verified of files
 *   that are not whole stays in their parts.
 * @throws PeerError ERR_USAGE when `folder` is a file; ERR_FORBIDDEN when it was moved meanwhile;
 *   ERR_ABORTED; ERR_UNREACHABLE, ERR_TIMED_OUT and the like when the peer is lost; the system's error
 *   when the disk is full. What has failed for one file alone is in its result.
 */
export async function* fetchAll(
  peer: Peer,
  query: string,
  folder: string,
  options: FetchAllOptions = {},
): AsyncGenerator<FetchedFile, void, void> {
  const { signal, onFound, listingLimits, fsync } = options;
  if (signal?.aborted === true) throw abortError(signal);
  checkFolder(folder);
  const listing = await list(peer, query, options, listingLimits);
  const { skipped } = listing;
  const found = { files: listing.count, bytes: listing.bytes };
  onFound?.(skipped === undefined ? found : { ...found, skipped });
  if (listing.count === 0) return;
  const output = new OutputFolder(folder, { fsync });
  try {
    const fetch = new FolderFetch(peer, listing, output, options);
    try {
      yield* fetch.results();
    } finally {
      await fetch.stop();
    }
    if (!output.isInPlace) {
      throw new PeerError('ERR_FORBIDDEN', `${folder} was moved: the files are where it is now`);
    }
  } finally {
    await output.close();
  }
}

async function list(
  peer: Peer,
  query: string,
  options: RetryOptions,
  limits: ListingLimits | undefined,
): Promise<Listing> {
  const signal = signalOf(options);
  let listing: Listing | undefined;
  await retrying(
    async () => {
      listing = await Listing.of(peer.search(query, { signal }), signal, limits);
    },
    () => 0,
    options,
  );
  if (listing === undefined) throw new TypeError('no listing came');
  return listing;
}
