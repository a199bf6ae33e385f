/** Answers requests for files: takes an upload slot, opens the file, sends it, counts what was sent. */
import { PeerError } from '../errors.js';
import type { RateLimiter } from '../limits/rate-limiter.js';
import type { Exchange } from '../net/exchange.js';
import type { OpenConnection } from '../net/inbound-connections.js';
import { clientOf } from '../net/scope.js';
import type { SharedFile } from '../share/catalog.js';
import type { Share } from '../share/share.js';
import { onAbort } from '../support/signal.js';
import { bodyBytes } from '../wire/body.js';
import type { FileHead, GetFile, Hash } from '../wire/messages.js';
import { grantRange } from '../wire/range.js';
import { RawTransfer, type RawConnection } from './raw-transfer.js';
import { readWhole, sendInPieces, type SendOptions, type HashedFile } from './send-file.js';
import { Serving } from './serving.js';
import { UploadSlots } from './upload-slots.js';

export interface UploadsOptions {
  share: Share;
  /** Whether large files are sent by sendfile(2) where the system has it. */
  zeroCopy: boolean;
  /** Transfers at once. */
  max: number;
  /** Shared by all clients; undefined: no limit. */
  rateLimiter: RateLimiter | undefined;
}

export interface UploadStats {
  /** Bytes of files sent. */
  bytesRead: number;
  /** Of these, those that went out without a copy, by sendfile(2). */
  zeroCopied: number;
  /** Files or ranges sent to their end. */
  sent: number;
  /** Transfers under way, and requests that wait for one to end. */
  uploads: number;
  waitingUploads: number;
}

/** Transfers under way from which on each takes little memory in the kernel, at some cost in speed. */
const CROWD = 32;
/** A body up to this many bytes is read whole, within the budget before its turn, and leaves with its head. */
const WHOLE_BYTES = 512 * 1024;
/** Files up to this many bytes are read at once where they are in memory. */
const SMALL_BYTES = 32 * 1024;

/** What has taken so many bytes reads them: the kernel does not hold as many. */
const READER_BYTES = 8 * 1024 * 1024;

const NOTHING = new Uint8Array(0);

interface Sent {
  /** Bytes that it has taken: what it asks for is read before its turn only then. */
  taken: number;
  /** The last file, if the kernel may hold all of it. */
  last: SharedFile | undefined;
}

export class Uploads {
  readonly #options: UploadsOptions;
  readonly #serving: Serving;
  readonly #slots: UploadSlots<OpenConnection>;
  /** What was sent over a connection that is open, by the signal of its end. */
  readonly #sent = new WeakMap<AbortSignal, Sent>();
  readonly #stats = { bytesRead: 0, zeroCopied: 0, sent: 0 };
  /** Connections end with their last transfer. */
  #ending = false;

