/** Entry of the pool's workers when other threads have priority. */
import { giveWay } from '../support/background.js';

giveWay();

export { default } from './worker.js';
