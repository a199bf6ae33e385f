/**
 * Answer an RQFH for a small file: read whole, before its turn comes, and sent whole, with its head and
 * with others in one system call. A file of one block has no lists: its body is the block, whatever part
 * of it was asked for.
 */
import type { Exchange } from '../net/exchange.js';
import type { GetFile } from '../wire/messages.js';
import { grantRange } from '../wire/range.js';

/**
 * Bytes of what counts as small, at most. Of the 64 requests that a connection prepares at the same time
 * each may have as many in memory: 2 MiB, what the first chunks of four large files take.
 */
export const SMALL_BYTES = 32 * 1024;

const NOTHING = new Uint8Array(0);

/**
 * @param bytes the file's, all of them
 * @throws PeerError ERR_RANGE before anything is sent
 */
export async function sendSmall(
  exchange: Exchange,
  request: GetFile,
  bytes: Uint8Array,
): Promise<void> {
  const size = bytes.length;
  const range = grantRange(request, size);
  const body = range.length === 0 ? NOTHING : bytes;
  await exchange.sendWhole({ type: 'ACKN', of: 'RQFH', size, ...range }, body);
}
