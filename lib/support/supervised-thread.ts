/**
 * A thread that is started again when it dies, but not for ever: of a lack of memory it may recover, of
 * its own fault it will not.
 */
import { Worker } from 'node:worker_threads';
import { asError } from '../errors.js';

/** Deaths within so many milliseconds after which another thread is started, at most. */
const MAX_RESTARTS = 3;
const DEATHS_COUNT = 600_000;

export interface ThreadOptions<M> {
  /** The module that it runs. */
  entry: URL;
  /** Its `workerData`. */
  data: unknown;
  /** Whether the process may end while it runs. @default false */
  unref?: boolean | undefined;
  /** Milliseconds for which a death counts. @default ten minutes */
  deathsCount?: number | undefined;
  /** It runs: called again for each thread that takes the place of one that died. */
  onReady?: (() => void) | undefined;
  onMessage: (message: M) => void;
  /** It has died, or could not be started. @param restarts whether another takes its place */
  onDeath: (error: Error, restarts: boolean) => void;
}

export class SupervisedThread<M> {
  readonly #options: ThreadOptions<M>;
  #worker: Worker | undefined;
  #closed = false;
  /** When it died, by performance.now(). */
  #deaths: number[] = [];

  constructor(options: ThreadOptions<M>) {
    this.#options = options;
    this.#start();
  }

  /** What is posted to a thread that dies is lost. */
  post(message: unknown): void {
    this.#worker?.postMessage(message);
  }

  /** End it. No callback is called any more. Resolves when it has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
  }

  #start(): void {
    const { entry, data, unref = false, onReady, onMessage } = this.#options;
    let worker: Worker;
    try {
      // Flags and loaders of the main thread are none of its business, and cost it time.
      worker = new Worker(entry, { workerData: data, execArgv: [] });
    } catch (error) {
      // The system has no thread to give (pthread_create(3), EAGAIN).
      setImmediate(() => {
        this.#died(asError(error));
      });
      return;
    }
    this.#worker = worker;
    if (unref) worker.unref();
    worker.once('online', () => {
      if (!this.#closed) onReady?.();
    });
    worker.on('message', (message: M) => {
      if (!this.#closed) onMessage(message);
    });
    let why: Error | undefined;
    // Always followed by its exit.
    worker.once('error', (error) => {
      why = asError(error);
    });
    worker.once('exit', (code) => {
      this.#worker = undefined;
      this.#died(why ?? new Error(`exit code ${code}`));
    });
  }

  #died(error: Error): void {
    if (this.#closed) return;
    const { deathsCount = DEATHS_COUNT, onDeath } = this.#options;
    const now = performance.now();
    this.#deaths = this.#deaths.filter((at) => now - at < deathsCount).concat(now);
    const restarts = this.#deaths.length <= MAX_RESTARTS;
    this.#closed = !restarts;
    onDeath(error, restarts);
    // It may have been closed meanwhile.
    if (!this.#closed) this.#start();
  }
}
