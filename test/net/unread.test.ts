/** Whatever waits to be written is under the stall deadline: a client that reads nothing holds nothing for long. */
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import t from '../fixtures/tap.js';
import type { PeerNode } from '../../lib/node.js';
import type { Message } from '../../lib/wire/messages.js';
import { random, writeFiles, writeLarge } from '../fixtures/bytes.js';
import { bytesOf, connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { RawPeer } from '../fixtures/raw.js';

/** Sends 250 requests, and reads nothing. */
async function askAndReadNothing(t: Test, node: PeerNode, request: Message): Promise<void> {
  const peer = await RawPeer.to(t, node.address);
  peer.socket.pause();
  for (let tag = 1; tag <= 250; tag++) peer.send(request, tag);
}
type Test = Parameters<typeof RawPeer.to>[0];

t.test('the one slot of a client that reads nothing is given to the next', async (t) => {
  const folder = t.testdir();
  writeFiles(folder, { small: random(32_000) });
  writeLarge(join(folder, 'large'), 20 * 2 ** 20);
  const node = await startIndexed(t, folder, { stallTimeout: 600, maxUploads: 1 });
  for (const { path, hash } of await listOf((await connectTo(t, node)).search(''))) {
    const client = await connectTo(t, node);
    await askAndReadNothing(t, node, { type: 'RQFH', hash });
    // It waits until there is a slot, for 20 s at most.
    t.ok((await bytesOf(client.fetch(hash))).length > 0, path);
    await client.close();
    // That of the search is left, which is not closed.
    while (node.stats.openConnections > 1) await turn();
    t.pass('and its place is free');
  }
});

t.test('the place of a client that reads no pages', async (t) => {
  const folder = t.testdir();
  const names = Array.from({ length: 400 }, (_, i) => `${'long name '.repeat(12)}${i}`);
  writeFiles(folder, Object.fromEntries(names.map((name) => [name, ''])));
  const node = await startIndexed(t, folder, { stallTimeout: 600 });
  const client = await connectTo(t, node);
  await askAndReadNothing(t, node, { type: 'RQFS', query: '', ttl: 0 });
  while (node.stats.connections < 2) await turn();
  await client.close();
  while (node.stats.openConnections > 0) await turn();
  t.pass('is free');
});
