/** How a cost grows with a size. */

export interface Point {
  size: number;
  cost: number;
}

/** Sizes that growth is measured at, and from one to the next. */
const SIZES = 4;
const STEP = 3;

/**
 * Four sizes, the largest last: each a third of the next, or less far apart where the smallest would
 * be below `least`.
 *
 * @throws RangeError when there are no four whole numbers from `least` to `most`
 */
export function sizesUpTo(most: number, least = 1): number[] {
  const step = Math.min(STEP, (most / least) ** (1 / (SIZES - 1)));
  const sizes = Array.from({ length: SIZES }, (_, i) => Math.round(most / step ** (SIZES - 1 - i)));
  if (!(most >= least) || new Set(sizes).size < SIZES) {
    throw new RangeError(`there are no ${SIZES} sizes from ${least} to ${most}`);
  }
  return sizes;
}

/**
 * The exponent e of cost = c * size^e that fits best: least squares of log cost on log size. 1: twice the
 * size costs twice as much; 0: it costs the same; 2: four times as much.
 *
 * @returns NaN when it cannot be known: sizes or costs that are not positive, or all sizes the same
 */
export function exponentOf(points: readonly Point[]): number {
  const logs = points.map(({ size, cost }) => ({ x: Math.log(size), y: Math.log(cost) }));
  const x = mean(logs.map((one) => one.x));
  const y = mean(logs.map((one) => one.y));
  const both = mean(logs.map((one) => (one.x - x) * (one.y - y)));
  const own = mean(logs.map((one) => (one.x - x) ** 2));
  const exponent = both / own;
  return Number.isFinite(exponent) ? exponent : NaN;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
