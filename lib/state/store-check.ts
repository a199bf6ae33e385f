/**
 * Entry of a process that opens the store in a folder and reads all of it; or, given a number of bytes,
 * makes an empty one of about that size. It may end by a signal: that is what it is for.
 */
import { open } from 'lmdb';
import { LmdbStore, StoreDamage } from './lmdb-store.js';
import { CHECK } from './recovery.js';

/** Bytes that any store has room in. */
const SMALLEST = 2 ** 20;

const [, , folder = '', size] = process.argv;
try {
  if (size === undefined) await LmdbStore.open(folder);
  else open({ path: folder, mapSize: Math.max(SMALLEST, Number(size)) }).putSync('a', 'b');
  process.exitCode = CHECK.sound;
} catch (error) {
  process.exitCode = error instanceof StoreDamage ? CHECK.damaged : 1;
}
