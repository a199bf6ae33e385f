/**
 * Finds the file that breaks a connection on which many are under way: the one being sent, or another whose
 * blocks were still being verified. So each file that was being sent is suspect, and retried alone after all
 * others. Files of which nothing had come are retried at once.
 */
import { PeerError, isTransient } from '../../errors.js';
import type { FileHead } from '../../wire/messages.js';
import { pause } from '../../support/backoff.js';
import { pauseBeforeRetry } from '../sources/source-error.js';

/** Times that a connection may break over one file that is alone, and without any file coming to its end. */
const MAX_ATTEMPTS = 3;

export type OnHead = (head: FileHead) => void;

/** Connections break before anything comes. */
export class ConnectionLost extends PeerError {
  constructor({ code, message, cause }: PeerError) {
    super(code, message, { cause });
  }
}

/** The connection broke while this file was being sent. */
export class Suspect extends PeerError {
  constructor({ code, message, cause }: PeerError) {
    super(code, message, { cause });
  }
}

export class Attempts {
  readonly #settled: () => number;

  /** @param settled how many files have come to an end */
  constructor(settled: () => number) {
    this.#settled = settled;
  }

  /**
   * Try until the file has come. What the peer is too busy for is asked for again, later.
   *
   * @param alone nothing else is under way
   * @throws Suspect if it is not alone; ConnectionLost; else what is this file's own fault
   */
  async persist(
    attempt: (onHead: OnHead) => Promise<void>,
    signal: AbortSignal,
    alone: boolean,
  ): Promise<void> {
    let broken = 0;
    let busy = 0;
    for (let idle = 0; ;) {
      const seen = { begun: false };
      const settled = this.#settled();
      try {
        await attempt(() => {
          seen.begun = true;
        });
        return;
      } catch (error) {
        if (error instanceof PeerError && error.code === 'ERR_BUSY') {
          const milliseconds = pauseBeforeRetry(error, ++busy, false);
          if (milliseconds === undefined) throw error;
          await pause(milliseconds, signal);
          continue;
        }
        if (!breaksConnection(error)) throw error;
        if (seen.begun) {
          if (!alone) throw new Suspect(error);
          // What does not match the hash will not do so the next time.
          if (error.code !== 'ERR_CLOSED' || ++broken === MAX_ATTEMPTS) throw error;
        } else if (this.#settled() > settled) {
          idle = 0;
        } else if (++idle === MAX_ATTEMPTS) {
          throw new ConnectionLost(error);
        }
      }
    }
  }
}

function breaksConnection(error: unknown): error is PeerError {
  if (!(error instanceof PeerError)) return false;
  // It has listed its files: a new connection that it closes at once is one that breaks.
  if (error.code === 'ERR_NOT_A_PEER') return isTransient(error);
  return ['ERR_CLOSED', 'ERR_MISMATCH', 'ERR_MALFORMED'].includes(error.code);
}
