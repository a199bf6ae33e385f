/** Reads what a server sends into one buffer that is used again, and sees that it is right. */
import { connect } from 'node:net';
import { BodyVerifier } from '../../lib/fetch/receive/body-verifier.js';
import { rootOf, TreeHasher } from '../../lib/hash/tree.js';
import { allocateReadBuffer } from '../../lib/support/memory.js';
import { HEADER_BYTES } from '../../lib/wire/limits.js';
import { BLOCK_BYTES } from '../../lib/wire/body.js';

/** Looks at every byte. */
export interface Verifier {
  update(chunk: Buffer): void;
  /** @throws Error when something was wrong */
  end(): void;
}

export interface RawSource {
  port: number;
  /** What is said first. */
  ask: Buffer;
  /** What comes before the bytes: nothing, the head of HTTP, a frame of ours. */
  head: 'none' | 'http' | 'frame';
  /** Bytes behind the head. */
  bytes: number;
  verifier: () => Verifier;
}

const READ_BYTES = 256 * 1024;
/** One byte in so many is looked at in every run; a prime, so that it is another one in each page. */
const SAMPLE = 1021;

export class RawReader {
  readonly #source: RawSource;
  readonly #buffer = allocateReadBuffer(READ_BYTES);
  /** Of the samples, once all bytes have been verified. */
  #wanted: number | undefined;

  constructor(source: RawSource) {
    this.#source = source;
  }

  /**
   * Connect, ask and read to the end. The first time every byte is verified, later their number and a
   * sample of them: to look at each would cost as much as to read it.
   *
   * @throws Error when the bytes are others than they should be
   */
  async read(): Promise<void> {
    const verifier = this.#wanted === undefined ? this.#source.verifier() : undefined;
    const samples = new Samples();
    await this.#receive((chunk) => {
      samples.add(chunk);
      verifier?.update(chunk);
    });
    verifier?.end();
    this.#wanted ??= samples.sum;
    if (samples.sum !== this.#wanted) throw new Error('other bytes came than the first time');
  }

  #receive(take: (chunk: Buffer) => void): Promise<void> {
    const { port, ask, head, bytes } = this.#source;
    return new Promise((resolve, reject) => {
      let got = 0;
      let before: Buffer | undefined = head === 'none' ? undefined : Buffer.alloc(0);
      const socket = connect({
        ...{ host: '127.0.0.1', port },
        onread: {
          buffer: this.#buffer,
          callback: (n: number, memory: Uint8Array) => {
            let chunk = Buffer.from(memory.buffer, memory.byteOffset, n);
            if (before !== undefined) {
              const all = Buffer.concat([before, chunk]);
              const end = endOfHead(all, head);
              before = end === undefined ? all : undefined;
              if (end === undefined) return true;
              chunk = all.subarray(end);
            }
            got += chunk.length;
            try {
              take(chunk);
            } catch (error) {
              socket.destroy(error as Error);
            }
            if (got >= bytes) socket.destroy();
            return true;
          },
        },
      });
      socket.on('error', reject);
      socket.on('connect', () => {
        if (ask.length > 0) socket.write(ask);
      });
      socket.on('close', () => {
        if (got === bytes) resolve();
        else reject(new Error(`${got} bytes came instead of ${bytes}`));
      });
    });
  }
}

/** Where the head ends; undefined when it has not come yet. */
function endOfHead(bytes: Buffer, head: RawSource['head']): number | undefined {
  if (head === 'http') {
    const end = bytes.indexOf('\r\n\r\n');
    return end < 0 ? undefined : end + 4;
  }
  if (bytes.length < HEADER_BYTES) return undefined;
  const end = HEADER_BYTES + bytes.readUInt32BE(8);
  return bytes.length < end ? undefined : end;
}

/** FNV-1a of a few bytes of a stream, which has them in this order only. */
class Samples {
  #sum = 0x811c9dc5;
  /** Bytes until the next one. */
  #skip = 0;

  get sum(): number {
    return this.#sum;
  }

  add(chunk: Buffer): void {
    let at = this.#skip;
    for (; at < chunk.length; at += SAMPLE) {
      this.#sum = Math.imul(this.#sum ^ (chunk[at] ?? 0), 0x01000193) >>> 0;
    }
    this.#skip = at - chunk.length;
  }
}

// ------------------------------------------------------------ every byte

/** They are a file, whose hash is known. */
export function isFile(hash: string): Verifier {
  const hasher = new TreeHasher();
  return {
    update: (chunk) => {
      hasher.update(chunk);
    },
    end: () => {
      const got = Buffer.from(rootOf(hasher.digest())).toString('hex');
      if (got !== hash) throw new Error('it is another file');
    },
  };
}

/** They are the body of a file: with its lists. */
export function isBody(hash: string, size: number): Verifier {
  const root = Buffer.from(hash, 'hex');
  const verifier = new BodyVerifier({ hash: root, size, offset: 0, length: size });
  const block = Buffer.alloc(BLOCK_BYTES);
  return {
    update: (chunk) => {
      for (let rest = chunk; rest.length > 0;) {
        if (verifier.needsBuffer) verifier.useBuffer(block);
        const space = verifier.space();
        const n = Math.min(space.length, rest.length);
        space.set(rest.subarray(0, n));
        verifier.advance(n);
        rest = rest.subarray(n);
      }
    },
    end: () => {
      if (verifier.remaining > 0) throw new Error('the body is not whole');
    },
  };
}

/** They are all the same. */
export function isAll(byte: number): Verifier {
  return {
    update: (chunk) => {
      if (!chunk.equals(Buffer.alloc(chunk.length, byte))) throw new Error('it is something else');
    },
    end: () => undefined,
  };
}
