/**
 * Long work in short slices, so that nothing else has to wait for it: each piece of work is a generator
 * that can be left for a while at every `yield`. Those that are under way take turns, and so do those
 * for whom they are done.
 */
import { PeerError } from '../errors.js';

/** Milliseconds of one piece of work before it is the next one's turn. */
const SLICE = 3;
/** Milliseconds of all work in one turn of the event loop. */
const TURN = 6;
/** Pieces of work that are under way at once: each of them holds some memory. */
const MAX_BEGUN = 8;
/** Of these, for the same client. */
const MAX_BEGUN_EACH = 2;
/** Pieces of work that wait to begin. */
const MAX_WAITING = 4096;

interface Job {
  /** Goes on with it. @returns whether it is over */
  go(): boolean;
  fail(error: PeerError): void;
  client: AbortSignal | undefined;
}

function tooMany(): PeerError {
  return new PeerError('ERR_BUSY', 'too many searches');
}

export class FairScheduler {
  readonly #begun: Job[] = [];
  /** Not begun, by client; the first client is the next. */
  readonly #waiting = new Map<AbortSignal | undefined, Job[]>();
  #waits = 0;
  #isScheduled = false;
  #isClosed = false;
  /** Milliseconds left in this turn of the event loop. */
  #left = TURN;

  /**
   * Do a piece of work. What takes little is done at once, if nothing else is waiting.
   *
   * @param client for whom: clients take turns, and when this is aborted, its work is given up
   * @throws PeerError ERR_BUSY when too much is waiting, most of it for this client, now or later; ERR_CLOSED; what the work throws
   */
  run<T>(work: Generator<unknown, T>, client?: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#isClosed) throw new PeerError('ERR_CLOSED', 'closed');
      if (this.#waits >= MAX_WAITING && !this.#makeRoom(client)) throw tooMany();
      const fail = (error: PeerError): void => {
        // Its `finally` gives back what it holds; what it returns is of no interest.
        const steps: Iterator<unknown, unknown> = work;
        steps.return?.();
        reject(error);
      };
      const go = (): boolean => {
        if (client?.aborted === true) {
          fail(new PeerError('ERR_CLOSED', 'nobody waits for it'));
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
      queue.push({ go, fail, client });
      this.#waiting.set(client, queue);
      this.#waits++;
      if (this.#begun.length === 0 && this.#waits === 1) this.#turn();
      this.#schedule();
    });
  }

  /** Give up all work. */
  close(): void {
    this.#isClosed = true;
    const jobs = [...this.#begun, ...[...this.#waiting.values()].flat()];
    this.#begun.length = 0;
    this.#waiting.clear();
    this.#waits = 0;
    for (const job of jobs) job.fail(new PeerError('ERR_CLOSED', 'closed'));
  }

  /** Also when all is done: then there is time again in the next turn. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#left = TURN;
      this.#turn();
      if (this.#begun.length > 0 || this.#waits > 0) this.#schedule();
    });
  }

  #turn(): void {
    for (let now = performance.now(); this.#left > 0;) {
      this.#begin();
      const job = this.#begun.shift();
      if (job === undefined) return;
      const end = now + Math.min(SLICE, this.#left);
      const begin = now;
      let isOver = false;
      while (!isOver && now < end) {
        isOver = job.go();
        now = performance.now();
      }
      this.#left -= now - begin;
      if (!isOver) this.#begun.push(job);
    }
  }

  /** The client for whom most waits gives up the last of it, for another. @returns whether there is one */
  #makeRoom(client: AbortSignal | undefined): boolean {
    let longest = this.#waiting.get(client) ?? [];
    const own = longest.length;
    for (const queue of this.#waiting.values()) {
      if (queue.length > longest.length) longest = queue;
    }
    // Or they would take from one another without end.
    if (longest.length < own + 2) return false;
    this.#waits--;
    longest.pop()?.fail(tooMany());
    return true;
  }

  /** Begin what waits, as much as may be under way, one client after the other. */
  #begin(): void {
    for (const [client, queue] of [...this.#waiting]) {
      if (this.#begun.length >= MAX_BEGUN) return;
      if (this.#begun.filter((job) => job.client === client).length >= MAX_BEGUN_EACH) continue;
      const job = queue.shift();
      this.#waiting.delete(client);
      if (queue.length > 0) this.#waiting.set(client, queue);
      if (job === undefined) continue;
      this.#waits--;
      this.#begun.push(job);
    }
  }
}
