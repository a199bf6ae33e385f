/** A client that reads 1 KiB a second of what it asked for. */
import { once } from 'node:events';
import { Socket, type OnReadOpts, type SocketConstructorOpts } from 'node:net';
import { parseAddress } from '../../lib/net/address.js';
import { encodeMessage } from '../../lib/wire/messages.js';

/** Bytes that it reads each time. */
const SLOW_BYTES = 1024;

/** Reads 1 KiB a second of what it asked for. */
export class SlowClient {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];

  constructor() {
    const onread: OnReadOpts = {
      buffer: Buffer.alloc(SLOW_BYTES),
      callback: (n, memory) => {
        this.#chunks.push(Buffer.from(memory.subarray(0, n)));
        this.#socket.emit('first');
        return false;
      },
    };
    const options: SocketConstructorOpts & { onread: OnReadOpts } = { onread };
    this.#socket = new Socket(options);
    this.#socket.on('error', () => undefined);
  }

  get connected(): boolean {
    return !this.#socket.destroyed;
  }

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  async ask(address: string, hash: string): Promise<void> {
    this.#socket.connect({ ...parseAddress(address) });
    const begun = Promise.race([once(this.#socket, 'first'), once(this.#socket, 'close')]);
    this.#socket.write(encodeMessage({ type: 'RQFH', hash }, 1));
    await begun;
    if (this.#chunks.length === 0) throw new Error('a slow client was refused');
  }

  readOn(): void {
    this.#socket.resume();
  }
}
