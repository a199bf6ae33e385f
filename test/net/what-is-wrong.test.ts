/** PROTOCOL.md, section 2, "When something is wrong": every row of its table, at either end of a connection. */
import { readFileSync } from 'node:fs';
import { encode } from 'cborg';
import t, { type Test } from '../fixtures/tap.js';
import { connect, type Peer } from '../../lib/fetch/peer.js';
import { encodeMessage, type Message } from '../../lib/wire/messages.js';
import { HELLO, ID } from '../fixtures/messages.js';
import { bytesOf, listOf, startIndexed } from '../fixtures/node.js';
import { RawPeer, startFake } from '../fixtures/raw.js';

const PROTOCOL = readFileSync(new URL('../../../lib/wire/PROTOCOL.md', import.meta.url), 'utf8');
const PONG: Message = {
  ...{ type: 'ACKN', of: 'PING', info: { version: 1, id: ID }, files: 0, bytes: 0, state: 'ready' },
};
const PEERS: Message = { type: 'ACKN', of: 'RQLT', peers: [] };
const NO_FILES: Message = { type: 'RPFL', total: 0, files: [] };
const HEAD: Message = { type: 'ACKN', of: 'RQFH', size: 6, offset: 0, length: 6 };
const END: Message = {
  ...{ type: 'ACKN', of: 'RQFS', asked: 0, answered: 0, timedOut: 0, duplicates: 0 },
};
const THIRD: Message = {
  ...{ type: 'TPHF', peer: { id: ID, host: '192.0.2.7', port: 7000 } },
  ...{ query: 'x', hops: 1, total: 0, files: [] },
};

/** Any bytes in a frame of any id. */
function frame(id: string, tag: number, payload: Uint8Array, length = payload.length): Buffer {
  const head = Buffer.alloc(12);
  head.write(id, 'latin1');
  head.writeUInt32BE(tag, 4);
  head.writeUInt32BE(length, 8);
  return Buffer.concat([head, payload]);
}

const node = await startIndexed(t, t.testdir({ hello: 'hello\n' }), { workers: false });

/** A connection to a node that shares `hello`. */
const served = (t: Test): Promise<RawPeer> => RawPeer.to(t, node.address);

/** The request of a client, at the peer that is to answer it. */
async function asked(
  t: Test,
  ask: (client: Peer) => Promise<unknown>,
): Promise<{ peer: RawPeer; tag: number; outcome: Promise<unknown> }> {
  let got: (request: { peer: RawPeer; tag: number }) => void = () => undefined;
  const request = new Promise<{ peer: RawPeer; tag: number }>((resolve) => (got = resolve));
  const { address } = await startFake(t, (socket) => {
    const peer = new RawPeer(socket);
    void (async () => {
      for (let next = await peer.next(); next !== undefined; next = await peer.next()) {
        if (next.message.type !== 'PING') {
          got({ peer, tag: next.tag });
          return;
        }
        peer.send(PONG, next.tag);
      }
    })();
  });
  const client = await connect(address);
  t.teardown(() => client.close());
  const outcome = ask(client).catch((error: unknown) => error);
  return { ...(await request), outcome };
}

const listPeers = (client: Peer): Promise<unknown> => client.listPeers();
const searchPeer = (client: Peer): Promise<unknown> => listOf(client.search('x'));
const searchAll = (client: Peer): Promise<unknown> => listOf(client.searchNetwork('x'));
const fetchAll = (client: Peer): Promise<unknown> => bytesOf(client.fetch(HELLO));

/** It says why, and ends the connection. */
async function ends(t: Test, peer: RawPeer, code = 'ERR_MALFORMED'): Promise<void> {
  t.match(await peer.next(), { tag: 0, message: { type: 'ERRR', code } });
  t.equal(await peer.next(), undefined, 'the end');
}

/** A request after it is answered as ever. */
async function continues(t: Test, peer: RawPeer): Promise<void> {
  t.match(await peer.send({ type: 'RQLT' }, 4000).next(), { tag: 4000, message: PEERS });
}

