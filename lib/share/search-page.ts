/** One page of the files that match a query. */
import type { NameIndex } from '../name-index/name-index.js';
import { MAX_FILES, MAX_FILES_PATH_BYTES } from '../wire/limits.js';
import type { FileMatch } from '../wire/messages.js';

export interface Page {
  total: number;
  files: FileMatch[];
  /** Present when there are more. */
  after: Uint8Array | undefined;
}

export interface PageRequest {
  query: string;
  /** Entries wanted; a page also ends at the limits of RPFL. */
  max?: number | undefined;
  /**
   * Cursor of the page before: whatever was added or removed since, no file that stayed is omitted or
   * comes twice.
   */
  after?: Uint8Array | undefined;
}

/**
 * The best matches first. In steps, between which files may come and go: the page is that of the moment
 * when it is given.
 */
export function* searchPage(
  names: NameIndex,
  matchAt: (slot: number) => FileMatch,
  { query, max = MAX_FILES, after }: PageRequest,
): Generator<number, Page> {
  const limit = Math.min(Math.max(max, 1), MAX_FILES);
  const found = yield* names.searching(query, limit, after);
  const { total } = found;
  const files: FileMatch[] = [];
  let bytes = 0;
  for (const id of found.ids) {
    const match = matchAt(id);
    bytes += Buffer.byteLength(match.path);
    // At least one is given.
    if (bytes > MAX_FILES_PATH_BYTES && files.length > 0) {
      return { total, files, after: found.cursorAfter(files.length - 1) };
    }
    files.push(match);
  }
  return { total, files, after: found.after };
}
