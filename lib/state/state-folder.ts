/** Where a node keeps what must survive a restart, unless told otherwise. */
import { realpath } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import envPaths from 'env-paths';
import { hashBlock } from '../hash/blake3.js';

/**
 * One folder per share in the user's state folder: on Linux below `$XDG_STATE_HOME`, by default
 * `~/.local/state` (XDG Base Directory Specification).
 */
export async function defaultStateFolder(share: string): Promise<string> {
  // env-paths calls the XDG state folder `log`, after what is often kept there.
  const paths = envPaths('p2p-serve', { suffix: '' });
  const user = process.platform === 'linux' ? paths.log : paths.data;
  const real = await realpath(share).catch(() => resolve(share));
  const mark = Buffer.from(hashBlock(Buffer.from(real))).toString('hex', 0, 8);
  return join(user, `${basename(real) || 'root'}-${mark}`);
}
