/** Which texts are paths inside a share. */
import { MAX_PATH_BYTES } from './limits.js';

/** An empty, `.` or `..` part. */
const BAD_PART = /(?:^|\/)\.{0,2}(?:\/|$)/;

/** Why a path cannot be sent, and is malformed when it comes; undefined when it can. */
export function pathFault(path: string): string | undefined {
  if (path.length > MAX_PATH_BYTES || Buffer.byteLength(path) > MAX_PATH_BYTES) {
    return `longer than ${MAX_PATH_BYTES} bytes`;
  }
  if (BAD_PART.test(path) || path.includes('\0')) return 'not a path inside a share';
  return undefined;
}
