/** Sends files as they are to a client that does not verify them, while its connection has an upload slot. */
import type { Socket } from 'node:net';
import { isReadFault, systemCode } from '../errors.js';
import type { ByteAccount } from '../limits/byte-budget.js';
import type { ClientRate } from '../limits/rate-limiter.js';
import type { OpenConnection } from '../net/inbound-connections.js';
import type { Hash } from '../wire/messages.js';
import { written } from './range-sender.js';
import { sendRaw, type SendRange } from './send-raw.js';
import type { Serving } from './serving.js';

/** A connection over which files are sent as they are. */
export interface RawConnection extends OpenConnection {
  readonly socket: Socket;
  /** Counts what it has in memory to be sent. */
  readonly account: ByteAccount;
}

/** Which file: any with this content. */
export interface Content {
  readonly hash: Hash;
  /** Bytes. */
  readonly size: number;
}

export interface RawTransferOptions {
  readonly serving: Serving;
  readonly zeroCopy: boolean;
  /** Whether many others are under way. */
  readonly crowded: () => boolean;
  readonly rate: ClientRate | undefined;
  readonly onBytes: (bytes: number, copied: boolean) => void;
}

/** Files up to this many bytes are read whole, by the thread for small files. */
const SMALL_BYTES = 32 * 1024;

/** A small file in memory, which counts until it is given back. */
export interface SmallFile {
  readonly bytes: Uint8Array;
  readonly give: () => void;
}

export class RawTransfer {
  readonly #connection: RawConnection;
  readonly #options: RawTransferOptions;

  constructor(connection: RawConnection, options: RawTransferOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /**
   * All of a small file.
   *
   * @returns undefined when it is not small, or there is no memory for it now: then `send` it
   * @throws PeerError as `Serving.read`
   */
  async small({ hash, size }: Content): Promise<SmallFile | undefined> {
    const { account, closed } = this.#connection;
    const { serving, rate } = this.#options;
    if (size > Math.min(SMALL_BYTES, rate?.pieceBytes ?? Infinity)) return undefined;
    if (!account.take(size)) return undefined;
    const give = (): void => {
      account.give(size);
    };
    try {
      const bytes = await serving.read(hash, SMALL_BYTES, closed);
      if (bytes?.length !== size) throw serving.missing();
      return { bytes, give };
    } catch (error) {
      give();
      throw error;
    }
  }

  /** Wait until so many bytes that are in memory may be written; they count as sent. */
  async pay(bytes: number): Promise<void> {
    await this.#options.rate?.take(bytes, this.#connection.closed);
    this.#options.onBytes(bytes, true);
  }

  /** Write what is no content of a file. */
  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length > 0) await written(this.#connection.socket, bytes);
  }

  /**
   * Send ranges of a file.
   *
   * @param see shown everything that is sent; it is not sent without a copy then
   * @throws PeerError as `Serving.open`; ERR_CHANGED when the file changes while it is sent; what `use` threw
   */
  async send(
    { hash }: Content,
    use: (send: SendRange) => Promise<void>,
    see?: (bytes: Uint8Array) => void,
  ): Promise<void> {
    const { socket, closed, account } = this.#connection;
    const { serving, zeroCopy, crowded, rate, onBytes } = this.#options;
    const open = await serving.open(hash);
    try {
      const { handle, file } = open;
      const outgoing = { socket, closed, account, crowded: crowded(), rate, onBytes, see };
      await sendRaw({ handle, identity: file.identity }, outgoing, zeroCopy, use);
    } catch (error) {
      // That the client goes says nothing about the file.
      throw isReadFault(systemCode(error) ?? '') ? serving.afterError(open, error) : error;
    } finally {
      await serving.release(open);
    }
  }
}
