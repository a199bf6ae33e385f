/** Scan the share's folder: in a thread of its own, so that the event loop is free meanwhile, or here. */
import { SupervisedThread } from '../support/supervised-thread.js';
import { asError } from '../errors.js';
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
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const thread = new SupervisedThread<PackedChunk | 'end'>({
      entry: new URL('./scan-worker.js', import.meta.url),
      data: request,
      // However long a scan takes.
      deathsCount: Infinity,
      onMessage: (chunk) => {
        if (chunk === 'end') {
          signal.removeEventListener('abort', stop);
          void thread.close();
          resolve();
          return;
        }
        const gone = unpackPaths(chunk.gone);
        onFound({ files: () => unpackFiles(chunk), warnings: chunk.warnings, gone });
      },
      onDeath: (error, restarts) => {
        if (restarts) return;
        signal.removeEventListener('abort', stop);
        reject(new Error(`the scanning thread died: ${error.message}`, { cause: error }));
      },
    });
    const stop = (): void => {
      void thread.close().then(() => {
        reject(asError(signal.reason));
      });
    };
    signal.addEventListener('abort', stop, { once: true });
  });
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