const ROWS: Record<string, (t: Test) => Promise<void>> = {
  'an `id` that is not four of A-Z 0-9': async (t) => {
    for (const bytes of ['GET/ HTTP/1.1\r\n\r\n', 'ping', '\0\0\0\0']) {
      await ends(t, (await served(t)).raw(bytes));
    }
  },
  '`length` above its limit': async (t) => {
    for (const [id, length] of [
      ...[['RQFS', 65_537] as const, ['RPFL', 1_048_577] as const, ['NEXT', 1_048_577] as const],
    ]) {
      const peer = await served(t);
      await ends(t, peer.raw(frame(id, 1, Buffer.alloc(0), length)), 'ERR_TOO_LARGE');
    }
  },
  'a good `id` that is not known': async (t) => {
    const peer = (await served(t)).raw(frame('NEW9', 7, Buffer.from('not CBOR')));
    t.match(await peer.next(), { tag: 7, message: { type: 'ERRR', code: 'ERR_UNKNOWN_MESSAGE' } });
    await continues(t, peer);
  },
  'a request with tag 0': async (t) => {
    await ends(t, (await served(t)).send({ type: 'RQLT' }, 0));
  },
  'a request whose payload is not as described here': async (t) => {
    const peer = await served(t);
    for (const payload of [encode({}), encode(1), Buffer.from('ff', 'hex'), Buffer.alloc(0)]) {
      peer.raw(frame('RQFH', 8, payload));
      t.match(await peer.next(), { tag: 8, message: { type: 'ERRR', code: 'ERR_MALFORMED' } });
    }
    await continues(t, peer);
  },
  'a request with the tag of another that is unanswered': async (t) => {
    const peer = await served(t);
    peer.raw(Buffer.concat([1, 2].map(() => encodeMessage({ type: 'RQLT' }, 5))));
    for (let i = 0; i < 2; i++) t.match(await peer.next(), { tag: 5, message: PEERS });
    await continues(t, peer);
  },
  'an answer whose payload is not as described here, whatever its tag': async (t) => {
    for (const tag of [0, 1, 9])
      await ends(t, (await served(t)).raw(frame('ACKN', tag, encode({}))));
    const { peer, tag, outcome } = await asked(t, searchPeer);
    await ends(t, peer.raw(frame('RPFL', tag, encode({ n: 1 }))));
    t.match(await outcome, { code: 'ERR_MALFORMED' });
  },
  'an answer that does not belong to the request with its tag: an ACKN of another request; TPHF or ACKN before the RPFL of a search; a second RPFL to a search with `ttl` > 0':
    async (t) => {
      for (const [ask, answers] of [
        [listPeers, [PONG]],
        [listPeers, [NO_FILES]],
        [searchPeer, [PEERS]],
        [searchPeer, [END]],
        [searchAll, [THIRD]],
        [searchAll, [END]],
        [searchAll, [NO_FILES, PEERS]],
        [searchAll, [NO_FILES, NO_FILES]],
        [fetchAll, [NO_FILES]],
      ] as const) {
        const { peer, tag, outcome } = await asked(t, ask);
        for (const answer of answers) peer.send(answer, tag);
        // A search that has begun asks for the neighbours of the peer, too.
        await ends(t, peer);
        t.match(await outcome, { code: 'ERR_MALFORMED' });
      }
    },
  'an ACKN of RQFH with another range than section 4 says': async (t) => {
    for (const head of [
      { ...HEAD, offset: 1, length: 5 },
      { ...HEAD, length: 5 },
    ]) {
      const { peer, tag, outcome } = await asked(t, fetchAll);
      await ends(t, peer.send(head, tag));
      t.match(await outcome, { code: 'ERR_MALFORMED' });
    }
  },
  'an ACKN of RQFH with a tag that is not waiting': async (t) => {
    await ends(t, (await served(t)).send(HEAD, 15));
    const { peer, tag, outcome } = await asked(t, listPeers);
    peer.send(PEERS, tag).send(HEAD, tag);
    t.same(await outcome, []);
    await ends(t, peer);
  },
  'any answer, ERRR included, with a tag from 1 up that was never used on this connection': async (
    t,
  ) => {
    for (const answer of [
      PONG,
      NO_FILES,
      { type: 'ERRR', code: 'ERR_BUSY', message: '' },
    ] as const) {
      await ends(t, (await served(t)).send(answer, 9));
    }
  },
  'an answer other than ERRR with tag 0': async (t) => {
    await ends(t, (await served(t)).send(NO_FILES, 0));
    const remark = { type: 'ERRR', code: 'ERR_INTERNAL', message: 'a remark' } as const;
    await continues(t, (await served(t)).send(remark, 0));
  },
  'any other answer with a tag that is not waiting any more': async (t) => {
    const { peer, tag, outcome } = await asked(t, searchPeer);
    peer.send(NO_FILES, tag).send(NO_FILES, tag).send(PONG, tag);
    peer.send({ type: 'ERRR', code: 'ERR_BUSY', message: 'late' }, tag);
    t.same(await outcome, []);
    peer.send({ type: 'RQFS', query: 'x', ttl: 0 }, 3);
    t.match(await peer.next(), { tag: 3, message: { type: 'ERRR', code: 'ERR_UNSUPPORTED' } });
  },
  'any answer but an ACKN of RQFH that is longer than 65,536 bytes, with a tag that is not waiting':
    async (t) => {
      await continues(t, (await served(t)).raw(frame('RPFL', 5, Buffer.alloc(65_537, 0xff))));
    },
  'a map key that is not known': async (t) => {
    const peer = await served(t);
    peer.raw(frame('RQFS', 2, encode({ q: 'hello', later: [1, { a: null }, true] })));
    t.match(await peer.next(), { tag: 2, message: { type: 'RPFL', total: 1 } });
    const { peer: other, tag, outcome } = await asked(t, searchPeer);
    const file = [Buffer.from(HELLO, 'hex'), 6];
    other.raw(frame('RPFL', tag, encode({ n: 1, files: new Map([['a', file]]), later: 'x' })));
    t.match(await outcome, [{ path: 'a', hash: HELLO, size: 6 }]);
  },
};

t.test('every row is shown', (t) => {
  const [, table = ''] = /^### When something is wrong\n([^]*?)^###? /m.exec(PROTOCOL) ?? [];
  const rows = [...table.matchAll(/^\| (.*?) \| (.*) \|$/gm)].map(([, what]) => what);
  t.same(rows.slice(2), Object.keys(ROWS), 'in the order of the table');
  t.end();
});

for (const [row, show] of Object.entries(ROWS)) t.test(row, show);
