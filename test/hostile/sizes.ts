/**
 * How much of an attack is made: enough to show that it fails in `npm test`, the whole in
 * `npm run test:hostile`.
 */

/** Whether the attacks are made in full. */
export const FULL = process.env['P2P_HOSTILE'] === 'full';

/** How many of something, how long something. */
export function size(small: number, full: number): number {
  return FULL ? full : small;
}
