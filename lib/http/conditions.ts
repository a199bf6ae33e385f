/** Requests that depend on what the client has already (RFC 9110, section 13). */
import type { IncomingHttpHeaders } from 'node:http';

/** What a file is now. */
export interface Validators {
  /** With its quotes; always a strong one. */
  readonly etag: string;
  /** Seconds since 1970; undefined: not known. */
  readonly modified: number | undefined;
}

/** Whether to answer 304 or 412; undefined: neither. In the order of section 13.2.2. */
export function conditionStatus(
  headers: IncomingHttpHeaders,
  { etag, modified }: Validators,
): 304 | 412 | undefined {
  const { 'if-match': match, 'if-none-match': noneMatch } = headers;
  if (match !== undefined) {
    if (!lists(match, etag, 'strong')) return 412;
  } else {
    const unmodifiedSince = secondsOf(headers['if-unmodified-since']);
    if (unmodifiedSince !== undefined && modified !== undefined && modified > unmodifiedSince)
      return 412;
  }
  if (noneMatch !== undefined) return lists(noneMatch, etag, 'weak') ? 304 : undefined;
  const modifiedSince = secondsOf(headers['if-modified-since']);
  if (modifiedSince === undefined || modified === undefined) return undefined;
  return modified <= modifiedSince ? 304 : undefined;
}

/** Whether `Range` counts: it does not when the client has a part of something else (`If-Range`, section 13.1.5). */
export function rangeCounts(
  { 'if-range': ifRange }: IncomingHttpHeaders,
  { etag, modified }: Validators,
): boolean {
  if (ifRange === undefined) return true;
  if (typeof ifRange !== 'string') return false;
  if (ifRange.includes('"')) return ifRange.trim() === etag;
  return modified !== undefined && secondsOf(ifRange) === modified;
}

/** Whether a list of entity tags has this one, or is `*`. */
function lists(header: string, etag: string, compare: 'strong' | 'weak'): boolean {
  if (header.trim() === '*') return true;
  return header.split(',').some((item) => {
    const tag = item.trim();
    return tag === etag || (compare === 'weak' && tag === `W/${etag}`);
  });
}

/** The three forms of a date (section 5.6.7); seconds since 1970. What is none of them counts for nothing. */
const DATE =
  /^(?:\w{3}, \d{2} \w{3} \d{4} [\d:]{8} GMT|\w{6,9}, \d{2}-\w{3}-\d{2} [\d:]{8} GMT|\w{3} \w{3} [\d ]\d [\d:]{8} \d{4})$/;

function secondsOf(header: string | undefined): number | undefined {
  if (header === undefined || !DATE.test(header)) return undefined;
  // The third form has no zone, and is in UTC, too.
  const time = Date.parse(header.endsWith('GMT') ? header : `${header} GMT`);
  return Number.isNaN(time) ? undefined : time / 1000;
}
