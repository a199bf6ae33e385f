/**
 * Receive no faster than a rate allows: reading from the connection stops until the next piece may come,
 * and TCP lets the sender know.
 */
import type { PeerError } from '../../errors.js';
import type { BodySink } from '../../net/body-sink.js';
import type { ClientRate } from '../../limits/rate-limiter.js';

export class LimitedSink implements BodySink {
  readonly #sink: BodySink;
  readonly #rate: ClientRate;
  readonly #resume: () => void;
  readonly #done = new AbortController();
  /** Bytes that may be received now. */
  #allowed = 0;
  #asks = false;

  /** @param resume resumes reading from the connection */
  constructor(sink: BodySink, rate: ClientRate, resume: () => void) {
    this.#sink = sink;
    this.#rate = rate;
    this.#resume = resume;
  }

  get remaining(): number {
    return this.#sink.remaining;
  }

  space(): Uint8Array | undefined {
    const space = this.#sink.space();
    if (space === undefined) return undefined;
    if (this.#allowed === 0) this.#ask();
    return this.#allowed === 0 ? undefined : space.subarray(0, this.#allowed);
  }

  advance(n: number): void {
    this.#allowed -= n;
    this.#sink.advance(n);
  }

  end(): void {
    this.#done.abort();
    this.#sink.end();
  }

  fail(error: PeerError): void {
    this.#done.abort();
    this.#sink.fail(error);
  }

  #ask(): void {
    if (this.#asks) return;
    const bytes = Math.min(this.#rate.pieceBytes, this.remaining);
    const wait = this.#rate.take(bytes, this.#done.signal);
    if (wait === undefined) {
      this.#allowed = bytes;
      return;
    }
    this.#asks = true;
    wait.then(
      () => {
        this.#asks = false;
        this.#allowed = bytes;
        this.#resume();
      },
      () => undefined, // The body has ended: nothing more is read.
    );
  }
}
