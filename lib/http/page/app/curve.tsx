/** Bytes per second over the last minutes: what is sent and what is received. */
import type { JSX } from 'preact';
import { count, rate } from './format.js';
import type { Sample } from './status.js';

/** Milliseconds from one side to the other, at least. */
const SPAN = 60_000;
const [WIDTH, HEIGHT] = [600, 120];
/** Bytes per second at the top, at least: a few bytes make no mountain. */
const LEAST = 10_000;

export function Curve({ samples }: { samples: readonly Sample[] }): JSX.Element {
  const last = samples.at(-1);
  const top = nice(Math.max(LEAST, ...samples.flatMap(({ sent, received }) => [sent, received])));
  return (
    <figure class="curve">
      <Lines {...{ samples, top }} />
      <span class="top">{rate(top)}</span>
      <figcaption>
        <span class="received">received {rate(last?.received ?? 0)}</span>
        <span class="sent">sent {rate(last?.sent ?? 0)}</span>
        <span class="span">{count(Math.round(spanOf(samples) / 60_000), 'minute')}</span>
      </figcaption>
    </figure>
  );
}

/** The lines alone. */
export function Lines({ samples, top }: { samples: readonly Sample[]; top: number }): JSX.Element {
  const end = samples.at(-1)?.time ?? 0;
  const span = spanOf(samples);
  const points = (of: 'sent' | 'received'): string =>
    samples
      .map((sample) => {
        const x = WIDTH * (1 - (end - sample.time) / span);
        return `${x.toFixed(1)},${(HEIGHT * (1 - sample[of] / top)).toFixed(1)}`;
      })
      .join(' ');
  const begin = WIDTH * (1 - (end - (samples[0]?.time ?? 0)) / span);
  return (
    <svg viewBox={`0 -2 ${WIDTH} ${HEIGHT + 4}`} preserveAspectRatio="none" aria-hidden="true">
      {(['received', 'sent'] as const).map((of) => (
        <g key={of} class={of}>
          <polygon points={`${begin.toFixed(1)},${HEIGHT} ${points(of)} ${WIDTH},${HEIGHT}`} />
          <polyline points={points(of)} />
        </g>
      ))}
    </svg>
  );
}

const spanOf = (samples: readonly Sample[]): number =>
  Math.max(SPAN, (samples.at(-1)?.time ?? 0) - (samples[0]?.time ?? 0));

/** The next of 1, 2, 5, 10, 20, 50 ... */
function nice(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}
