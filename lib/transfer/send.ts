/** Answer an RQFH: the head, then the block tree of the range, read from the file as it goes out. */
import type { FileHandle } from 'node:fs/promises';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Socket } from 'node:net';
import { identityOf, sameContent, type FileIdentity } from '../disk/open.js';
import { PeerError } from '../errors.js';
import type { Lists } from '../hash/tree.js';
import { roomFor } from '../memory.js';
import type { Exchange } from '../net/exchange.js';
import { BLOCK_BYTES, bodyBytes, bodyParts } from '../wire/body.js';
import type { GetFile } from '../wire/messages.js';
import type { Allowance } from './allowance.js';

/** Bytes read at a time; the best of 64 KiB to 2 MiB when it was measured. */
const CHUNK_BYTES = 512 * 1024;

/** A file open for reading, what it was when it was hashed, and the lists of its tree. */
export interface Source {
  handle: FileHandle;
  identity: FileIdentity;
  lists: Lists;
}

/** The range that is granted: as asked, clipped to the file's end. */
export function grantRange(
  { offset = 0, length }: Pick<GetFile, 'offset' | 'length'>,
  size: number,
): { offset: number; length: number } {
  if (offset > size || (offset === size && size > 0)) {
    throw new PeerError('ERR_RANGE', `offset ${offset} is not inside the file (${size} bytes)`);
  }
  return { offset, length: Math.min(length ?? size, size - offset) };
}

/**
 * Send what `request` asks for.
 *
 * @param onBytes told of every chunk that was read from the file
 * @param allowance asked before every piece; undefined: nothing limits the rate
 * @throws PeerError ERR_RANGE before anything is sent; ERR_CHANGED, which ends the connection, when
 *   the file changes or shrinks while it is sent
 */
export async function sendFile(
  exchange: Exchange,
  request: GetFile,
  source: Source,
  onBytes: (bytes: number) => void,
  allowance?: Allowance,
): Promise<void> {
  const { size } = source.identity;
  const range = grantRange(request, size);
  const memory = new ChunkMemory();
  const body = bodyChunks(source, range, memory, onBytes, allowance, exchange.closed);
  // Read the first bytes while earlier bodies still go out: a small file leaves with its head.
  const first = await body.next();
  await exchange.sendBody({ type: 'ACKN', of: 'RQFH', size, ...range }, async (socket) => {
    if (first.done === true) return;
    if (first.value.length === bodyBytes(size, range.offset, range.length)) {
      await written(socket, first.value);
      return;
    }
    // One chunk is read ahead while another is written.
    const chunks = Readable.from(prepend(first.value, body), { highWaterMark: 1 });
    await pipeline(chunks, new SocketBody(socket, memory), { signal: exchange.closed });
  });
}

/** Resolves when the bytes have been handed to the kernel. */
function written(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => {
      if (error == null) resolve();
      else reject(error);
    });
  });
}

/** Memory for chunks, used again when a chunk has gone out. */
class ChunkMemory {
  readonly #free: Buffer[] = [];
  /** What was made here, by what its parts share. */
  readonly #made = new Map<ArrayBufferLike, Buffer>();

  take(): Buffer {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const chunk = roomFor(CHUNK_BYTES);
    this.#made.set(chunk.buffer, chunk);
    return chunk;
  }

  give(chunk: Buffer): void {
    const whole = this.#made.get(chunk.buffer);
    if (whole !== undefined) this.#free.push(whole);
  }
}

async function* prepend(first: Buffer, rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

/** The end of the pipeline: a socket that goes on to be used. */
class SocketBody extends Writable {
  readonly #socket: Socket;
  readonly #memory: ChunkMemory;

  constructor(socket: Socket, memory: ChunkMemory) {
    super({ objectMode: true, highWaterMark: 1 });
    this.#socket = socket;
    this.#memory = memory;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, (error) => {
      this.#memory.give(chunk);
      done(error);
    });
  }
}

/** The body's bytes in order. */
async function* bodyChunks(
  { handle, identity, lists }: Source,
  { offset, length }: { offset: number; length: number },
  memory: ChunkMemory,
  onBytes: (bytes: number) => void,
  allowance: Allowance | undefined,
  closed: AbortSignal,
): AsyncGenerator<Buffer> {
  for (const part of bodyParts(identity.size, offset, length)) {
    if (part.kind === 'list') {
      const list = lists.list(part.level, part.index);
      await allowance?.take(list.length, closed);
      yield Buffer.from(list.buffer, list.byteOffset, list.length);
      continue;
    }
    const begin = part.first * BLOCK_BYTES;
    for (let at = 0; at < part.bytes;) {
      const most = allowance?.pieceBytes ?? CHUNK_BYTES;
      const want = Math.min(CHUNK_BYTES, part.bytes - at, most);
      await allowance?.take(want, closed);
      // A small file gets no more than it needs.
      const chunk = part.bytes < CHUNK_BYTES ? Buffer.allocUnsafe(want) : memory.take();
      const { bytesRead } = await handle.read(chunk, 0, want, begin + at);
      if (bytesRead === 0) throw new PeerError('ERR_CHANGED', 'the file became shorter');
      at += bytesRead;
      onBytes(bytesRead);
      yield chunk.subarray(0, bytesRead);
    }
    // One read is one look at the file: as good as the one when it was opened.
    if (part.bytes <= CHUNK_BYTES) continue;
    // Once in 256 MiB: no use in sending on what the receiver is going to refuse.
    const now = identityOf(await handle.stat({ bigint: true }));
    if (!sameContent(now, identity)) throw new PeerError('ERR_CHANGED', 'the file has changed');
  }
}
