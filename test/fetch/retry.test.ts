/** Trying again: what for, how often, how long it waits, and that it goes on where it was. */
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from '../fixtures/tap.js';
import { PeerError, isTransient } from '../../lib/errors.js';
import { fetchToFile } from '../../lib/fetch/part/fetch-to-file.js';
import type { FetchOptions, FileSource } from '../../lib/fetch/receive/body-receiver.js';
import { BLOCK_BYTES } from '../../lib/wire/body.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { run } from '../fixtures/cli.js';
import { startCountingRelay } from '../fixtures/counting-relay.js';
import { connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { connect } from '../fixtures/transport.js';

const FAST = { backoff: { base: 1, cap: 4 } };

/** A source that fails so often, after some bytes or none, and then does what it should. */
function failing(
  right: FileSource,
  errors: Error[],
  blocksBefore = 0,
): FileSource & { calls: number } {
  const source = {
    calls: 0,
    fetchTo: async (...[hash, sink, options]: Parameters<FileSource['fetchTo']>) => {
      source.calls++;
      const error = errors.shift();
      if (error === undefined) return right.fetchTo(hash, sink, options);
      if (blocksBefore > 0) {
        const some: FetchOptions = { ...options, length: blocksBefore * BLOCK_BYTES };
        await right.fetchTo(hash, sink, { ...some, onHead: undefined }).catch(() => undefined);
      }
      throw error;
    },
  };
  return source;
}

t.test('--retry: what passes is tried again, later and later', async (t) => {
  const folder = t.testdir({ share: {}, out: {} });
  const content = random(20 * BLOCK_BYTES + 5);
  writeFiles(folder, { 'share/f': content });
  const node = await startIndexed(t, join(folder, 'share'));
  const peer = await connectTo(t, node);
  const hash = (await listOf(peer.search('')))[0]?.hash ?? '';
  const out = join(folder, 'out/f');
  const errors = (...codes: PeerError['code'][]): PeerError[] =>
    codes.map((code) => new PeerError(code, code));

  const told: string[] = [];
  const onRetry = ({ code }: PeerError): number => told.push(code);
  const transient = failing(
    peer,
    errors('ERR_CLOSED', 'ERR_BUSY', 'ERR_HASHING', 'ERR_UNREACHABLE'),
  );
  await fetchToFile(transient, hash, out, { ...FAST, retries: 4, onRetry });
  t.same(told, ['ERR_CLOSED', 'ERR_BUSY', 'ERR_HASHING', 'ERR_UNREACHABLE']);
  t.ok(readFileSync(out).equals(content));

  const often = failing(peer, errors('ERR_CLOSED', 'ERR_CLOSED', 'ERR_TIMED_OUT'));
  const given = fetchToFile(often, hash, out, { ...FAST, retries: 2 });
  await t.rejects(given, { code: 'ERR_TIMED_OUT' }, 'not more often than was said');
  t.equal(often.calls, 3);

  for (const code of ['ERR_NOT_FOUND', 'ERR_MISMATCH', 'ERR_RANGE', 'ERR_CHANGED'] as const) {
    const source = failing(peer, errors(code));
    await t.rejects(fetchToFile(source, hash, out, { ...FAST, retries: 9 }), { code });
    t.equal(source.calls, 1, `${code} does not pass`);
  }
  const full = fetchToFile(peer, hash, '/dev/full', {
    ...FAST,
    retries: 9,
    onRetry: () => t.fail(),
  });
  await t.rejects(full, { code: 'ENOSPC' }, 'nor does a full disk');

  const giveUp = new AbortController();
  const waiting = fetchToFile(failing(peer, errors('ERR_BUSY')), hash, out, {
    retries: 1,
    backoff: { base: 1e9 },
    signal: giveUp.signal,
    onRetry: () => {
      giveUp.abort();
    },
  });
  await t.rejects(waiting, { code: 'ERR_ABORTED' });
  t.notOk(
    readdirSync(dirname(out)).some((name) => name.endsWith('.part')),
    'nothing was written',
  );
});

t.test('--retry: bytes that came set the count back', async (t) => {
  const folder = t.testdir({ share: {}, out: {} });
  const content = random(20 * BLOCK_BYTES + 5);
  writeFiles(folder, { 'share/f': content });
  const node = await startIndexed(t, join(folder, 'share'));
  const relay = await startCountingRelay(t, node.address);
  const out = join(folder, 'out/f');
  const direct = await connectTo(t, node);
  const hash = (await listOf(direct.search('')))[0]?.hash ?? '';
  const peer = await connect(relay.address);
  t.teardown(() => peer.close());
  relay.reset();
  let cuts = 0;
  const cutAgain = (): void => {
    relay.at = {
      bytes: relay.bytes + 3 * BLOCK_BYTES,
      then: () => {
        cuts++;
        relay.cut();
        cutAgain();
      },
    };
  };
  cutAgain();
  await fetchToFile(peer, hash, out, { ...FAST, retries: 1 });
  t.ok(readFileSync(out).equals(content));
  t.ok(cuts >= 4, `${cuts} cuts, and one try after each`);
  t.ok(relay.bytes <= content.length + (cuts + 1) * (BLOCK_BYTES + 2000), 'a block each');
  // A pipe goes on, too.
  relay.at = {
    bytes: relay.bytes + 5 * BLOCK_BYTES,
    then: () => {
      relay.cut();
    },
  };
  const args = [`127.0.0.1:${relay.address.port}`, hash, '--offset', '7', '--retry', '3'];
  const piped = await run('p2p-fetch', args);
  t.equal(piped.code, 0);
  t.match(piped.stderr, /^p2p-fetch: [^\n]*; again in \d\.\d s\n$/);
  t.ok(piped.stdout.equals(content.subarray(7)));
});

t.test('which errors are tried again', (t) => {
  const closed = new PeerError('ERR_CLOSED', '');
  t.ok(
    isTransient(new PeerError('ERR_NOT_A_PEER', '', { cause: closed })),
    'ended while it started',
  );
  t.notOk(isTransient(new PeerError('ERR_NOT_A_PEER', '')));
  t.notOk(isTransient(Object.assign(new Error(), { code: 'ENOSPC' })));
  t.end();
});
