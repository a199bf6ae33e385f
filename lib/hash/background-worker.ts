/** Entry of the pool's workers when hashing is nobody's first concern. */
import { giveWay } from '../background.js';

giveWay();

export { default } from './worker.js';
