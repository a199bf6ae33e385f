/** One node for one state folder. */
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { lock, type Lock } from '../disk/lock.js';
import { PeerError } from '../errors.js';

export type { Lock };

/**
 * @param folder exists
 * @throws PeerError ERR_USAGE when another node has it
 */
export async function lockState(folder: string): Promise<Lock> {
  const real = await realpath(folder);
  return lock(
    real,
    join(real, 'lock'),
    () => new PeerError('ERR_USAGE', `${real}: another node is using this state folder`),
  );
}
