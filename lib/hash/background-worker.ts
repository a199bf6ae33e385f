/** Entry of the pool's workers when hashing is nobody's first concern. */
import { giveWay } from '../support/background.js';

giveWay();

export { default } from './worker.js';
