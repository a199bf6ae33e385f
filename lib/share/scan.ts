/** Scan the share's folder: in a thread of its own, so that the event loop is free meanwhile, or here. */
import { Worker } from 'node:worker_threads';
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
}

/**
 * Everything in the folder, in chunks as they come.
 *
 * @param signal ends the scan; the promise is then rejected with its reason
 */
export async function scan(
  request: ScanRequest,
  onFound: (found: Found) => void,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const worker = new Worker(new URL('./scan-worker.js', import.meta.url), {
    workerData: request,
    // Flags and loaders of the main thread are none of its business, and cost it time.
    execArgv: [],
  });
  const stop = (): void => void worker.terminate();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (chunk: PackedChunk) => {
        onFound({ files: () => unpackFiles(chunk), warnings: chunk.warnings });
      });
      worker.once('error', reject);
      worker.once('exit', () => {
        resolve();
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
  for (const { files, warnings } of walk(request)) onFound({ files: () => files, warnings });
}
