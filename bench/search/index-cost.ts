/** What the index of names takes: memory, time to change it, and how long it does not let go. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { NameIndex } from '../../lib/name-index/name-index.js';

/** Names that are removed and added again. */
const MOVED = 40_000;
/** Queries that find very much, or have many terms: what matters is how long they do not let go. */
const HOSTILE = ['', 'a', 'ab', '-', '.py', 'a b c d e f', 'e a r i o t n s l c', 'a/'.repeat(512)];

export interface Built {
  index: NameIndex;
  /** Milliseconds to add all names; to remove one and add it again. */
  adding: number;
  changing: number;
  /** Bytes of the index with its paths, and of a name on average. */
  memory: number;
  bytes: number;
}

export function buildIndex(names: readonly string[]): Built {
  // Twice: what the first finds, the second gives back.
  collectGarbage();
  collectGarbage();
  const before = process.memoryUsage();
  const index = new NameIndex();
  const adding = timeOf(() => {
    names.forEach((name, id) => {
      index.add(id, name);
    });
  });
  collectGarbage();
  const after = process.memoryUsage();
  const moved = Math.min(MOVED, names.length);
  const changing = timeOf(() => {
    for (let id = 0; id < moved; id++) index.remove(id);
    for (let id = 0; id < moved; id++) index.add(id, names[id] ?? '');
  });
  const bytes = names.reduce((sum, name) => sum + Buffer.byteLength(name), 0);
  return {
    ...{ index, adding, changing: changing / moved, bytes: bytes / names.length },
    memory: after.arrayBuffers - before.arrayBuffers,
  };
}

/** The longest time (ms) that a search takes, and the longest between two places where others have their turn. */
export function slices(
  index: NameIndex,
  page: number,
): { queries: number; longest: number; step: number } {
  const most = { queries: HOSTILE.length, longest: 0, step: 0 };
  for (const query of HOSTILE) {
    const steps = index.searching(query, page);
    const begin = performance.now();
    for (let from = begin; ;) {
      const { done } = steps.next();
      const now = performance.now();
      most.step = Math.max(most.step, now - from);
      most.longest = Math.max(most.longest, now - begin);
      if (done === true) break;
      from = now;
    }
  }
  return most;
}

/** Typed arrays that were replaced by larger ones are counted as memory until this. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

function timeOf(work: () => void): number {
  const begin = performance.now();
  work();
  return performance.now() - begin;
}
