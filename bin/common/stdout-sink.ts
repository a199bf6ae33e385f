/** Write bytes to stdout without a copy and without holding up the event loop. */
import { fstatSync, write, writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { systemCode } from '../../lib/errors.js';
import type { ByteSink } from '../../lib/fetch/receive/body-receiver.js';

const STDOUT = 1;
const PIECE = 256 * 1024;

export class StdoutSink implements ByteSink {
  /** Set when stdout turned out to be non-blocking: then Node's own stream waits for room. */
  #stream = false;
  /** A file or device takes bytes without waiting for anybody: to write at once costs less than to wake a thread. */
  readonly #atOnce = ((stat) => stat.isFile() || (stat.isCharacterDevice() && !isatty(STDOUT)))(
    fstatSync(STDOUT),
  );

  write(bytes: Uint8Array): Promise<void> | undefined {
    if (!this.#atOnce) return this.#writeLater(bytes);
    for (let done = 0; done < bytes.length;) {
      done += writeSync(STDOUT, bytes, done, Math.min(PIECE, bytes.length - done));
    }
    return undefined;
  }

  async #writeLater(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const rest = bytes.subarray(done);
      done += this.#stream ? await writeStream(rest) : await this.#writeDirect(rest);
    }
  }

  async #writeDirect(bytes: Uint8Array): Promise<number> {
    try {
      return await new Promise<number>((resolve, reject) => {
        write(STDOUT, bytes, 0, bytes.length, null, (error, written) => {
          if (error === null) resolve(written);
          else reject(error);
        });
      });
    } catch (error) {
      if (systemCode(error) !== 'EAGAIN') throw error;
      this.#stream = true;
      return 0;
    }
  }
}

function writeStream(bytes: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    // The callback brings the error too; without a listener the event would end the process.
    if (process.stdout.listenerCount('error') === 0) process.stdout.on('error', () => undefined);
    process.stdout.write(bytes, (error) => {
      if (error == null) resolve(bytes.length);
      else reject(error);
    });
  });
}
