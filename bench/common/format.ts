/** Reports as text. */
import { exponentOf } from './growth.js';
import type { Grid, Growth, Latencies, Report, Row, Table } from './report.js';
import { median, summaryOf } from './statistics.js';
import type { Use } from './usage.js';

const MIB = 2 ** 20;

export function formatReport(report: Report): string {
  const { columns, rows, left } = cellsOf(report);
  const lines = align([columns, ...rows], left).map((line) => `  ${line}`);
  return [report.title, ...lines, ...notesOf(report).map((note) => `  ${note}`)].join('\n');
}

/** A report as cells; the first `left` columns are text. */
export interface Cells {
  columns: readonly string[];
  rows: readonly (readonly string[])[];
  left: number;
}

export function cellsOf(report: Report): Cells {
  switch (report.kind) {
    case 'table':
      return cellsOfTable(report);
    case 'latencies':
      return cellsOfLatencies(report);
    case 'growth':
      return cellsOfGrowth(report);
    case 'grid':
      return cellsOfGrid(report);
  }
}

/** What is said below a report. */
export function notesOf(report: Report): string[] {
  const notes = [...(report.notes ?? [])];
  if (report.kind === 'growth') {
    notes.push(
      `the cost grows as ${report.of}^exponent: 0 is not at all, 1 as fast as they do, 2 as their square`,
    );
  }
  return notes;
}

function cellsOfTable({ unit, better, rows, compared = true }: Table): Cells {
  const [ours] = rows;
  const sides = Math.max(0, ...rows.map(({ uses = [] }) => uses.length));
  return {
    columns: [
      ...['', unit, 'lowest to highest', ...(compared ? ['ours is'] : [])],
      ...Array.from({ length: sides }, () => 'CPU s, peak MiB'),
    ],
    rows: rows.map((row) => [
      row.isLimit === true ? `limit: ${row.name}` : row.name,
      figure(median(row.values)),
      `${figure(Math.min(...row.values))} to ${figure(Math.max(...row.values))}`,
      ...(compared ? [row === ours || ours === undefined ? '' : ratio(ours, row, better)] : []),
      ...Array.from({ length: sides }, (_, i) => useText(row.uses?.[i])),
    ]),
    left: 1,
  };
}

/** How many times as good the one is as the other. */
function ratio(ours: Row, other: Row, better: Table['better']): string {
  const [a, b] = [median(ours.values), median(other.values)];
  return `${(better === 'more' ? a / b : b / a).toFixed(2)} x`;
}

function useText(use: Use | undefined): string {
  if (use === undefined) return '';
  const peak = Number.isNaN(use.peak) ? '?' : (use.peak / MIB).toFixed(0);
  return `${use.name} ${use.cpu.toFixed(2)}, ${peak}`;
}

function cellsOfLatencies({ unit, rows, compared = false }: Latencies): Cells {
  const all = rows.map((row) => ({ ...row, ...summaryOf(row.values) }));
  const ours = all[0]?.p50 ?? NaN;
  return {
    columns: [unit, 'p50', 'p90', 'p99', 'max', 'times', ...(compared ? ['ours is'] : [])],
    rows: all.map(({ name, p50, p90, p99, max, count, isOther }, i) => [
      ...[name, ...[p50, p90, p99, max].map(figure), `${count}`],
      ...(compared ? [i === 0 || isOther ? '' : `${(p50 / ours).toFixed(2)} x`] : []),
    ]),
    left: 1,
  };
}

function cellsOfGrowth({ of, unit, series }: Growth): Cells {
  const sizes = series[0]?.points.map(({ size }) => size) ?? [];
  return {
    columns: [`${unit} by ${of}`, ...sizes.map((size) => size.toLocaleString('en')), 'exponent'],
    rows: series.map(({ name, points }) => [
      name,
      ...points.map(({ values }) => figure(median(values))),
      exponentOf(points.map(({ size, values }) => ({ size, cost: median(values) }))).toFixed(2),
    ]),
    left: 1,
  };
}

function cellsOfGrid({ columns, rows }: Grid): Cells {
  // A first column without a name has names.
  return { columns, rows, left: columns[0] === '' ? 1 : 0 };
}

/** Three digits at least, as many as there are before the point at most. */
export function figure(value: number): string {
  if (value === 0) return '0';
  const digits = 2 - Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(Math.max(digits, 0), 6));
}

function align(lines: readonly (readonly string[])[], left: number): string[] {
  const widths = (lines[0] ?? []).map((_, i) =>
    Math.max(...lines.map((line) => line[i]?.length ?? 0)),
  );
  return lines.map((line) =>
    line
      .map((cell, i) => (i < left ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}
