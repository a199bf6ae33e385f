/** How parts are called: `FILE.MARK.part`, and `FILE.MARK-TOKEN.part` while a run gives one its final name. */
import { createHash, randomBytes } from 'node:crypto';
import { MAX_NAME_BYTES, PART_SUFFIX, cut } from './safe-name.js';

const MARK_DIGITS = 32;
const TOKEN_BYTES = 8;
/** What a part's name has behind that of the file, at most. */
const END_BYTES = 1 + MARK_DIGITS + 1 + 2 * TOKEN_BYTES + PART_SUFFIX.length;

/**
 * The name of a part. It fits where the file's own does.
 *
 * @param content what the file is to hold: the same text for the same bytes, and for no others
 */
export function partName(name: string, content: string): string {
  const mark = createHash('sha256').update(`${name}\0${content}`).digest('hex');
  return `${cut(name, MAX_NAME_BYTES - END_BYTES)}.${mark.slice(0, MARK_DIGITS)}${PART_SUFFIX}`;
}

/** A name for a part that only this run knows. @param part its name or path */
export function claimedName(part: string): string {
  return `${stemOf(part)}-${randomBytes(TOKEN_BYTES).toString('hex')}${PART_SUFFIX}`;
}

/** Whether a run has called this part so. */
export function isClaimOf(part: string, name: string): boolean {
  return name.startsWith(`${stemOf(part)}-`) && name.endsWith(PART_SUFFIX);
}

function stemOf(part: string): string {
  return part.slice(0, -PART_SUFFIX.length);
}
