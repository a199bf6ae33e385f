/** The key by which the commands of a user prove their id: made at its first use, and kept for that user alone. */
import { chmod, link, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../disk/durable.js';
import { systemCode } from '../errors.js';
import { KEY_FILE, newIdentity, readIdentity, type Identity } from './identity.js';
import { userFolder } from './state-folder.js';

/** Its folder, beside those of shares. */
const FOLDER = 'identity';

/**
 * @param file where it is kept @default in the user's state folder
 * @throws PeerError ERR_USAGE when the file is something else; the system's error
 */
export async function userIdentity(file?: string): Promise<Identity> {
  if (file !== undefined) return readOrMake(file);
  const folder = join(await userFolder(), FOLDER);
  // By an index beside the key a folder is known as one that must not be shared.
  await makeFolder(join(folder, 'index'), 0o700);
  return readOrMake(join(folder, KEY_FILE));
}

async function readOrMake(file: string): Promise<Identity> {
  const known = await readIdentity(file);
  if (known !== undefined) return known;
  const made = newIdentity();
  const fresh = `${file}.${process.pid}`;
  try {
    await writeFile(fresh, made.privateKey.export({ type: 'pkcs8', format: 'pem' }), {
      flag: 'wx',
      mode: 0o600,
    });
    // Whatever the umask is.
    await chmod(fresh, 0o600);
    // Another command may do the same now: the first one's key is the one.
    await link(fresh, file);
    return made;
  } catch (error) {
    const other = systemCode(error) === 'EEXIST' ? await readIdentity(file) : undefined;
    if (other === undefined) throw error;
    return other;
  } finally {
    await rm(fresh, { force: true });
  }
}
