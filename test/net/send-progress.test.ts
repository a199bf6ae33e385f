/** A peer that takes nothing is seen, one that takes little is not; and what the kernel tells of it. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import t from 'tap';
import { VirtualClock } from '../fixtures/virtual-clock.js';
import { kernelQueue } from '../../lib/net/kernel-queue.js';
import { Deadline } from '../../lib/net/deadline.js';
import { SendProgress } from '../../lib/net/send-progress.js';

/** What the watch looks at of a socket. */
function watched({ busy = false }: { busy?: boolean } = {}) {
  const clock = new VirtualClock();
  const socket = { writableLength: 0, bytesWritten: 0, _handle: { writeQueueSize: 0 } };
  const state = {
    busy,
    stalledAt: undefined as number | undefined,
    inKernel: undefined as number | undefined,
  };
  const sending = new SendProgress(
    socket as unknown as Socket,
    () => state.busy,
    () => Promise.resolve(state.inKernel),
  );
  const deadline = new Deadline({
    timeout: 48_000,
    clock,
    look: sending.look,
    onExpired: () => {
      state.stalledAt = clock.now();
    },
  });
  const write = (bytes: number): void => {
    socket.bytesWritten += bytes;
    socket.writableLength += bytes;
    socket._handle.writeQueueSize = bytes;
    if (!deadline.running) sending.begin();
    deadline.start();
  };
  /** Let so many seconds pass, with all that is looked at. */
  const pass = async (seconds: number, each: () => void = () => undefined): Promise<void> => {
    for (let i = 0; i < seconds; i++) {
      each();
      clock.run(clock.now() + 1000);
      for (let turn = 0; turn < 6; turn++) await Promise.resolve();
    }
  };
  return { clock, socket, state, deadline, write, pass };
}

t.test('nothing leaves', async (t) => {
  const { state, write, pass } = watched();
  write(1000);
  await pass(47);
  t.equal(state.stalledAt, undefined);
  await pass(20);
  t.equal(state.stalledAt, 49_000);
});

t.test('more is written, and nothing leaves', async (t) => {
  const { state, socket, write, pass } = watched();
  write(1000);
  await pass(60, () => {
    socket.bytesWritten += 10;
    socket.writableLength += 10;
  });
  t.equal(state.stalledAt, 49_000, 'what is added is no progress');
});

t.test('a single write goes out slowly', async (t) => {
  const { state, socket, write, pass } = watched();
  write(1_000_000);
  let second = 0;
  await pass(500, () => {
    if (second++ % 30 === 0) socket._handle.writeQueueSize -= 1000;
  });
  t.equal(state.stalledAt, undefined);
  await pass(70);
  t.type(state.stalledAt, 'number', 'then no more');
});

t.test('only the kernel sees that something is taken', async (t) => {
  const { state, write, pass } = watched();
  write(1000);
  let kernel = 4_000_000;
  await pass(500, () => {
    state.inKernel = kernel;
    kernel -= 100;
  });
  t.equal(state.stalledAt, undefined);
  await pass(60);
  t.type(state.stalledAt, 'number');
});

t.test('all of it is with the kernel, and stays there', async (t) => {
  const { state, socket, write, pass } = watched();
  write(1000);
  socket.writableLength = socket._handle.writeQueueSize = 0;
  state.inKernel = 1000;
  await pass(60);
  t.type(state.stalledAt, 'number');
});

t.test('nothing waits', async (t) => {
  const idle = watched();
  idle.write(1000);
  idle.socket.writableLength = 0;
  idle.state.inKernel = 0;
  await idle.pass(500);
  t.equal(idle.state.stalledAt, undefined, 'all of it went out');
  idle.write(1000);
  await idle.pass(60);
  t.equal(idle.state.stalledAt, 549_000, 'watched anew');

  const limited = watched({ busy: true });
  limited.write(0);
  await limited.pass(500);
  t.equal(limited.state.stalledAt, undefined, 'a body that waits for its turn here');
  limited.socket.bytesWritten += 1000;
  limited.socket.writableLength += 1000;
  await limited.pass(60);
  t.type(limited.state.stalledAt, 'number', 'whose next bytes nobody told of');

  const stopped = watched();
  stopped.write(1000);
  stopped.deadline.close();
  await stopped.pass(100);
  stopped.deadline.start();
  await stopped.pass(100);
  t.equal(stopped.state.stalledAt, undefined);
});

for (const [listen, to, family] of [
  ['127.0.0.1', '127.0.0.1', 'IPv4'],
  ['::1', '::1', 'IPv6'],
  ['::', '127.0.0.1', 'IPv4 at a socket for both'],
] as const) {
  t.test(
    `what the kernel holds: ${family}`,
    { skip: process.platform === 'linux' ? false : 'not known here' },
    async (t) => {
      const server = createServer().listen(0, listen);
      await once(server, 'listening').catch(() => undefined);
      if (!server.listening) {
        t.pass('no such address here');
        return;
      }
      const accepted = once(server, 'connection') as Promise<[Socket]>;
      const client = connect({ host: to, port: (server.address() as AddressInfo).port });
      const [socket] = await accepted;
      t.equal(await kernelQueue(socket), 0);
      client.pause();
      const chunk = Buffer.alloc(1024 * 1024);
      // Until the kernel takes no more.
      while (socket.write(chunk) || socket.writableLength < 16 * chunk.length);
      const first = (await kernelQueue(socket)) ?? 0;
      t.ok(first > 0, `${first} bytes`);
      t.equal(await kernelQueue(client), 0, 'the other direction');
      let read = 0;
      client.on('data', (bytes: Buffer) => (read += bytes.length));
      socket.end();
      client.resume();
      await once(client, 'end');
      t.equal(read, socket.bytesWritten);
      client.destroy();
      t.equal(await kernelQueue(client), undefined, 'no connection any more');
      server.close();
    },
  );
}
