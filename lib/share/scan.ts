/** Scan the share's folder: in a thread of its own, so that the event loop is free meanwhile, or here. */
import { Worker } from 'node:worker_threads';
import { unpackPaths } from '../hash/packed.js';
import {
  unpackFiles,
  type PackedChunk,
  type ScanRequest,
  type ScanWarning,
  type ScannedFile,
} from './walk.js';

/** A part of what was found. */
export interface Found {
  /** Made when they are wanted: until then they lie packed, in a tenth of the memory. */
  files: () => ScannedFile[];
  warnings: readonly ScanWarning[];
  gone: readonly string[];
}

/** Times that a scan is begun whose thread dies. */
const TRIES = 3;

/**
 * Everything in the folder, in chunks as they come. Begun again when its thread dies: then some come twice.
 *
 * @param signal ends the scan; the promise is then rejected with its reason
 * @throws Error when the thread has died again and again
 */
export async function scan(
  request: ScanRequest,
  onFound: (found: Found) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let left = TRIES; ; left--) {
    signal.throwIfAborted();
    try {
      await scanOnce(request, onFound, signal);
      return;
    } catch (error) {
      if (signal.aborted || left === 1) throw error;
    }
  }
}

async function scanOnce(
  request: ScanRequest,
  onFound: (found: Found) => void,
  signal: AbortSignal,
): Promise<void> {
  const worker = new Worker(new URL('./scan-worker.js', import.meta.url), {
    workerData: request,
    // Flags and loaders of the main thread are none of its business, and cost it time.
    execArgv: [],
  });
  const stop = (): void => void worker.terminate();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (chunk: PackedChunk | 'end') => {
        if (chunk === 'end') resolve();
        else {
          const gone = unpackPaths(chunk.gone);
          onFound({ files: () => unpackFiles(chunk), warnings: chunk.warnings, gone });
        }
      });
      worker.once('error', reject);
      worker.once('exit', () => {
        reject(new Error('the scanning thread died'));
      });
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
  signal.throwIfAborted();
}

/** The same in this thread, which does nothing else meanwhile: saves the start of a thread. */
export async function scanHere(
  request: ScanRequest,
  onFound: (found: Found) => void,
  signal: AbortSignal,
): Promise<void> {
  const { walk } = await import('./walk.js');
  signal.throwIfAborted();
  for (const { files, ...rest } of walk(request)) onFound({ files: () => files, ...rest });
}
