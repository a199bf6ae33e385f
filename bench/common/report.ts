/** Figures as a table: median, spread, and the ratio to the first row; or in columns of their own. */

export interface Row {
  name: string;
  /** One value a run. */
  values: readonly number[];
}

export interface Table {
  title: string;
  unit: string;
  /** The first is ours; the others are compared with it. */
  rows: readonly Row[];
  notes?: readonly string[];
}

/** What is counted rather than compared: each row has a cell for each column. */
export interface Grid {
  title: string;
  columns: readonly string[];
  rows: readonly (readonly string[])[];
  notes?: readonly string[];
}

export type Report = Table | Grid;

export function formatReport(report: Report): string {
  return 'columns' in report ? formatGrid(report) : formatTable(report);
}

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

function formatGrid({ title, columns, rows, notes = [] }: Grid): string {
  const widths = columns.map((name, i) =>
    Math.max(name.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const lines = [columns, ...rows].map((row) =>
    row
      .map((cell, i) => `  ${cell.padStart(widths[i] ?? 0)}`)
      .join('')
      .trimEnd(),
  );
  return [title, ...lines, ...notes.map((note) => `  ${note}`)].join('\n');
}

function formatTable({ title, unit, rows, notes = [] }: Table): string {
  const ours = median(rows[0]?.values ?? []);
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.map(({ name, values }) => {
    const mid = median(values);
    const spread = `${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)}`;
    return [
      `  ${name.padEnd(width)}`,
      `${mid.toFixed(0).padStart(7)} ${unit}`,
      `(${spread})`.padStart(16),
      `  ours is ${(ours / mid).toFixed(2)} x`,
    ].join(' ');
  });
  return [title, ...lines, ...notes.map((note) => `  ${note}`)].join('\n');
}

/** Bytes in milliseconds as MB/s (10^6 bytes). */
export function megabytesPerSecond(bytes: number, milliseconds: readonly number[]): number[] {
  return milliseconds.map((ms) => bytes / ms / 1000);
}
