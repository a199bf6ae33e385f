/** The folder in which a node keeps what must survive a restart. */
import { realpath } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { basename, isAbsolute, join, resolve } from 'node:path';
import { makeFolder } from '../disk/durable.js';
import { lockFile, type Lock } from '../disk/file-lock.js';
import { PeerError, asError, systemCode } from '../errors.js';
import { hashBlock } from '../hash/blake3.js';

export interface StateFolder {
  /** Without symbolic links. */
  readonly path: string;
  readonly lock: Lock;
}

/**
 * Make a state folder if it is missing, and lock it: one node at a time.
 *
 * @throws PeerError ERR_USAGE when it cannot be used; ERR_IN_USE when another node uses it
 */
export async function openStateFolder(folder: string): Promise<StateFolder> {
  try {
    // Before there is a key in it: by the two of them it is known that this must not be shared.
    await makeFolder(join(folder, 'index'), 0o700);
    const path = await realpath(folder);
    const taken = (): PeerError =>
      new PeerError('ERR_IN_USE', `${path}: another node is using this state folder`);
    return { path, lock: await lockFile(join(path, 'lock'), taken) };
  } catch (error) {
    throw stateFolderError(folder, error);
  }
}

/** The error for a state folder that cannot be used. */
export function stateFolderError(folder: string, cause: unknown): PeerError {
  if (cause instanceof PeerError) return cause;
  const why = systemCode(cause) ?? asError(cause).message;
  return new PeerError('ERR_USAGE', `cannot keep state in ${folder}: ${why}`, { cause });
}

/**
 * The state folder of a share, unless another is named: one for each share, in the user's state folder.
 * On Linux that is below `$XDG_STATE_HOME`, or `~/.local/state` where that is unset or, which the XDG
 * Base Directory Specification calls invalid, relative.
 *
 * @throws PeerError ERR_USAGE when the user has no home folder
 */
export async function defaultStateFolder(share: string): Promise<string> {
  const real = await realpath(share).catch(() => resolve(share));
  const mark = Buffer.from(hashBlock(Buffer.from(real))).toString('hex', 0, 8);
  return join(await userFolder(), `${basename(real) || 'root'}-${mark}`);
}

/** Where what the programs of a user keep is. @throws PeerError ERR_USAGE when the user has no home folder */
export async function userFolder(): Promise<string> {
  try {
    // Not before it is needed: it looks for the user's home folder at once.
    const { default: envPaths } = await import('env-paths');
    // env-paths calls the XDG state folder `log`, after what is often kept there.
    const { data, log } = envPaths('p2p-serve', { suffix: '' });
    if (process.platform !== 'linux') return data;
    if (isAbsolute(log)) return log;
    const home = homedir();
    return join(isAbsolute(home) ? home : userInfo().homedir, '.local/state/p2p-serve');
  } catch (cause) {
    // Neither $HOME nor an entry in the user database.
    const text = 'this user has no home folder: name a folder for the state';
    throw new PeerError('ERR_USAGE', text, { cause });
  }
}
