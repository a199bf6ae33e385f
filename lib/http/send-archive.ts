/** Answers with a folder as one download: zip or tar, made while it is sent, of known length. */
import { crc32 } from 'node:zlib';
import { create } from 'content-disposition';
import { PeerError } from '../errors.js';
import type { RawTransfer, SmallFile } from '../serve/raw-transfer.js';
import type { Uploads } from '../serve/uploads.js';
import type { FileMatch } from '../wire/messages.js';
import type { Archive, Entry } from './archive/archive.js';
import { Tar } from './archive/tar.js';
import { Zip } from './archive/zip.js';
import { SAFE_HEADERS } from './content.js';
import type { HttpRequest } from './request.js';

/** Files of one archive: all of their names are in memory. */
export const MAX_ARCHIVED = 100_000;
/** Small files that are read ahead. */
const AHEAD = 64;
/** Bytes of small files that are written together. */
const BATCH = 128 * 1024;

const KINDS = {
  zip: { type: 'application/zip', make: (entries: Entry[]): Archive => new Zip(entries) },
  tar: { type: 'application/x-tar', make: (entries: Entry[]): Archive => new Tar(entries) },
};

export type ArchiveKind = keyof typeof KINDS;

/**
 * @param files what is in the folder
 * @param name of the folder, which all of it is in
 * @param base the folder's path, with a `/` at its end unless it is the share
 * @throws PeerError as `Uploads.raw`; a file that has changed since ends the connection
 */
export async function sendArchive(
  { message, response, connection }: HttpRequest,
  uploads: Uploads,
  {
    kind,
    files,
    name,
    base,
  }: { kind: ArchiveKind; files: FileMatch[]; name: string; base: string },
): Promise<void> {
  const { type, make } = KINDS[kind];
  const entries = files.map(({ path, size, modified = 0 }) => {
    return { path: `${name}/${path.slice(base.length)}`, size, modified };
  });
  const archive = make(entries);
  const writeHead = (): void => {
    response.writeHead(200, {
      ...SAFE_HEADERS,
      'Content-Type': type,
      'Content-Disposition': create(`${name}.${kind}`),
      'Content-Length': archive.length,
      'Cache-Control': 'no-cache',
      'Accept-Ranges': 'none',
    });
  };
  if (message.method === 'HEAD') {
    writeHead();
    response.end();
    return;
  }
  await uploads.raw(connection, async (transfer) => {
    writeHead();
    response.flushHeaders();
    await new Packing(transfer, archive, files).run();
    response.end();
  });
}

/** An archive on its way out. */
class Packing {
  readonly #transfer: RawTransfer;
  readonly #archive: Archive;
  readonly #files: readonly FileMatch[];
  /** What is written next, the bytes of files among it, and how they are given back. */
  #batch: Uint8Array[] = [];
  #bytes = 0;
  #gives: (() => void)[] = [];

  constructor(transfer: RawTransfer, archive: Archive, files: readonly FileMatch[]) {
    this.#transfer = transfer;
    this.#archive = archive;
    this.#files = files;
  }

  async run(): Promise<void> {
    const ahead: Promise<SmallFile | undefined>[] = [];
    try {
      for (const [i, file] of this.#files.entries()) {
        while (ahead.length < AHEAD && i + ahead.length < this.#files.length) {
          ahead.push(this.#read(this.#files[i + ahead.length]));
        }
        const small = await ahead.shift();
        this.#batch.push(this.#archive.before(i));
        if (small === undefined) await this.#large(i, file);
        else this.#small(i, small);
        if (this.#bytes >= BATCH) await this.#flush();
      }
      await this.#flush();
      for (const piece of this.#archive.end()) await this.#transfer.write(piece);
    } finally {
      for (const give of this.#gives) give();
      for (const read of ahead) void read.then((small) => small?.give(), ignore);
    }
  }

  #read(file: FileMatch | undefined): Promise<SmallFile | undefined> {
    if (file === undefined) throw new PeerError('ERR_NOT_FOUND', 'no such file');
    const read = this.#transfer.small(file);
    // Its failure shows when it is its turn.
    read.catch(ignore);
    return read;
  }

  #small(index: number, { bytes, give }: SmallFile): void {
    this.#batch.push(bytes, this.#archive.after(index, this.#archive.needsCrc ? crc32(bytes) : 0));
    this.#bytes += bytes.length;
    this.#gives.push(give);
  }

  async #large(index: number, file: FileMatch): Promise<void> {
    await this.#flush();
    let crc = 0;
    const see = (bytes: Uint8Array): void => {
      crc = crc32(bytes, crc);
    };
    const { needsCrc } = this.#archive;
    if (file.size > 0) {
      await this.#transfer.send(file, (send) => send(0, file.size), needsCrc ? see : undefined);
    }
    this.#batch.push(this.#archive.after(index, crc));
  }

  async #flush(): Promise<void> {
    const [batch, bytes, gives] = [this.#batch, this.#bytes, this.#gives];
    [this.#batch, this.#bytes, this.#gives] = [[], 0, []];
    try {
      await this.#transfer.pay(bytes);
      await this.#transfer.write(Buffer.concat(batch));
    } finally {
      for (const give of gives) give();
    }
  }
}

function ignore(): void {
  // It is awaited elsewhere, or of no interest any more.
}
