/** What a process holds, as the system sees it (proc(5)) and as it says itself; and how that changes. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import type { OwnMemory } from './memory-probe.js';

/** One minute of a process. */
export interface Minute {
  /** Minutes since the start. */
  minute: number;
  /** Bytes resident, and of these the ones that no file stands behind: medians of the minute. */
  rss: number;
  anonymous: number;
  /** Descriptors open: the least and the most of the minute. */
  descriptors: number;
  mostDescriptors: number;
  /** Seconds of processor time used since the process began. */
  cpu: number;
  own: OwnMemory | undefined;
}

interface Sample {
  rss: number;
  anonymous: number;
  descriptors: number;
}

/** Looks at one process. */
export class Gauge {
  readonly #pid: number;
  readonly #ownFile: string;
  #samples: Sample[] = [];

  /** @param ownFile where the memory probe in the process writes */
  constructor(pid: number, ownFile: string) {
    this.#pid = pid;
    this.#ownFile = ownFile;
  }

  descriptors(): number {
    return readdirSync(`/proc/${this.#pid}/fd`).length;
  }

  /** Descriptors by what they are: `socket`, `pipe`, `anon_inode`, the name of a file. */
  kinds(): Kinds {
    const kinds: Record<string, number> = {};
    for (const number of readdirSync(`/proc/${this.#pid}/fd`)) {
      const kind = kindOf(`/proc/${this.#pid}/fd/${number}`);
      if (kind !== undefined) kinds[kind] = (kinds[kind] ?? 0) + 1;
    }
    return kinds;
  }

  /** To be called several times a minute. */
  sample(): void {
    const status = readFileSync(`/proc/${this.#pid}/status`, 'latin1');
    this.#samples.push({
      rss: kibibytes(status, 'VmRSS') * 1024,
      anonymous: kibibytes(status, 'RssAnon') * 1024,
      descriptors: this.descriptors(),
    });
  }

  /** The minute that has passed. */
  minute(minute: number): Minute {
    if (this.#samples.length === 0) this.sample();
    const samples = this.#samples;
    this.#samples = [];
    const descriptors = samples.map((sample) => sample.descriptors);
    return {
      minute,
      rss: median(samples.map(({ rss }) => rss)),
      anonymous: median(samples.map(({ anonymous }) => anonymous)),
      descriptors: Math.min(...descriptors),
      mostDescriptors: Math.max(...descriptors),
      cpu: cpuSeconds(this.#pid),
      own: this.#own(),
    };
  }

  #own(): OwnMemory | undefined {
    try {
      return JSON.parse(readFileSync(this.#ownFile, 'utf8')) as OwnMemory;
    } catch {
      // Not written yet, or only half.
      return undefined;
    }
  }
}

export type Kinds = Readonly<Record<string, number>>;

export function totalOf(kinds: Kinds): number {
  return Object.values(kinds).reduce((sum, count) => sum + count, 0);
}

function kindOf(link: string): string | undefined {
  try {
    const target = readlinkSync(link);
    return /^(\w+):/.exec(target)?.[1] ?? basename(target);
  } catch {
    // Closed meanwhile.
    return undefined;
  }
}

function kibibytes(status: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? NaN);
}

/** Ticks of user and system time, of which Linux has 100 a second. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name, in parentheses, may hold spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** The slope of the straight line nearest to some points (least squares), per unit of x. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (of: 0 | 1): number => points.reduce((sum, p) => sum + p[of], 0) / points.length;
  const [mx, my] = [mean(0), mean(1)];
  let [xy, xx] = [0, 0];
  for (const [x, y] of points) {
    xy += (x - mx) * (y - my);
    xx += (x - mx) ** 2;
  }
  return xy / xx;
}
