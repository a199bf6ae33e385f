/** The body of an answer to RQFH: the block tree of a range, out of the file and the kept lists. */
import type { FileHandle } from 'node:fs/promises';
import { identityOf, sameContent, type FileIdentity } from '../disk/open.js';
import { PeerError } from '../errors.js';
import type { Lists } from '../hash/tree.js';
import type { Exchange } from '../net/exchange.js';
import { BLOCK_BYTES, bodyBytes, bodyParts, type BodyPart } from '../wire/body.js';
import type { FileHead } from '../wire/messages.js';
import type { ClientRate } from '../limits/rate-limiter.js';
import { StreamSender, ZeroCopySender, written, type Outgoing } from './range-sender.js';
import { loadKernel, type Kernel } from './sendfile.js';

/** A file open for reading, what it was when it was hashed, and the lists of its tree. */
export interface HashedFile {
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
  /** Told how many bytes of the file have been sent: `copied`, or by the kernel. */
  onBytes: (bytes: number, copied: boolean) => void;
}

/**
 * Send the head and its body, when it is the request's turn, in pieces: as many bytes at a time as the
 * budget and the rate allow.
 *
 * @throws PeerError ERR_CHANGED, which ends the connection, when the file changes or shrinks while it is sent
 */
export async function sendInPieces(
  exchange: Exchange,
  head: FileHead,
  source: HashedFile,
  { zeroCopy, crowded, rate, onBytes }: SendOptions,
): Promise<void> {
  const parts = [...bodyParts(head.size, head.offset, head.length)];
  const kernel = zeroCopy ? await loadKernel() : undefined;
  const { closed, account } = exchange;
  await exchange.sendBody(head, (socket) =>
    sendParts(
      source,
      parts,
      { handle: source.handle, socket, closed, account, crowded, rate, onBytes },
      kernel,
    ),
  );
}

const NOTHING = new Uint8Array(0);

async function sendParts(
  { handle, identity, lists }: HashedFile,
  parts: readonly BodyPart[],
  file: Outgoing,
  kernel: Kernel | undefined,
): Promise<void> {
  // The head must be with the kernel first, or what is sent without a copy would overtake it.
  if (parts[0]?.kind !== 'list') await written(file.socket, NOTHING);
  const zeroCopy = kernel === undefined ? undefined : ZeroCopySender.open(kernel, file);
  const sender = zeroCopy ?? new StreamSender(kernel, file);
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

async function sendList(list: Uint8Array, file: Outgoing): Promise<void> {
  const { socket, closed, account, rate } = file;
  for (let at = 0; at < list.length;) {
    const bytes = Math.min(list.length - at, rate?.pieceBytes ?? Infinity);
    await rate?.take(bytes, closed);
    account.add(bytes);
    try {
      await written(socket, list.subarray(at, at + bytes));
    } finally {
      account.give(bytes);
    }
    at += bytes;
  }
}

/** All of a short body, in one piece. @throws PeerError ERR_CHANGED when the file became shorter */
export async function readWhole(
  { size, offset, length }: FileHead,
  { handle, lists }: HashedFile,
): Promise<Buffer> {
  // Memory of its own: it may wait for long, and keeps no larger piece.
  const body = Buffer.allocUnsafeSlow(bodyBytes(size, offset, length));
  let at = 0;
  for (const part of bodyParts(size, offset, length)) {
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
