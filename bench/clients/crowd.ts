/** Many clients of one server, spread over processes. */
import { Child } from '../../test/fixtures/child.js';
import type { ClientsCalls, Server } from './process.js';

export class Crowd {
  readonly #processes: readonly Child<ClientsCalls>[];

  private constructor(processes: number) {
    this.#processes = Array.from(
      { length: processes },
      () => new Child<ClientsCalls>('bench/clients/process.js'),
    );
  }

  static async open(server: Server, clients: number, processes: number): Promise<Crowd> {
    const crowd = new Crowd(Math.min(processes, clients));
    const { length } = crowd.#processes;
    try {
      await Promise.all(
        crowd.#processes.map((child, i) => {
          return child.call('open', { server, clients: Math.floor((clients + i) / length) });
        }),
      );
    } catch (error) {
      await crowd.close();
      throw error;
    }
    return crowd;
  }

  get pids(): number[] {
    return this.#processes.map(({ pid }) => pid);
  }

  /** All fetch the file at once, each so many times. @returns milliseconds, by client */
  async fetch(times: number): Promise<number[]> {
    return (
      await Promise.all(this.#processes.map((child) => child.call('fetch', { times })))
    ).flat();
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map((child) => child.stop()));
  }
}
