/** A file on its way into a pipe or device, in order: the next attempt resumes behind the last byte. */
import type { FileHead, Hash } from '../wire/messages.js';
import type { AttemptOptions, Fetch, FetchResult, WantedRange } from './part/file-fetch.js';
import type { ByteSink, FileSource } from './receive/body-receiver.js';

export class StreamFetch implements Fetch {
  readonly #hash: Hash;
  readonly #sink: ByteSink;
  readonly #wanted: WantedRange;
  /** Bytes of the range, when a peer has said how large the file is. */
  #total: number | undefined;
  #bytes = 0;

  constructor(hash: Hash, sink: ByteSink, wanted: WantedRange) {
    this.#hash = hash;
    this.#sink = sink;
    this.#wanted = wanted;
  }

  get bytes(): number {
    return this.#bytes;
  }

  async from(source: FileSource, { signal, onProgress }: AttemptOptions = {}): Promise<void> {
    const { offset = 0, length, limit } = this.#wanted;
    const report = (): void => {
      onProgress?.({ phase: 'fetching', bytes: this.#bytes, total: this.#total ?? 0 });
    };
    if (this.#total !== undefined && this.#bytes === this.#total) return;
    const sink: ByteSink = {
      write: (bytes, position) => {
        const done = (): void => {
          this.#bytes += bytes.length;
          report();
        };
        const written = this.#sink.write(bytes, position);
        if (written !== undefined) return written.then(done);
        done();
        return undefined;
      },
    };
    const onHead = (head: FileHead): void => {
      this.#total ??= head.length;
      report();
    };
    await source.fetchTo(this.#hash, sink, {
      offset: offset + this.#bytes,
      length: length === undefined ? undefined : length - this.#bytes,
      signal,
      limit,
      onHead,
    });
  }

  finish(): Promise<FetchResult> {
    return Promise.resolve('fetched');
  }

  abandon(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}
