/**
 * The rank of a path in a search, the lowest first. It depends on nothing but the path and the query:
 * how many terms are no whole word in it, how many are not in its file name, its length.
 */
import { MAX_PATH_BYTES } from '../wire/limits.js';

export const NAME_STEP = 2 ** Math.ceil(Math.log2(MAX_PATH_BYTES + 1));
/** A query has fewer terms than 1,024: it has at most so many bytes. */
export const WORD_STEP = NAME_STEP * 1024;

/** @param bytes of the path */
export function rankOf(notWord: number, notName: number, bytes: number): number {
  return notWord * WORD_STEP + notName * NAME_STEP + bytes;
}
