/** A real folder with thousands of files, all fetched and compared. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { FULL, size } from '../hostile/sizes.js';
import { bytesOf, connectTo, listOf, startIndexed } from '../fixtures/node.js';

const FOLDER = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const FILES = size(2000, 4000);
/** A part of it is enough. */
const IGNORE = ['.bin', ...(FULL ? [] : ['/[@a-l]*'])];

t.test('every file of it, over a few connections', async (t) => {
  const node = await startIndexed(t, FOLDER, { ignore: IGNORE });
  const peer = await connectTo(t, node);
  const found = await listOf(peer.search('', { max: FILES }));
  t.equal(found.length, FILES);
  const next = found.values();
  let bytes = 0;
  const fetchSome = async (): Promise<void> => {
    for (const { path, hash, size: wanted } of next) {
      const got = await bytesOf(peer.fetch(hash));
      if (got.length !== wanted || !got.equals(readFileSync(join(FOLDER, path)))) {
        throw new Error(`${path} differs`);
      }
      bytes += got.length;
    }
  };
  await Promise.all(Array.from({ length: 32 }, fetchSome));
  t.comment(`${found.length} files, ${bytes} bytes`);
  // The last bytes are there before the call that sent them has told so.
  while (node.stats.sent < FILES) await peer.ping();
  t.equal(node.stats.sent, FILES);
  t.ok(node.stats.connections <= 33, `${node.stats.connections} connections`);
});
