/** Signals while much is under way: SIGTERM to a node, SIGSTOP to either end of a transfer. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { parseAddress } from '../../lib/net/address.js';
import { encodeMessage } from '../../lib/wire/messages.js';
import { writeLarge } from '../fixtures/bytes.js';
import { command, run, serve } from '../fixtures/cli.js';
import { connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { connect } from '../fixtures/socket.js';
import { size } from './sizes.js';

const TRANSFERS = size(30, 100);
/** More than all buffers between two processes hold. */
const LARGE = 32 * 2 ** 20;

t.test(`SIGTERM with ${TRANSFERS} transfers`, async (t) => {
  const folder = t.testdir({ share: {}, state: {} });
  writeLarge(join(folder, 'share/large'), LARGE);
  const hash = (await run('p2p-hash', [join(folder, 'share/large')])).stdout
    .toString()
    .slice(0, 64);
  const args = [join(folder, 'share'), '--state', join(folder, 'state'), '--grace', '2'];
  const { child, peer, indexed, says } = await serve(t, args);
  await indexed;
  const sockets = await Promise.all(
    Array.from({ length: TRANSFERS }, async () => {
      const socket = connect(parseAddress(peer));
      socket.on('error', () => undefined);
      socket.write(encodeMessage({ type: 'RQFH', hash }, 1));
      await once(socket, 'data');
      // Takes no more of the body: it cannot end.
      return socket.pause();
    }),
  );
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  const exited = once(child, 'exit');
  const begin = performance.now();
  child.kill('SIGTERM');
  await says(`stopping: ${TRANSFERS} transfers may take up to 2 s more`);
  t.same(await exited, [0, null]);
  t.comment(`ended after ${((performance.now() - begin) / 1000).toFixed(2)} s, 2 s of them grace`);
});

t.test('SIGSTOP to the client', async (t) => {
  const folder = t.testdir();
  writeLarge(join(folder, 'large'), LARGE);
  const node = await startIndexed(t, folder, { stallTimeout: 400 });
  const other = await connectTo(t, node);
  const [file] = await listOf(other.search('large'));
  const { openConnections } = node.stats;
  const { host, port } = node.address;
  const fetching = spawn(...command('p2p-fetch', [`${host}:${port}`, file?.hash ?? '']), {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(fetching, 'close');
  // Does not read what it writes: it has begun, and cannot end.
  await once(fetching.stdout, 'readable');
  t.equal(node.stats.uploads, 1);
  fetching.kill('SIGSTOP');
  // Dropped, and its place is free; or this never ends.
  while (node.stats.openConnections > openConnections || node.stats.uploads > 0) {
    await other.ping();
  }
  fetching.kill('SIGCONT');
  fetching.stdout.resume();
  const [code] = (await exited) as [number];
  t.not(code, 0, 'and it knows that it has not all');
});

t.test('SIGSTOP to the server', async (t) => {
  const folder = t.testdir({ share: {}, state: {} });
  writeLarge(join(folder, 'share/large'), LARGE);
  const { child, peer, indexed } = await serve(t, [
    join(folder, 'share'),
    ...['--state', join(folder, 'state'), '--up-limit', '2M'],
  ]);
  await indexed;
  t.teardown(() => child.kill('SIGCONT'));
  const client = await connectTo(t, { address: parseAddress(peer) }, { answerTimeout: 400 });
  const [file] = await listOf(client.search('large'));
  const stream = client.fetch(file?.hash ?? '');
  await once(stream, 'readable');
  child.kill('SIGSTOP');
  stream.resume();
  await t.rejects(once(stream, 'end'), { code: 'ERR_TIMED_OUT' });
  child.kill('SIGCONT');
});
