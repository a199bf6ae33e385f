/**
 * Entry of a process that opens the store in a folder and reads all of it. Damage can end it with a
 * signal; that is what it is for.
 */
import { LmdbStore } from './store.js';

const folder = process.argv[2] ?? '';
process.exitCode = (await LmdbStore.isSound(folder)) ? 0 : 1;