  constructor(options: UploadsOptions) {
    this.#options = options;
    this.#serving = new Serving(options.share);
    this.#slots = new UploadSlots({ max: options.max }, (connection) => {
      connection.dismiss(new PeerError('ERR_BUSY', 'others wait, and this transfer is slow'));
    });
  }

  get stats(): UploadStats {
    return {
      ...this.#stats,
      uploads: this.#slots.active,
      waitingUploads: this.#slots.waiting,
    };
  }

  /** Connections over which files are being sent. */
  get connections(): Iterable<OpenConnection> {
    return this.#slots.connections;
  }

  /** Transfers under way: for whom, and the bytes sent so far. */
  transfers(): Iterable<{ readonly client: string; readonly bytes: number }> {
    return this.#slots.transfers();
  }

  /** Whether files are being sent over a connection. */
  has(connection: OpenConnection): boolean {
    return this.#slots.has(connection);
  }

  /** Start no more transfers, and end each connection with its last one. New requests get ERR_BUSY. */
  finish(): void {
    this.#ending = true;
    this.#slots.close(new PeerError('ERR_BUSY', 'this peer is closing'));
  }

  /**
   * Answer a request for a file.
   *
   * @throws PeerError ERR_NOT_FOUND, ERR_HASHING, ERR_CHANGED, ERR_RANGE, ERR_BUSY: to be told to the peer
   */
  async answer(request: GetFile, exchange: Exchange, connection: OpenConnection): Promise<void> {
    const [file] = this.#options.share.withHash(request.hash, 1).files;
    // What is not here is refused at once, not after a wait for a slot.
    if (file === undefined) throw this.#serving.missing();
    const head: FileHead = {
      type: 'ACKN',
      of: 'RQFH',
      size: file.size,
      modified: file.modified,
      ...grantRange(request, file.size),
    };
    await this.#inSlot(connection, async (options) => {
      const sent = this.#sentOver(connection.closed);
      await this.#send(request.hash, head, exchange, { taken: sent.taken, ...options });
      sent.taken += bodyBytes(head.size, head.offset, head.length);
    });
  }

  /**
   * Send files as they are.
   *
   * @throws PeerError ERR_BUSY; what `send` threw
   */
  async raw(
    connection: RawConnection,
    send: (transfer: RawTransfer) => Promise<void>,
  ): Promise<void> {
    await this.#inSlot(connection, async ({ rate, onBytes }) => {
      const { zeroCopy } = this.#options;
      const crowded = (): boolean => this.#slots.active > CROWD;
      const serving = this.#serving;
      await send(new RawTransfer(connection, { serving, zeroCopy, crowded, rate, onBytes }));
    });
  }

  /** Do something while the connection has an upload slot. */
  async #inSlot(
    connection: OpenConnection,
    send: (options: Pick<SendOptions, 'rate' | 'onBytes'>) => Promise<void>,
  ): Promise<void> {
    const client = clientOf(connection.remoteHost ?? '');
    const release = await this.#slots.take(client, connection, connection.closed);
    try {
      await send({
        rate: this.#options.rateLimiter?.of(client),
        onBytes: (bytes, copied) => {
          this.#slots.sent(connection, bytes);
          this.#stats.bytesRead += bytes;
          if (!copied) this.#stats.zeroCopied += bytes;
        },
      });
      this.#stats.sent++;
    } finally {
      release();
      if (this.#ending && !this.#slots.has(connection)) connection.end();
    }
  }

  async #send(
    hash: Hash,
    head: FileHead,
    exchange: Exchange,
    { taken, rate, onBytes }: Pick<SendOptions, 'rate' | 'onBytes'> & { taken: number },
  ): Promise<void> {
    const { account, closed, turn } = exchange;
    const bytes = bodyBytes(head.size, head.offset, head.length);
    // Under a limit a piece at a time: whole it would be paid for in silence, longer than a client waits.
    const most = taken >= READER_BYTES ? WHOLE_BYTES : SMALL_BYTES;
    const isShort = bytes <= Math.min(most, rate?.pieceBytes ?? Infinity);
    let isCounted = taken > 0 && isShort && account.take(bytes);
    if (!isCounted) {
      await turn;
      isCounted = isShort && account.take(bytes);
    }
    try {
      closed.throwIfAborted();
      if (!isCounted) {
        await this.#withFile(hash, closed, (source) =>
          sendInPieces(exchange, head, source, {
            zeroCopy: this.#options.zeroCopy,
            crowded: this.#slots.active > CROWD,
            rate,
            onBytes,
          }),
        );
        return;
      }
      const body = await this.#read(hash, head, closed);
      await rate?.take(bytes, closed);
      await turn;
      // From here on the connection counts it.
      account.give(bytes);
      isCounted = false;
      await exchange.sendWhole(head, body);
      onBytes(bytes, true);
    } finally {
      if (isCounted) account.give(bytes);
    }
  }

  /** A body that is short enough to be in memory whole. */
  async #read(hash: Hash, head: FileHead, closed: AbortSignal): Promise<Uint8Array> {
    // A file of one block has no lists: its body is the block, whatever part of it was asked for.
    const block = await this.#serving.read(hash, SMALL_BYTES, closed);
    if (block !== undefined) return head.length === 0 ? NOTHING : block;
    return this.#withFile(hash, closed, (source) => readWhole(head, source));
  }

  async #withFile<T>(
    hash: Hash,
    closed: AbortSignal,
    use: (source: HashedFile) => Promise<T>,
  ): Promise<T> {
    const open = await this.#serving.open(hash);
    const { file, handle, lists } = open;
    try {
      const used = await use({ handle, lists, identity: file.identity });
      // A receiver that finds it wrong can say so only by ending the connection now.
      this.#sentOver(closed).last = file.identity.size <= READER_BYTES ? file : undefined;
      return used;
    } catch (error) {
      throw this.#serving.afterError(open, error);
    } finally {
      await this.#serving.release(open);
    }
  }

  #sentOver(closed: AbortSignal): Sent {
    const known = this.#sent.get(closed);
    if (known !== undefined) return known;
    const sent: Sent = { taken: 0, last: undefined };
    this.#sent.set(closed, sent);
    onAbort(closed, () => {
      if (sent.last !== undefined && !this.#ending) this.#serving.afterEnd(sent.last);
    });
    return sent;
  }
}
