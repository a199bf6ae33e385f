/** Entry of the pool's workers when other threads have priority. */
import { lowerPriority } from '../support/background.js';

lowerPriority();

export { default } from './worker.js';
