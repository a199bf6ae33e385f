/**
 * Preloaded into a command: keeps what it says of its own memory in a file. `live` is the heap as the last
 * full collection left it; the process is made to collect nothing for it.
 */
import { writeFileSync } from 'node:fs';
import { PerformanceObserver, constants } from 'node:perf_hooks';

export interface OwnMemory {
  /** All in bytes. */
  heapUsed: number;
  external: number;
  arrayBuffers: number;
  /** undefined before the first full collection. */
  live?: number;
}

/** Milliseconds. */
const EVERY = 5000;

const file = process.env['P2P_SOAK_MEMORY'];
if (file !== undefined) {
  let live: number | undefined;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      // Not in the types of Node, but in its manual.
      const { detail } = entry as typeof entry & { detail: { kind: number } };
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR)
        live = process.memoryUsage().heapUsed;
    }
  }).observe({ entryTypes: ['gc'] });
  setInterval(() => {
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    const own: OwnMemory = {
      heapUsed,
      external,
      arrayBuffers,
      ...(live !== undefined && { live }),
    };
    writeFileSync(file, JSON.stringify(own));
  }, EVERY).unref();
}
