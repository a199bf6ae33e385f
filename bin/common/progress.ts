/**
 * How far something is, on a terminal's stderr: a bar, or a line now and then where bars are not wanted.
 *
 * The bar changes nothing about the terminal (neither cursor nor line wrap), so that there is nothing to
 * put back, whatever ends or stops the process.
 */
import prettyBytes from 'pretty-bytes';

/** How far something is; `detail` stands in front of the bytes. */
export interface Step {
  bytes: number;
  total: number;
  detail?: string | undefined;
  /** Share of the work that is done, 0 to 1, where bytes are not all of it. */
  fraction?: number | undefined;
}

/** To the begin of the line, and erase it (ECMA-48, EL). */
const CLEAR = '\r\x1b[K';
/** Milliseconds between bars, and between lines. */
const BARS = 100;
const LINES = 5000;
const BAR_WIDTH = 40;

/** Whether this terminal shows bars: one that cannot move its cursor, and logs of CI, do not. */
function showsBars(): boolean {
  const { TERM, NO_COLOR = '', CI = '' } = process.env;
  return TERM !== 'dumb' && NO_COLOR === '' && (CI === '' || CI === 'false');
}

export class ProgressBar {
  readonly #isBar = showsBars();
  readonly #begin = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #step: Step = { bytes: 0, total: 0 };
  /** What was there when the bar began: no part of the rate. */
  #first: { bytes: number; fraction: number } | undefined;

  update(step: Step): void {
    this.#step = step;
    this.#first ??= { bytes: step.bytes, fraction: fractionOf(step) };
    if (this.#timer !== undefined) return;
    this.#show();
    this.#timer = setInterval(this.#show, this.#isBar ? BARS : LINES).unref();
  }

  /** Clear the bar; the next update shows it again. */
  stop(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#isBar) process.stderr.write(CLEAR);
  }

  readonly #show = (): void => {
    const text = this.#isBar ? CLEAR + this.#bar() : `${this.#parts().join('  ')}\n`;
    process.stderr.write(text);
  };

  /** As much of it as the window is wide. */
  #bar(): string {
    // In the last column some terminals wrap.
    const columns = (process.stderr.columns || 80) - 1;
    const parts = this.#parts();
    while (parts.length > 1 && parts.join('  ').length > columns) parts.pop();
    const text = parts.join('  ');
    const width = Math.min(BAR_WIDTH, columns - text.length - 1);
    if (width < 10) return text.slice(0, columns);
    const done = Math.round(width * Math.min(1, fractionOf(this.#step)));
    return `${'█'.repeat(done)}${'░'.repeat(width - done)} ${text}`;
  }

  /** What matters most comes first. */
  #parts(): string[] {
    const { bytes, total, detail } = this.#step;
    const fraction = fractionOf(this.#step);
    const first = this.#first ?? { bytes, fraction };
    const seconds = (performance.now() - this.#begin) / 1000;
    const rate = seconds > 0 ? (bytes - first.bytes) / seconds : 0;
    const left = (seconds / (fraction - first.fraction)) * (1 - fraction);
    return [
      `${Math.floor(fraction * 100)}%`,
      detail,
      `${prettyBytes(bytes)} of ${prettyBytes(total)}`,
      `${prettyBytes(rate)}/s`,
      Number.isFinite(left) ? `ETA ${duration(left)}` : undefined,
    ].filter((part) => part !== undefined);
  }
}

function fractionOf({ bytes, total, fraction }: Step): number {
  return fraction ?? (total > 0 ? bytes / total : 0);
}

/** Seconds as people read them: `42s`, `3m10s`, `2h05m`. */
export function duration(seconds: number): string {
  const s = Math.round(seconds);
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${String(s % 60).padStart(2, '0')}s`;
  return `${Math.floor(s / 3600)}h${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}m`;
}
