/** A progress bar on a terminal's stderr. */
import cliProgress from 'cli-progress';
import prettyBytes from 'pretty-bytes';

/** How far something is; `detail` stands in front of the bytes. */
export interface Step {
  bytes: number;
  total: number;
  detail?: string;
  /** Share of the work that is done, 0 to 1, where bytes are not all of it. */
  fraction?: number;
}

export class ProgressBar {
  readonly #bar: cliProgress.SingleBar;
  readonly #begin = performance.now();
  #started = false;
  /** What was there when the bar began: no part of the rate. */
  #first = { bytes: 0, fraction: 0 };

  constructor() {
    this.#bar = new cliProgress.SingleBar({
      format: (_options, params, payload: Partial<Step>) => {
        const fraction = payload.fraction ?? params.progress;
        const width = Math.max(10, Math.min(40, (process.stderr.columns || 80) - 60));
        const done = Math.round(width * Math.min(1, fraction));
        const bar = '█'.repeat(done) + '░'.repeat(width - done);
        const seconds = (performance.now() - this.#begin) / 1000;
        const rate = seconds > 0 ? (params.value - this.#first.bytes) / seconds : 0;
        const left = (seconds / (fraction - this.#first.fraction)) * (1 - fraction);
        const parts = [
          `${bar} ${Math.floor(fraction * 100)}%`,
          payload.detail,
          `${prettyBytes(params.value)} of ${prettyBytes(params.total)}`,
          `${prettyBytes(rate)}/s`,
          Number.isFinite(left) ? `ETA ${duration(left)}` : undefined,
        ];
        return parts.filter((part) => part !== undefined).join('  ');
      },
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      etaBuffer: 1,
    });
  }

  update({ bytes, total, detail, fraction }: Step): void {
    if (!this.#started) {
      this.#started = true;
      this.#first = { bytes, fraction: fraction ?? (total > 0 ? bytes / total : 0) };
      this.#bar.start(total, bytes, { detail, fraction });
    } else {
      this.#bar.setTotal(total);
      this.#bar.update(bytes, { detail, fraction });
    }
  }

  stop(): void {
    if (this.#started) this.#bar.stop();
    this.#started = false;
  }
}

/** Seconds as people read them: `42s`, `3m10s`, `2h05m`. */
export function duration(seconds: number): string {
  const s = Math.round(seconds);
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m${String(s % 60).padStart(2, '0')}s`;
  return `${Math.floor(s / 3600)}h${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}m`;
}
