/** p2p-search and Peer.search against a peer that hangs, drips or never ends: a deadline, a cap of bytes. */
import t from 'tap';
import { connect } from '../../lib/fetch/peer.js';
import type { PeerAddress } from '../../lib/net/address.js';
import { encodeMessage } from '../../lib/wire/messages.js';
import { run } from '../fixtures/cli.js';
import { listOf } from '../fixtures/node.js';
import { RawPeer, startFake } from '../fixtures/raw.js';

const INFO = { version: 1, agent: 'fake' };
const PONG = { type: 'ACKN', of: 'PING', info: INFO, files: 1, bytes: 1, state: 'ready' } as const;

/** Answers PING, and every search as `answer` says. */
async function startPeer(
  t: { teardown(end: () => Promise<void>): void },
  answer: (peer: RawPeer, tag: number, count: number) => void,
): Promise<PeerAddress> {
  const { address } = await startFake(t, (socket) => {
    const peer = new RawPeer(socket);
    let searches = 0;
    void (async () => {
      for (let got = await peer.next(); got !== undefined; got = await peer.next()) {
        if (got.message.type === 'PING') peer.send(PONG, got.tag);
        else answer(peer, got.tag, searches++);
      }
    })();
  });
  return address;
}

/** A page of 1,000 files. */
function page(count: number): Parameters<typeof encodeMessage>[0] {
  const files = Array.from({ length: 1000 }, (_, i) => ({
    path: `${count}-${i}-${'x'.repeat(200)}`,
    hash: 'a'.repeat(64),
    size: 1,
  }));
  return { type: 'RPFL', total: 1e6, files, after: Buffer.from(String(count)) };
}

/** Sends a long frame a byte at a time. */
function drip(peer: RawPeer, tag: number, count: number): void {
  // What comes of two answers must not be mixed.
  if (count > 0) return;
  const bytes = encodeMessage(page(0), tag);
  let at = 0;
  const timer = setInterval(() => {
    peer.raw(bytes.subarray(at, ++at));
    if (peer.ended) clearInterval(timer);
  }, 20);
}

t.test('a search ends in time, whatever the peer does', async (t) => {
  for (const [what, answer] of Object.entries({ hangs: () => undefined, drips: drip })) {
    const address = await startPeer(t, answer);
    const name = `127.0.0.1:${address.port}`;
    for (const ttl of ['0', '4']) {
      const result = await run('p2p-search', [name, 'x', '--timeout', '0.5', '--ttl', ttl]);
      t.equal(result.code, 4, `${what}, --ttl ${ttl}`);
      t.match(
        result.stderr,
        /^p2p-search: [\d.:]+ did not list all its matches within 0\.\d+ s\n$/,
      );
    }
    const peer = await connect(address);
    const search = listOf(peer.search('', { timeout: 50 }));
    await t.rejects(search, { code: 'ERR_TIMED_OUT' }, `${what}: the library`);
    await peer.close();
  }
  const { address } = await startFake(t, () => undefined);
  const result = await run('p2p-search', [`127.0.0.1:${address.port}`, 'x', '--timeout', '0.5']);
  t.match(
    result,
    { code: 4, stderr: /did not answer within 0.5 s\n$/ },
    'a peer that says nothing',
  );
});

t.test('a search takes so many bytes, and no more', async (t) => {
  let pages = 0;
  const address = await startPeer(t, (peer, tag, count) => {
    pages++;
    peer.send(page(count), tag);
  });
  const peer = await connect(address);
  const search = listOf(peer.search('', { maxBytes: 2_000_000 }));
  await t.rejects(search, { code: 'ERR_TOO_LARGE', message: /more than 2000000 bytes/ });
  t.equal(pages, 7, 'pages of 300,000 bytes');
  t.equal((await listOf(peer.search('', { max: 1500 }))).length, 1500);
  await peer.close();
});
