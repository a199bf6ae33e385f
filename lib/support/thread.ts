/** A thread of this process that is asked things and answers them in order. */
import { Worker } from 'node:worker_threads';

export class Thread<Question, Answer extends object | number> {
  readonly #worker: Worker;
  #ready = false;
  #dead = false;
  readonly #waiting: ((answer: Answer | undefined) => void)[] = [];

  /** @param entry its module, which posts any message when it is ready, and then an answer to each question */
  constructor(entry: URL) {
    // Flags and loaders of the main thread are none of its business.
    const worker = new Worker(entry, { execArgv: [] });
    this.#worker = worker;
    worker.on('message', (message: unknown) => {
      if (this.#ready) this.#waiting.shift()?.(message as Answer);
      else this.#ready = true;
      if (this.#waiting.length === 0) worker.unref();
    });
    // Who asked is told by the answer that does not come.
    worker.on('error', () => undefined);
    worker.on('exit', () => {
      this.#dead = true;
      for (const resolve of this.#waiting.splice(0)) resolve(undefined);
    });
    // After the listeners: the first one for messages holds the process, as ref does.
    worker.unref();
  }

  /** Whether it runs; not before it has said so, and not after it has died. */
  get ready(): boolean {
    return this.#ready && !this.#dead;
  }

  /** Say something that is not answered. */
  tell(message: object): void {
    if (!this.#dead) this.#worker.postMessage(message);
  }

  /** @returns undefined when it has died */
  ask(question: Question): Promise<Answer | undefined> {
    if (this.#dead) return Promise.resolve(undefined);
    // While it has something to do, the process does not end.
    if (this.#waiting.length === 0) this.#worker.ref();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#worker.postMessage(question);
    });
  }
}
