/** Answers requests for files: takes an upload slot, opens the file, sends it, counts what was sent. */
import { PeerError } from '../errors.js';
import type { ClientRate, RateLimiter } from '../limits/rate-limiter.js';
import type { Connection } from '../net/connection.js';
import type { Exchange } from '../net/exchange.js';
import { clientOf } from '../net/scope.js';
import type { Share } from '../share/share.js';
import type { GetFile } from '../wire/messages.js';
import { sendFile } from './send-file.js';
import { SMALL_BYTES, sendSmall } from './send-small.js';
import { Serving } from './serving.js';
import { UploadSlots } from './upload-slots.js';

export interface UploadsOptions {
  share: Share;
  /** Whether a thread of its own reads small files. */
  workers: boolean;
  /** Whether large files are sent by sendfile(2) where the system has it. */
  zeroCopy: boolean;
  /** Transfers at once. */
  max: number;
  /** Shared by all clients; undefined: no limit. */
  rateLimiter: RateLimiter | undefined;
}

export interface UploadStats {
  /** Bytes of files sent, or read to be sent. */
  bytesRead: number;
  /** Of these, those that went out without a copy, by sendfile(2). */
  zeroCopied: number;
  /** Files or ranges sent to their end. */
  sent: number;
  /** Transfers under way, and requests that wait for one to end. */
  uploads: number;
  waitingUploads: number;
}

/** Transfers under way from which on each takes little memory, at some cost in speed. */
const CROWD = 32;

/** Small files that are read, or wait for their turn, on all connections, from which on few are read ahead. */
const SMALL_AHEAD = 1024;

export class Uploads {
  readonly #options: UploadsOptions;
  readonly #serving: Serving;
  readonly #slots: UploadSlots<Connection>;
  readonly #stats = { bytesRead: 0, zeroCopied: 0, sent: 0 };
  /** Small files in memory, or on the way there. */
  #small = 0;
  /** Connections end with their last transfer. */
  #ending = false;

  constructor(options: UploadsOptions) {
    this.#options = options;
    this.#serving = new Serving(options.share, options.workers);
    this.#slots = new UploadSlots({ max: options.max });
  }

  get stats(): UploadStats {
    return {
      ...this.#stats,
      uploads: this.#slots.active,
      waitingUploads: this.#slots.waiting,
    };
  }

  /** Connections over which files are being sent. */
  get connections(): Iterable<Connection> {
    return this.#slots.connections;
  }

  /** Whether files are being sent over a connection. */
  has(connection: Connection): boolean {
    return this.#slots.has(connection);
  }

  /** Start no more transfers, and end each connection with its last one. New requests get ERR_BUSY. */
  finish(): void {
    this.#ending = true;
    this.#slots.close(new PeerError('ERR_BUSY', 'this peer is closing'));
  }

  /** Resolves when the reading thread has ended. */
  async close(): Promise<void> {
    await this.#serving.close();
  }

  /**
   * Answer a request for a file.
   *
   * @throws PeerError ERR_NOT_FOUND, ERR_HASHING, ERR_CHANGED, ERR_RANGE, ERR_BUSY: to be told to the peer
   */
  async answer(request: GetFile, exchange: Exchange, connection: Connection): Promise<void> {
    const { share, rateLimiter } = this.#options;
    // A file that is not here is refused at once, not after a wait for a slot.
    const isHere = share.withHash(request.hash, 1).total > 0;
    const client = clientOf(connection.remoteHost ?? '');
    const release = isHere
      ? await this.#slots.take(client, connection, exchange.closed)
      : undefined;
    try {
      await this.#send(request, exchange, rateLimiter?.of(client));
    } finally {
      release?.();
      if (this.#ending && !this.#slots.has(connection)) connection.end();
    }
  }

  async #send(request: GetFile, exchange: Exchange, rate: ClientRate | undefined): Promise<void> {
    // Of many who do not take what they ask for each would hold 2 MiB.
    if (this.#small >= SMALL_AHEAD) await exchange.near;
    // Under a limit what is more than a piece of it goes out in pieces.
    const most = Math.min(SMALL_BYTES, rate?.pieceBytes ?? Infinity);
    const small = this.#serving.read(request.hash, most);
    if (small !== undefined) {
      this.#small++;
      try {
        const bytes = await small;
        this.#stats.bytesRead += bytes.length;
        await rate?.take(bytes.length, exchange.closed);
        await sendSmall(exchange, request, bytes);
        this.#stats.sent++;
      } finally {
        this.#small--;
      }
      return;
    }
    await exchange.near;
    const open = await this.#serving.open(request.hash);
    const { file, handle, lists } = open;
    try {
      await sendFile(
        exchange,
        request,
        { handle, lists, identity: file.identity },
        {
          zeroCopy: this.#options.zeroCopy,
          crowded: this.#slots.active > CROWD,
          rate,
          onBytes: (bytes, copied) => {
            this.#stats.bytesRead += bytes;
            if (!copied) this.#stats.zeroCopied += bytes;
          },
        },
      );
      this.#stats.sent++;
    } catch (error) {
      throw this.#serving.afterError(open, error);
    } finally {
      await this.#serving.release(open);
    }
  }
}
