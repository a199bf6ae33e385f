/** The hash of any file or stream, as a peer would publish it. */
import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { identityOf } from '../disk/open.js';
import { PeerError } from '../errors.js';
import type { Hash } from '../wire/messages.js';
import type { HashResult } from './file.js';
import { WHOLE_FILE_BYTES, type HashPool } from './pool.js';
import { TreeHasher, buildTree, rootOf, type Tree } from './tree.js';

/**
 * Hash a file wherever it is. Symbolic links are followed.
 *
 * @throws PeerError ERR_CHANGED when it is written to meanwhile; the system's error
 */
export async function hashPath(pool: HashPool, file: string): Promise<Hash> {
  const real = await realpath(file);
  const root = dirname(real);
  const path = basename(real);
  const identity = identityOf(await lstat(real, { bigint: true }));
  const result =
    identity.size <= WHOLE_FILE_BYTES
      ? (await pool.hashBatch(root, [path]))[0]
      : await pool.hashLarge(root, path, identity, () => undefined);
  return hashOf(file, result);
}

/** Hash whatever a stream brings. */
export async function hashStream(stream: AsyncIterable<Uint8Array>): Promise<Hash> {
  const hasher = new TreeHasher();
  for await (const chunk of stream) hasher.update(chunk);
  return hex(hasher.digest());
}

function hashOf(file: string, result: HashResult | undefined): Hash {
  switch (result?.status) {
    case 'hashed':
      return hex(buildTree(result.blockHashes));
    case 'failed':
      if (result.code === 'ERR_FORBIDDEN') {
        throw new PeerError('ERR_FORBIDDEN', `${file}: not a regular file`);
      }
      throw Object.assign(new Error(result.message), { code: result.code });
    default:
      throw new PeerError('ERR_CHANGED', 'it was written to while it was hashed');
  }
}

function hex(tree: Tree): Hash {
  return Buffer.from(rootOf(tree)).toString('hex');
}
