/** Which bytes of a file a request wants: `Range` (RFC 9110, section 14). */
import { combineRanges, parse } from 'range-parser';

/** Bytes from `start` to before `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Ranges of one answer; a request for more gets all of the file, as RFC 9110 allows (section 14.2). */
const MAX_RANGES = 64;

/**
 * The ranges wanted, in the order of the request, those that overlap or touch as one.
 *
 * @param size of the file, in bytes
 * @param header undefined or not understood: all of the file
 * @returns `all`; or ranges, none of them when none can be satisfied (416)
 */
export function wantedRanges(size: number, header: string | undefined): ByteRange[] | 'all' {
  if (header === undefined) return 'all';
  const { code, type, ranges } = parse(size, header);
  const isMalformed = (code & 1) !== 0;
  if (isMalformed || type !== 'bytes') return 'all';
  // The end of an empty file: there is nothing to say where it is.
  if (ranges.length === 0) return size === 0 && code === 0 ? 'all' : [];
  const combined = combineRanges(ranges);
  if (combined.length > MAX_RANGES) return 'all';
  return combined.map(({ start, end }) => ({ start, end: end + 1 }));
}
