/** Answer an RQFH: the head, then the block tree of the range, out of the file and the kept lists. */
import type { FileHandle } from 'node:fs/promises';
import { identityOf, sameContent, type FileIdentity } from '../disk/open.js';
import { PeerError } from '../errors.js';
import type { Lists } from '../hash/tree.js';
import type { Exchange } from '../net/exchange.js';
import { BLOCK_BYTES, bodyBytes, bodyParts, type BodyPart } from '../wire/body.js';
import type { FileHead, GetFile } from '../wire/messages.js';
import type { ClientRate } from '../limits/rate-limiter.js';
import { StreamSender, ZeroCopySender, written, type Outgoing } from './range-sender.js';
import { grantRange } from '../wire/range.js';
import { loadKernel, type Kernel } from './sendfile.js';

/** A body up to this many bytes is read whole before its turn, and leaves together with its head. */
const WHOLE_BYTES = 512 * 1024;

/** A file open for reading, what it was when it was hashed, and the lists of its tree. */
export interface Source {
  handle: FileHandle;
  identity: FileIdentity;
  lists: Lists;
}

export interface SendOptions {
  /** Whether sendfile(2) is used where the system has it. */
  zeroCopy: boolean;
  /** Whether many others are under way: this one then takes little memory. */
  crowded: boolean;
  /** Asked before every piece; undefined: nothing limits the rate. */
  rate?: ClientRate | undefined;
  /** Told how many bytes of the file have been sent, or read to be sent: `copied`, or by the kernel. */
  onBytes: (bytes: number, copied: boolean) => void;
}

/**
 * Send what `request` asks for.
 *
 * @throws PeerError ERR_RANGE before anything is sent; ERR_CHANGED, which ends the connection, when
 *   the file changes or shrinks while it is sent
 */
export async function sendFile(
  exchange: Exchange,
  request: GetFile,
  source: Source,
  { zeroCopy, crowded, rate, onBytes }: SendOptions,
): Promise<void> {
  const { size } = source.identity;
  const range = grantRange(request, size);
  const head: FileHead = { type: 'ACKN', of: 'RQFH', size, ...range };
  const parts = [...bodyParts(size, range.offset, range.length)];
  const bytes = bodyBytes(size, range.offset, range.length);
  // Under a limit a piece at a time: whole it would be paid for in silence, longer than a client waits.
  if (bytes <= Math.min(WHOLE_BYTES, rate?.pieceBytes ?? Infinity)) {
    // Read while earlier bodies still go out.
    const body = await readWhole(source, parts, bytes);
    onBytes(body.length, true);
    await rate?.take(body.length, exchange.closed);
    await exchange.sendBody(head, (socket) =>
      body.length === 0 ? Promise.resolve() : written(socket, body),
    );
    return;
  }
  const kernel = zeroCopy ? await loadKernel() : undefined;
  const { closed } = exchange;
  await exchange.sendBody(head, (socket) =>
    sendParts(
      source,
      parts,
      { handle: source.handle, socket, closed, crowded, rate, onBytes },
      kernel,
    ),
  );
}

async function sendParts(
  { handle, identity, lists }: Source,
  parts: readonly BodyPart[],
  file: Outgoing,
  kernel: Kernel | undefined,
): Promise<void> {
  // Only when a list has gone out is the head known to be with the kernel: else it would be overtaken.
  const hasList = parts[0]?.kind === 'list';
  const zeroCopy = kernel === undefined || !hasList ? undefined : ZeroCopySender.open(kernel, file);
  const sender = zeroCopy ?? new StreamSender(file);
  try {
    for (const part of parts) {
      if (part.kind === 'list') {
        // With it all else that was written has been handed to the kernel, and the sender may begin.
        await sendList(lists.list(part.level, part.index), file);
        continue;
      }
      await sender.send(part.first * BLOCK_BYTES, part.bytes);
      // Once in 256 MiB: no use in sending on what the receiver is going to refuse.
      const now = identityOf(await handle.stat({ bigint: true }));
      if (!sameContent(now, identity)) throw new PeerError('ERR_CHANGED', 'the file has changed');
    }
  } finally {
    sender.close();
  }
}

async function sendList(list: Uint8Array, { socket, closed, rate }: Outgoing): Promise<void> {
  for (let at = 0; at < list.length;) {
    const end = at + Math.min(list.length - at, rate?.pieceBytes ?? Infinity);
    await rate?.take(end - at, closed);
    await written(socket, list.subarray(at, end));
    at = end;
  }
}

/** All of a small body, in one piece. */
async function readWhole(
  { handle, lists }: Source,
  parts: readonly BodyPart[],
  bytes: number,
): Promise<Buffer> {
  const body = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const part of parts) {
    if (part.kind === 'list') {
      body.set(lists.list(part.level, part.index), at);
      at += part.bytes;
      continue;
    }
    const end = at + part.bytes;
    let position = part.first * BLOCK_BYTES;
    while (at < end) {
      const { bytesRead } = await handle.read(body, at, end - at, position);
      if (bytesRead === 0) throw new PeerError('ERR_CHANGED', 'the file became shorter');
      at += bytesRead;
      position += bytesRead;
    }
  }
  return body;
}
