/** The relay that stands for a distance in a benchmark: late by so much, in order, nothing else. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import t from 'tap';
import { DelayLine } from '../../bench/fanout/delay-line.js';
import { DelayingRelay } from '../../bench/fanout/delaying-relay.js';
import { MessageCounter, noMessages } from '../../bench/fanout/message-counter.js';
import { VirtualClock } from '../fixtures/virtual-clock.js';
import { systemClock } from '../../lib/support/clock.js';
import { encodeMessage, type Message } from '../../lib/wire/messages.js';

interface Test {
  teardown(end: () => Promise<void>): void;
}

t.test('each thing is late by as much, and comes after what went in before it', (t) => {
  const clock = new VirtualClock();
  const line = new DelayLine(20, clock);
  const came: [what: string, at: number][] = [];
  for (const [what, at] of Object.entries({ a: 0, b: 0, c: 5, d: 19, e: 20, f: 400 })) {
    clock.after(at, () => {
      line.pass(() => came.push([what, clock.now()]));
    });
  }
  clock.run();
  t.same(came, Object.entries({ a: 20, b: 20, c: 25, d: 39, e: 40, f: 420 }));
  t.end();
});

t.test('a timer that comes early changes nothing', (t) => {
  const clock = new VirtualClock();
  const early = {
    now: () => clock.now(),
    after: (ms: number, action: () => void) => clock.after(Math.max(0.25, ms - 0.5), action),
  };
  const line = new DelayLine(20, early);
  let at = 0;
  line.pass(() => (at = clock.now()));
  clock.run();
  t.equal(at, 20);
  t.end();
});

/** What comes until the other side ends; the socket can still be written to. */
async function allOf(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'end');
  return Buffer.concat(chunks);
}

/** A server of `serve` with a relay in front; a connection through it. */
async function through(
  t: Test,
  serve: (socket: Socket) => void,
): Promise<{ client: Socket; seen: Buffer[] }> {
  const server = createServer({ allowHalfOpen: true }, serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const seen: Buffer[] = [];
  const watch = (chunk: Buffer): void => void seen.push(chunk);
  const relay = new DelayingRelay(new DelayLine(2, systemClock), () => {
    return { forth: watch, back: watch };
  });
  const front = await relay.listen();
  const { port } = server.address() as AddressInfo;
  relay.aim({ host: '127.0.0.1', port });
  const client = connect({ ...front, allowHalfOpen: true });
  t.teardown(async () => {
    client.destroy();
    await relay.close();
    server.close();
    await once(server, 'close');
  });
  await once(client, 'connect');
  return { client, seen };
}

t.test('bytes and ends pass in both directions', async (t) => {
  // Answers only when all is there: an end must pass while the other direction is open.
  const { client, seen } = await through(t, (socket) => {
    void allOf(socket).then((bytes) => socket.end(Buffer.concat([bytes, bytes])));
  });
  const bytes = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => i % 251));
  client.end(bytes);
  const answer = await allOf(client);
  t.ok(answer.equals(Buffer.concat([bytes, bytes])));
  t.equal(
    seen.reduce((sum, { length }) => sum + length, 0),
    3 * bytes.length,
    'all was seen',
  );
});

t.test('a connection that is lost on one side is lost on the other', async (t) => {
  const { client } = await through(t, (socket) => {
    socket.once('data', () => socket.resetAndDestroy());
  });
  client.resume().write('x');
  await once(client, 'end');
  t.pass('it has ended');
});

t.test('a relay that leads nowhere refuses', async (t) => {
  const relay = new DelayingRelay(new DelayLine(1, systemClock), () => {
    throw new Error('there is nothing to watch');
  });
  t.teardown(() => relay.close());
  const client = connect(await relay.listen());
  client.resume();
  await once(client, 'close');
  t.pass('closed');
});

t.test('messages of searches are counted, in both directions, whatever the pieces', (t) => {
  const counts = noMessages();
  const counter = new MessageCounter(counts);
  const search = { type: 'RQFS', query: 'x', ttl: 1 } as const;
  const list = { type: 'RPFL', total: 0, files: [] } as const;
  const none = { asked: 0, answered: 0, timedOut: 0, duplicates: 0 };
  const end = { type: 'ACKN', of: 'RQFS', ...none } as const;
  const peers = { type: 'ACKN', of: 'RQLT', peers: [] } as const;
  const stream = (...messages: [Message, number][]): Buffer =>
    Buffer.concat(messages.map(([message, tag]) => encodeMessage(message, tag)));
  const forth = stream([search, 1], [{ type: 'RQLT' }, 2], [list, 1], [end, 1]);
  const back = stream([search, 1], [list, 1], [peers, 2], [end, 1]);
  for (const byte of forth.subarray(0, encodeMessage(search, 1).length)) {
    counter.forth(Buffer.of(byte));
  }
  counter.back(back);
  counter.forth(forth.subarray(encodeMessage(search, 1).length));
  const bytes = 2 * stream([search, 1], [list, 1], [end, 1]).length;
  t.same(counts, { RQFS: 2, RPFL: 2, TPHF: 0, ACKN: 2, bytes });
  t.end();
});
