/** Which part of a file is sent for an RQFH. Pure. */
import { PeerError } from '../errors.js';
import type { GetFile } from './messages.js';

/** The range that is granted: as asked, clipped to the file's end. */
export function grantRange(
  { offset = 0, length }: Pick<GetFile, 'offset' | 'length'>,
  size: number,
): { offset: number; length: number } {
  if (offset > size || (offset === size && size > 0)) {
    throw new PeerError('ERR_RANGE', `offset ${offset} is not inside the file (${size} bytes)`);
  }
  return { offset, length: Math.min(length ?? size, size - offset) };
}
