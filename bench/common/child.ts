/** Parts of a benchmark in processes of their own, which are called like functions. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { asError } from '../../lib/errors.js';
import { scriptFile } from './processes.js';

/** What a process does when it is called: one argument and one result each, both plain data. */
export type Calls<C> = { [K in keyof C]: (argument: never) => unknown };

type Argument<C extends Calls<C>, K extends keyof C> = Parameters<C[K]>[0];
type Result<C extends Calls<C>, K extends keyof C> = Awaited<ReturnType<C[K]>>;

interface Call {
  number: number;
  name: string;
  argument: unknown;
}

interface Return {
  number: number;
  result?: unknown;
  /** What it threw. */
  error?: string;
}

/** Something that it says while it is called. */
interface Note {
  note: unknown;
}

interface Pending {
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
}

/** One process, seen from the one that started it. */
export class Child<C extends Calls<C>> {
  readonly #process: ChildProcess;
  readonly #script: string;
  readonly #pending = new Map<number, Pending>();
  #calls = 0;

  /**
   * @param script one of our own that calls `serveCalls`, below dist/
   * @param onNote given what it says by `sendNote`
   */
  constructor(script: string, onNote: (note: unknown) => void = () => undefined) {
    this.#script = script;
    // Figures that are not finite survive, unlike in JSON.
    this.#process = fork(scriptFile(script), { serialization: 'advanced' });
    this.#process.on('message', (message) => {
      if (isNote(message)) {
        onNote(message.note);
        return;
      }
      const { number, result, error } = message as Return;
      const pending = this.#pending.get(number);
      this.#pending.delete(number);
      if (error === undefined) pending?.resolve(result);
      else pending?.reject(new Error(error));
    });
    this.#process.once('exit', (code) => {
      const error = new Error(`${script} ended with ${code ?? 'a signal'}`);
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
    });
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Rejects with what the function threw, and when the process ends before it has returned. */
  call<K extends keyof C & string>(name: K, argument: Argument<C, K>): Promise<Result<C, K>> {
    return new Promise<unknown>((resolve, reject) => {
      if (!this.#process.connected) {
        reject(new Error(`${this.#script} has ended`));
        return;
      }
      const call: Call = { number: ++this.#calls, name, argument };
      this.#pending.set(call.number, { resolve, reject });
      this.#process.send(call);
    }) as Promise<Result<C, K>>;
  }

  /** End the process by letting go of it. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    if (this.#process.connected) this.#process.disconnect();
    await ended;
  }
}

/** In the process itself: do what it is called for, until the one that started it lets go. */
export function serveCalls<C extends Calls<C>>(calls: C): void {
  process.on('message', (message) => {
    const { number, name, argument } = message as Call;
    void answer(calls, name, argument).then((answer) => process.send?.({ number, ...answer }));
  });
  process.once('disconnect', () => {
    process.exit();
  });
}

/** In the process itself: say something to the one that started it. */
export function sendNote(note: unknown): void {
  process.send?.({ note } satisfies Note);
}

function isNote(message: unknown): message is Note {
  return typeof message === 'object' && message !== null && 'note' in message;
}

async function answer<C extends Calls<C>>(
  calls: C,
  name: string,
  argument: unknown,
): Promise<Omit<Return, 'number'>> {
  try {
    const call = calls[name as keyof C] as unknown as (argument: unknown) => unknown;
    return { result: await call(argument) };
  } catch (error) {
    return { error: asError(error).message };
  }
}
