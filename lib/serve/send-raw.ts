/** Bytes of a file as they are, without the lists of its tree: for a client that does not verify them. */
import { identityOf, sameContent } from '../disk/open.js';
import { PeerError } from '../errors.js';
import { StreamSender, ZeroCopySender, written, type Outgoing } from './range-sender.js';
import type { HashedFile } from './send-file.js';
import { loadKernel } from './sendfile.js';

/** Sends a range of a file; what was written to the socket before goes first. */
export type SendRange = (position: number, length: number) => Promise<void>;

/** Bytes after which it is looked whether the file is still the one that was hashed. */
const CHECK_EVERY = 256 * 1024 * 1024;
/** The last bytes of a range are sent only after a look: a client that has all of them takes them for right. */
const LAST_BYTES = 16 * 1024;

const NOTHING = new Uint8Array(0);

/**
 * Give `write` what it needs to send ranges of a file.
 *
 * @throws PeerError ERR_CHANGED when the file changes or shrinks while it is sent
 */
export async function sendRaw(
  { handle, identity }: Pick<HashedFile, 'handle' | 'identity'>,
  file: Omit<Outgoing, 'handle'>,
  zeroCopy: boolean,
  write: (send: SendRange) => Promise<void>,
): Promise<void> {
  const kernel = zeroCopy && file.see === undefined ? await loadKernel() : undefined;
  const outgoing = { ...file, handle };
  const sender =
    (kernel === undefined ? undefined : ZeroCopySender.open(kernel, outgoing)) ??
    new StreamSender(kernel, outgoing);
  const check = async (): Promise<void> => {
    const now = identityOf(await handle.stat({ bigint: true }));
    if (!sameContent(now, identity)) throw new PeerError('ERR_CHANGED', 'the file has changed');
  };
  try {
    await write(async (position, length) => {
      // What is sent without a copy overtakes what Node still keeps.
      await written(file.socket, NOTHING);
      const end = position + length;
      for (let at = position; at < end;) {
        const left = end - at;
        const bytes = left > LAST_BYTES ? Math.min(CHECK_EVERY, left - LAST_BYTES) : left;
        if (at > position) await check();
        await sender.send(at, bytes);
        at += bytes;
      }
    });
  } finally {
    sender.close();
  }
}
