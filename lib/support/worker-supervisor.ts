/**
 * Keeps a pool of workers alive. Piscina rejects the task of a worker that dies; but tasks in its queue
 * would wait for ever if that was the last worker, or if none starts.
 * Not a SupervisedThread: Piscina itself starts its workers and ends them, and only when there is a task.
 */
import type { Piscina } from 'piscina';

/** Workers in a row that died before they were ready, after which no other is started. */
const MAX_FAILED_STARTS = 6;
/** Milliseconds before the first of them is followed by another; twice as many before each other one. */
const FIRST_PAUSE = 50;

/** No worker starts. */
export class NoWorkers extends Error {}

export class WorkerSupervisor<T, R> {
  readonly #pool: Piscina<T, R>;
  readonly #emptyTask: T;
  /** Rejects the tasks that wait for their result. */
  readonly #waiting = new Set<(error: Error) => void>();
  #failedStarts = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param nothing an empty task, which tests whether a worker starts */
  constructor(pool: Piscina<T, R>, nothing: T) {
    this.#pool = pool;
    this.#emptyTask = nothing;
    pool.on('workerCreate', () => {
      this.#failedStarts = 0;
    });
    pool.on('workerDestroy', () => {
      this.#failedStarts++;
      this.#restart();
    });
    // The end of an idle worker is an event as well.
    pool.on('error', () => undefined);
  }

  /**
   * Do a task.
   *
   * @throws NoWorkers; the error of the task, or the death of its worker
   */
  run(task: T): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.#waiting.add(reject);
      this.#pool
        .run(task)
        .then(resolve, reject)
        .finally(() => this.#waiting.delete(reject));
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Start a worker if one is needed. */
  #restart(): void {
    if (this.#closed || this.#timer !== undefined) return;
    // The first was ready, and died later: that does not mean that the next will.
    const pause = this.#failedStarts <= 1 ? 0 : FIRST_PAUSE * 2 ** (this.#failedStarts - 2);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#waiting.size === 0) this.#failedStarts = 0;
      if (this.#failedStarts === 0) return;
      if (this.#failedStarts > MAX_FAILED_STARTS) {
        this.#failedStarts = 0;
        const error = new NoWorkers('no hashing thread comes up');
        for (const reject of [...this.#waiting]) reject(error);
      } else {
        // Piscina starts a worker when there is something to do.
        this.#pool.run(this.#emptyTask).catch(() => undefined);
      }
    }, pause);
  }
}
