/**
 * Listings and peer lists are computed only as far as the budget for bytes to be sent goes: clients that ask for
 * many and read none cost little, another client is served meanwhile, and every answer comes once it is read.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t from 'tap';
import { ByteBudget } from '../../lib/limits/byte-budget.js';
import { Connection } from '../../lib/net/connection.js';
import type { Neighbours } from '../../lib/peers/neighbours.js';
import { answerRequests } from '../../lib/requests.js';
import { NodeSearch } from '../../lib/search/node-search.js';
import type { Share } from '../../lib/share/share.js';
import type { Uploads } from '../../lib/serve/uploads.js';
import { FrameDecoder } from '../../lib/wire/frame.js';
import { encodeMessage, type FileList, type Request } from '../../lib/wire/messages.js';
import { HELLO, ID } from '../fixtures/messages.js';
import { startFake } from '../fixtures/raw.js';

/** Bytes of the budget, connections that read nothing, and bytes that each asks for: more than the kernel buffers. */
const BUDGET = 1024 * 1024;
const CONNECTIONS = 4;
const ASKED = 12 * 1024 * 1024;

const page: FileList = {
  type: 'RPFL',
  total: 100,
  files: Array.from({ length: 100 }, (_, i) => ({
    hash: HELLO,
    size: i,
    path: `${'x'.repeat(2500)}${i}`,
  })),
};
const peers = Array.from({ length: 50 }, (_, i) => ({
  id: ID,
  host: `${'h'.repeat(240)}${i}`,
  port: 7000,
  seen: 0,
}));

/** Answers from a share and a peer list that are always the same. */
function answering(): ReturnType<typeof answerRequests> {
  const searches = new NodeSearch({
    self: { id: ID, host: '127.0.0.1', port: 7000 },
    links: () => [],
    keyOf: () => undefined,
    peerIdsOf: () => Promise.resolve(new Set()),
    answer: ({ max = 100 }, _client, then) => {
      then({ ...page, files: page.files.slice(0, max) });
      return Promise.resolve();
    },
    onError: (error) => {
      throw error;
    },
  });
  return answerRequests({
    share: undefined as unknown as Share,
    uploads: undefined as unknown as Uploads,
    neighbours: () => ({ list: () => peers }) as unknown as Neighbours,
    searches: () => searches,
    isFinishing: () => false,
  });
}

/** Reads answers, from now on until so many have come. */
async function readAnswers(socket: Socket, count: number): Promise<void> {
  const decoder = new FrameDecoder(() => true);
  let read = 0;
  while (read < count) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    for (let rest = chunk; rest.length > 0;) {
      const { used, frame } = decoder.write(rest);
      rest = rest.subarray(used);
      if (frame !== undefined) read++;
    }
  }
}

/** Each kind of request, and about how many bytes its answer has. */
const KINDS: Record<string, [request: () => Request, bytes: number]> = {
  'peer lists': [() => ({ type: 'RQLT', max: 50 }), 15_000],
  listings: [() => ({ type: 'RQFS', query: '', ttl: 0 }), 255_000],
  'listings of searches with ids': [
    () => ({ type: 'RQFS', query: '', ttl: 0, queryId: randomBytes(16).toString('hex') }),
    255_000,
  ],
};

for (const [name, [request, bytes]] of Object.entries(KINDS)) {
  t.test(name, async (t) => {
    const budget = new ByteBudget(BUDGET);
    const handler = answering();
    let most = 0;
    const { address } = await startFake(t, (socket) => {
      const connection = new Connection(socket, {
        handler: async (...args) => {
          await handler(...args);
          most = Math.max(most, budget.used);
        },
        name: 'client',
        answerTimeout: 60_000,
        sendBudget: budget,
      });
      connection.readEvents();
    });
    const count = Math.ceil(ASKED / bytes);
    const greedy = Array.from({ length: CONNECTIONS }, () =>
      connect({ ...address, localAddress: '127.0.0.2' }),
    );
    const frames = Buffer.concat(
      Array.from({ length: count }, (_, i) => encodeMessage(request(), 1 + (i % 200))),
    );
    for (const socket of greedy) {
      t.teardown(() => socket.destroy());
      await once(socket, 'connect');
      socket.write(frames);
    }
    // Another client gets as many answers, one after the other.
    const other = connect(address);
    t.teardown(() => other.destroy());
    for (let i = 1; i <= 20; i++) {
      other.write(encodeMessage(request(), i));
      await readAnswers(other, 1);
    }
    const unread = budget.used;
    await Promise.all(greedy.map((socket) => readAnswers(socket, count)));
    t.comment(`${name}: ${unread} bytes while nobody read, ${most} at most`);
    t.ok(most <= BUDGET + (CONNECTIONS + 1) * 1.2 * bytes, `${most} bytes in memory at most`);
    while (budget.used > 0) await new Promise(setImmediate);
    t.equal(budget.used, 0);
  });
}
