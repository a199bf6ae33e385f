/** Figures out of many values. */
import { build } from 'hdr-histogram-js';

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = NaN, high = NaN] = [sorted[Math.ceil(middle) - 1], sorted[Math.floor(middle)]];
  return (low + high) / 2;
}

/** The least value that is not below `part` of them (nearest rank). @param part above 0, at most 1 */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(part * sorted.length) - 1] ?? NaN;
}

/** How latencies are spread; in the unit of what was given. */
export interface Summary {
  count: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

/** A histogram counts whole numbers: so many of them make one unit. */
const STEPS = 1000;

/** Percentiles of latencies, with three significant digits. @param values not negative */
export function summaryOf(values: readonly number[]): Summary {
  const histogram = build({ numberOfSignificantValueDigits: 3, autoResize: true });
  for (const value of values) histogram.recordValue(Math.round(value * STEPS));
  const at = (percent: number): number => histogram.getValueAtPercentile(percent) / STEPS;
  const max = values.reduce((most, value) => Math.max(most, value), 0);
  // A histogram's value may be a little above all that it stands for.
  const [p50, p90, p99] = [at(50), at(90), at(99)].map((value) => Math.min(value, max));
  return { count: values.length, p50: p50 ?? NaN, p90: p90 ?? NaN, p99: p99 ?? NaN, max };
}
