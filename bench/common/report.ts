/** What a subject has measured: plain data, with every value, that can be printed, drawn and kept. */
import type { Use } from './usage.js';

interface Common {
  title: string;
  notes?: readonly string[];
}

/** Contestants against each other. */
export interface Table extends Common {
  kind: 'table';
  unit: string;
  /** Whether more of the unit is better (a rate) or less (a time). */
  better: 'more' | 'less';
  /** Whether the first is ours, and the others are compared with it. @default true */
  compared?: boolean;
  rows: readonly Row[];
}

export interface Row {
  name: string;
  /** It is what the machine can do at most. */
  isLimit?: boolean;
  /** One value a run. */
  values: readonly number[];
  /** What each side took of the machine. */
  uses?: readonly Use[];
}

/** How long things took that happened many times. */
export interface Latencies extends Common {
  kind: 'latencies';
  unit: 'us' | 'ms';
  /** Whether the first is ours, and the others are compared with it. */
  compared?: boolean;
  rows: readonly {
    name: string;
    values: readonly number[];
    /** It did something else than the first. */
    isOther?: boolean;
  }[];
}

/** The cost of something at several sizes. */
export interface Growth extends Common {
  kind: 'growth';
  /** What there is more and more of. */
  of: string;
  /** Unit of the cost. */
  unit: string;
  series: readonly Series[];
}

export interface Series {
  name: string;
  /** The smallest size first. Of several values of one size the median is the cost. */
  points: readonly { size: number; values: readonly number[] }[];
}

/** What is counted rather than compared: each row has a cell for each column. */
export interface Grid extends Common {
  kind: 'grid';
  columns: readonly string[];
  rows: readonly (readonly string[])[];
}

export type Report = Table | Latencies | Growth | Grid;

/** Sizes without which a growth says nothing. */
const GROWTH_SIZES = 4;

/**
 * See that nothing is missing in a report.
 *
 * @throws Error that says what was not measured
 */
export function checkReport(report: Report): void {
  const fail = (what: string): never => {
    throw new Error(`${report.title}: ${what} was not measured`);
  };
  const check = (name: string, values: readonly number[]): void => {
    if (values.length === 0 || !values.every(Number.isFinite)) fail(name);
  };
  switch (report.kind) {
    case 'table':
    case 'latencies':
      if (report.rows.length === 0) fail('anything');
      for (const { name, values } of report.rows) check(name, values);
      break;
    case 'growth':
      if (report.series.length === 0) fail('anything');
      for (const { name, points } of report.series) {
        if (points.length < GROWTH_SIZES) fail(`${name} at ${GROWTH_SIZES} sizes`);
        for (const { size, values } of points) check(`${name} of ${size}`, values);
      }
      break;
    case 'grid':
      if (report.rows.length === 0) fail('anything');
      for (const row of report.rows) {
        if (row.length !== report.columns.length || row.includes('NaN')) fail(row.join(' '));
      }
  }
}
