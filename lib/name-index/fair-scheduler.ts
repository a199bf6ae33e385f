/**
 * Runs long work in short slices, so that it delays nothing else: each job is a generator, which can be
 * suspended at every `yield`. Jobs under way take turns, and so do the clients that wait.
 */
import { PeerError } from '../errors.js';

/** Milliseconds that a job runs before the next one has its turn. */
const SLICE = 3;
/** Milliseconds for all jobs in one turn of the event loop. */
const TURN = 6;
/** Jobs under way at once: each of them holds memory. */
const MAX_RUNNING = 8;
/** Jobs of one client under way at once. */
const MAX_RUNNING_PER_CLIENT = 2;
/** Jobs that wait to begin. */
const MAX_WAITING = 4096;

interface Job {
  /** Runs it up to its next `yield`. @returns whether it has ended */
  step(): boolean;
  fail(error: PeerError): void;
  client: AbortSignal | undefined;
}

function busyError(): PeerError {
  return new PeerError('ERR_BUSY', 'too many searches');
}

export class FairScheduler {
  readonly #running: Job[] = [];
  /** Not begun, by client; the first client is the next. */
  readonly #waiting = new Map<AbortSignal | undefined, Job[]>();
  #waitingCount = 0;
  #isScheduled = false;
  #isClosed = false;
  /** Milliseconds left in this turn of the event loop. */
  #timeLeft = TURN;

  /**
   * Run a job. A short one ends at once, if nothing else is waiting.
   *
   * @param client clients take turns; when this is aborted, its jobs are cancelled
   * @throws PeerError ERR_BUSY when too many jobs wait and this client has most; ERR_CLOSED; what the job throws
   */
  run<T>(work: Generator<unknown, T>, client?: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#isClosed) throw new PeerError('ERR_CLOSED', 'closed');
      if (this.#waitingCount >= MAX_WAITING && !this.#makeRoom(client)) throw busyError();
      const fail = (error: PeerError): void => {
        // Its `finally` gives back what it holds; what it returns is of no interest.
        const steps: Iterator<unknown, unknown> = work;
        steps.return?.();
        reject(error);
      };
      const go = (): boolean => {
        if (client?.aborted === true) {
          fail(new PeerError('ERR_CLOSED', 'the client is gone'));
          return true;
        }
        try {
          const step = work.next();
          if (step.done === true) resolve(step.value);
          return step.done === true;
        } catch (error) {
          reject(error);
          return true;
        }
      };
      const queue = this.#waiting.get(client) ?? [];
      queue.push({ step: go, fail, client });
      this.#waiting.set(client, queue);
      this.#waitingCount++;
      if (this.#running.length === 0 && this.#waitingCount === 1) this.#turn();
      this.#schedule();
    });
  }

  /** Cancel all jobs. */
  close(): void {
    this.#isClosed = true;
    const jobs = [...this.#running, ...[...this.#waiting.values()].flat()];
    this.#running.length = 0;
    this.#waiting.clear();
    this.#waitingCount = 0;
    for (const job of jobs) job.fail(new PeerError('ERR_CLOSED', 'closed'));
  }

  /** Also when all is done: then there is time again in the next turn. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#timeLeft = TURN;
      this.#turn();
      if (this.#running.length > 0 || this.#waitingCount > 0) this.#schedule();
    });
  }

  #turn(): void {
    for (let now = performance.now(); this.#timeLeft > 0;) {
      this.#startWaiting();
      const job = this.#running.shift();
      if (job === undefined) return;
      const end = now + Math.min(SLICE, this.#timeLeft);
      const begin = now;
      let isOver = false;
      while (!isOver && now < end) {
        isOver = job.step();
        now = performance.now();
      }
      this.#timeLeft -= now - begin;
      if (!isOver) this.#running.push(job);
    }
  }

  /** The client that has most waiting gives up the last of it, for another. @returns whether there is one */
  #makeRoom(client: AbortSignal | undefined): boolean {
    let longest = this.#waiting.get(client) ?? [];
    const own = longest.length;
    for (const queue of this.#waiting.values()) {
      if (queue.length > longest.length) longest = queue;
    }
    // Or they would take from one another without end.
    if (longest.length < own + 2) return false;
    this.#waitingCount--;
    longest.pop()?.fail(busyError());
    return true;
  }

  /** Begin what waits, as much as may be under way, one client after the other. */
  #startWaiting(): void {
    // One that is put back at the end comes again, unless it has its part: this ends.
    for (const [client, queue] of this.#waiting) {
      if (this.#running.length >= MAX_RUNNING) return;
      if (this.#running.filter((job) => job.client === client).length >= MAX_RUNNING_PER_CLIENT)
        continue;
      const job = queue.shift();
      this.#waiting.delete(client);
      if (queue.length > 0) this.#waiting.set(client, queue);
      if (job === undefined) continue;
      this.#waitingCount--;
      this.#running.push(job);
    }
  }
}
