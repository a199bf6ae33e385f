/**
 * A file that is truncated, replaced, overwritten with the same mtime, deleted or made unreadable while it
 * is sent: a fetch never gets a wrong byte for a right one, and the node stays clean and sees it.
 */
import { once } from 'node:events';
import {
  closeSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import t from '../fixtures/tap.js';
import type { Peer } from '../../lib/fetch/peer.js';
import { PeerError, asError } from '../../lib/errors.js';
import type { PeerNode } from '../../lib/node.js';
import { random, seeded } from '../fixtures/bytes.js';
import { listOf, startIndexed } from '../fixtures/node.js';
import { size } from './sizes.js';
import { connect } from '../fixtures/transport.js';

const BYTES = 3_000_000;

/** What is done to a file, and whether a file with new content stands there then. */
const HARMS: Record<string, (file: string, fresh: Buffer) => boolean> = {
  truncated: (file) => {
    truncateSync(file, Math.floor(BYTES / 2));
    return true;
  },
  replaced: (file, fresh) => {
    writeFileSync(`${file}.new`, fresh);
    renameSync(`${file}.new`, file);
    return true;
  },
  'overwritten in place': (file, fresh) => {
    overwrite(file, fresh);
    return true;
  },
  'overwritten with the same mtime': (file, fresh) => {
    const { atime, mtime } = statSync(file);
    overwrite(file, fresh);
    utimesSync(file, atime, mtime);
    return true;
  },
  deleted: (file) => {
    rmSync(file);
    return false;
  },
  // As whoever may read everything, too.
  'made unreadable': (file) => {
    rmSync(file);
    symlinkSync('/dev/null', file);
    return false;
  },
};

function overwrite(file: string, bytes: Buffer): void {
  const fd = openSync(file, 'r+');
  writeSync(fd, bytes, 0, bytes.length, 0);
  closeSync(fd);
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

/** Fetch a file, and do harm once when its first bytes are here. @returns what came, and the error */
async function fetchHarmed(
  peer: Peer,
  hash: string,
  harm: () => void,
): Promise<{ bytes: Buffer; error: unknown }> {
  const chunks: Buffer[] = [];
  let harmed = false;
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(Buffer.from(chunk));
      if (!harmed) harm();
      harmed = true;
      // Not before what is waiting has been read and sent, or not.
      setImmediate(done);
    },
  });
  const error: unknown = await pipeline(peer.fetch(hash), sink).catch((thrown: unknown) => thrown);
  return { bytes: Buffer.concat(chunks), error };
}

/** Resolves when the node offers so many bytes under the name (undefined: nothing), but not these. */
async function offers(
  node: PeerNode,
  peer: Peer,
  wanted: number | undefined,
  not?: string,
): Promise<string> {
  for (;;) {
    const settled = once(node, 'settled');
    node.rescan();
    await settled;
    const [found] = await listOf(peer.search('film'));
    if (found?.size === wanted && (not === undefined || found?.hash !== not))
      return found?.hash ?? '';
  }
}

for (const sendfile of [true, false]) {
  t.test(`while it is sent by ${sendfile ? 'sendfile' : 'a stream'}`, async (t) => {
    const share = t.testdir();
    const file = join(share, 'film');
    writeFileSync(file, random(BYTES));
    const node = await startIndexed(t, share, { sendfile, workers: false });
    const warnings: string[] = [];
    node.on('warning', ({ path, reason }) => warnings.push(`${path}: ${reason}`));
    const peer = await connect(node.address);
    t.teardown(() => peer.close());
    const next = seeded(6);
    let before = 0;
    for (const [kind, harm] of Object.entries(HARMS)) {
      const outcomes = { whole: 0, refused: 0, wrong: 0 };
      for (let i = 0; i < size(10, 500); i++) {
        const content = random(BYTES);
        rmSync(file, { force: true });
        writeFileSync(file, content);
        // A time that it had never before.
        utimesSync(file, 1000 + i, 1_000_000 + next() * 1_000_000);
        const hash = await offers(node, peer, BYTES);
        if (before === 0) before = descriptors();
        const fresh = random(BYTES);
        let isOther = false;
        // Half of them before anything is read.
        const early = i % 2 === 0;
        if (early) isOther = harm(file, fresh);
        const { bytes, error } = await fetchHarmed(peer, hash, () => {
          if (!early) isOther = harm(file, fresh);
        });
        const right = content.subarray(0, bytes.length).equals(bytes);
        if (!right) outcomes.wrong++;
        else if (error === undefined) outcomes.whole += bytes.length === BYTES ? 1 : 1000;
        else if (error instanceof PeerError) outcomes.refused++;
        else throw asError(error);
        const now = isOther || statSync(file, { throwIfNoEntry: false })?.isFile() === true;
        const wanted = now ? statSync(file).size : undefined;
        await offers(node, peer, wanted, isOther ? hash : undefined);
      }
      t.match(outcomes, { wrong: 0 }, `${kind}: ${JSON.stringify(outcomes)}`);
      t.equal(outcomes.whole + outcomes.refused, size(10, 500));
    }
    t.ok(descriptors() <= before + 2, `${descriptors()} descriptors, ${before} before`);
    t.same(
      warnings.filter((warning) => warning.includes('internal')),
      [],
    );
  });
}
