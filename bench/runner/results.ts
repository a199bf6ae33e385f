/** Everything that was measured in one run of the benchmark. */
import { exponentOf } from '../common/growth.js';
import type { Report } from '../common/report.js';
import { median, summaryOf } from '../common/statistics.js';
import type { Settings } from '../common/subject.js';
import type { Machine } from './machine.js';

export interface Results {
  machine: Machine;
  /** As it was typed. */
  command: string;
  subjects: Result[];
}

export interface Result {
  name: string;
  settings: Omit<Settings, 'folder'>;
  /** That the whole subject took. */
  seconds: number;
  reports: readonly Report[];
  /** Why there are no reports. */
  error?: string;
}

/** As JSON: every value, and beside them the figures that are made of them. */
export function toJson({ machine, command, subjects }: Results): string {
  const all = subjects.map((subject) => ({
    ...subject,
    reports: subject.reports.map(withFigures),
  }));
  return `${JSON.stringify({ machine, command, subjects: all }, undefined, 2)}\n`;
}

function withFigures(report: Report): object {
  switch (report.kind) {
    case 'table':
      return {
        ...report,
        rows: report.rows.map((row) => ({ ...row, median: median(row.values) })),
      };
    case 'latencies':
      return {
        ...report,
        rows: report.rows.map((row) => ({ ...row, summary: summaryOf(row.values) })),
      };
    case 'growth':
      return {
        ...report,
        series: report.series.map((one) => ({
          ...one,
          exponent: exponentOf(
            one.points.map(({ size, values }) => ({ size, cost: median(values) })),
          ),
        })),
      };
    case 'grid':
      return report;
  }
}
