/**
 * Opens the store in a state folder. One that is proven to be damaged goes to quarantine, and an empty
 * one takes its place; an error that may pass never costs the index: it is thrown.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeFolder, syncFolder } from '../disk/durable.js';
import { systemCode } from '../errors.js';
import { LmdbStore, StoreDamage } from './lmdb-store.js';
import { stateFolderError } from './state-folder.js';
import type { Store } from './store.js';

/** Exit codes of store-check.ts. */
export const CHECK = { sound: 0, damaged: 3 } as const;
/** A full disk does not keep a node from starting. */
const NO_ROOM = ['ENOSPC', 'EDQUOT'];

/**
 * The store in a state folder, which is locked.
 *
 * @param warn told, with the path that it is about, what is wrong with the store, and when it is right again
 * @throws PeerError ERR_USAGE when it cannot be opened now
 */
export async function openStore(
  state: string,
  warn: (path: string, reason: string) => void,
): Promise<Store> {
  const folder = join(state, 'index');
  const on = {
    onTrouble: (code: string) => {
      warn(state, `the index cannot be written (${code}); changes wait in memory until it can`);
    },
    onWell: () => {
      warn(state, 'the index is written again');
    },
  };
  // Left behind when the last start died while it read the store: it was killed, or the store is
  // damaged so that LMDB does not notice.
  const marker = join(state, 'index.opening');
  try {
    await makeFolder(folder, 0o700);
    const known = existsSync(marker) ? await check(state, folder) : undefined;
    try {
      await writeFile(marker, '').catch((error: unknown) => {
        if (!NO_ROOM.includes(systemCode(error) ?? '')) throw error;
      });
      if (known !== undefined) throw known;
      return await LmdbStore.open(folder, on);
    } catch (error) {
      if (!(error instanceof StoreDamage)) throw error;
      const quarantine = `${folder}.damaged`;
      await rm(quarantine, { recursive: true, force: true });
      await rename(folder, quarantine);
      await makeFolder(folder, 0o700);
      await syncFolder(state);
      warn(quarantine, `the index was moved here and is built anew: ${error.message}`);
      return await LmdbStore.open(folder, on);
    } finally {
      await rm(marker, { force: true });
    }
  } catch (error) {
    throw stateFolderError(state, error);
  }
}

/**
 * Read the store in a process of its own, which may die of it: of damage, but LMDB also does so when it
 * has no memory or a read fails. So a death counts only if an empty store of the same size can be
 * opened, and the process dies again after that.
 *
 * @returns the damage, if there is any
 * @throws Error when it could not be read now
 */
async function check(state: string, folder: string): Promise<StoreDamage | undefined> {
  const first = await tryRead(folder);
  if (first !== 'died') return first;
  const control = join(state, 'index-control');
  const { size } = await stat(join(folder, 'data.mdb'));
  try {
    await makeFolder(control, 0o700);
    if ((await tryRead(control, String(size))) === 'died')
      throw new Error('no store can be opened');
  } finally {
    await rm(control, { recursive: true, force: true }).catch(() => undefined);
  }
  const second = await tryRead(folder);
  return second === 'died' ? new StoreDamage('it ended the last start') : second;
}

/** @returns `died` when a signal ended the process */
async function tryRead(...args: string[]): Promise<StoreDamage | 'died' | undefined> {
  const script = fileURLToPath(new URL('./store-check.js', import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code === null) return 'died';
  if (code === CHECK.sound) return undefined;
  if (code === CHECK.damaged) return new StoreDamage('it ended the last start, and is damaged');
  throw new Error(`the index could not be read (exit code ${code})`);
}
