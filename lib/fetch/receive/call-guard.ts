/**
 * Keeps what the caller's code throws (callbacks, listeners of a stream) to the call it belongs to: the
 * connection is told that the body has ended, the caller gets the error itself.
 */
import { PeerError } from '../../errors.js';
import type { BodySink } from '../../net/body-sink.js';

export class CallGuard {
  #thrown: { error: unknown } | undefined;

  /** What to tell the caller: what its own code threw, or else what went wrong. */
  errorFor(error: unknown): unknown {
    return this.#thrown === undefined ? error : this.#thrown.error;
  }

  /** @throws PeerError ERR_ABORTED for anything that is no PeerError */
  run<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      if (error instanceof PeerError) throw error;
      this.#thrown ??= { error };
      throw new PeerError('ERR_ABORTED', 'a callback failed', { cause: error });
    }
  }

  /** The same sink, guarded. */
  sink(sink: BodySink): BodySink {
    return {
      get remaining() {
        return sink.remaining;
      },
      space: () => this.run(() => sink.space()),
      advance: (n) => {
        this.run(() => {
          sink.advance(n);
        });
      },
      end: () => {
        this.run(() => {
          sink.end();
        });
      },
      fail: (error) => {
        sink.fail(this.errorFor(error) as PeerError);
      },
    };
  }
}
