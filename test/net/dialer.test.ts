/** A host with several addresses: one that does not answer costs a quarter of a second, and none is given up. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { ATTEMPT_DELAY, dial } from '../../lib/net/dialer.js';

const options = {
  handler: () => undefined,
  connectTimeout: 20_000,
  answerTimeout: 10_000,
};

/** Listens with a queue of one, and accepts nobody before it is told to. */
const SILENT = `
  const { readSync, writeSync } = require('node:fs');
  const server = require('node:net').createServer().listen(0, process.argv[1], 1, () => {
    writeSync(1, String(server.address().port));
    readSync(0, Buffer.alloc(1));
  });
`;

/** An address at which the kernel drops connections, until `accept`. */
async function silent(t: Test, host: string) {
  const child = spawn(process.execPath, ['-e', SILENT, host], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
  const port = Number(chunk);
  // The queue is full when one more gets no answer; the connections before it were taken.
  const sockets = Array.from({ length: 2 }, () => connect(port, host));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy();
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  return { port, accept: () => child.stdin.write('x') };
}

t.test('a dead address before a live one', async (t) => {
  const { port } = await silent(t, '127.0.0.2');
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const begin = performance.now();
  const resolve = () => Promise.resolve(['127.0.0.2', '127.0.0.1']);
  const connection = await dial({ host: 'peer.example', port }, { ...options, resolve });
  t.equal(connection.remoteHost, '127.0.0.1');
  t.equal(connection.name, `peer.example:${port}`);
  t.ok(performance.now() - begin >= ATTEMPT_DELAY - 1, 'the first has its time');
  connection.destroy();
});

t.test('an attempt goes on when the next ones begin', async (t) => {
  const { port, accept } = await silent(t, '127.0.0.2');
  const resolve = () => Promise.resolve(['127.0.0.2', '127.0.0.3']);
  const dialing = dial({ host: 'peer.example', port }, { ...options, resolve });
  // By now the next has been tried, and refused. The kernel asks again after a second.
  const timer = setTimeout(accept, 2 * ATTEMPT_DELAY);
  const connection = await dialing;
  clearTimeout(timer);
  t.equal(connection.remoteHost, '127.0.0.2');
  connection.destroy();
});

t.test('addresses that refuse are passed over at once; the last error is told', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const to = (...hosts: string[]) =>
    dial({ host: 'peer.example', port }, { ...options, resolve: () => Promise.resolve(hosts) });
  // None of these listens: each is refused at once, however many there are.
  const connection = await to('127.0.0.2', '127.0.0.3', '::1', '127.0.0.1');
  t.equal(connection.remoteHost, '127.0.0.1');
  connection.destroy();
  server.close();
  await once(server, 'close');
  await t.rejects(to('127.0.0.1', '127.0.0.2'), {
    code: 'ERR_UNREACHABLE',
    message: `peer.example:${port}: connection refused`,
  });
  const fail = (): Promise<string[]> =>
    Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' }));
  await t.rejects(dial({ host: 'x', port }, { ...options, resolve: fail }), {
    code: 'ERR_UNREACHABLE',
    message: `x:${port}: no such host`,
  });
});

t.test('given up', async (t) => {
  const { port } = await silent(t, '127.0.0.2');
  const address = { host: '127.0.0.2', port };
  await t.rejects(dial(address, { ...options, connectTimeout: 50 }), {
    code: 'ERR_TIMED_OUT',
    message: `127.0.0.2:${port}: no connection within 0.05 s`,
  });
  const abort = new AbortController();
  const dialing = dial(address, { ...options, signal: abort.signal });
  abort.abort();
  await t.rejects(dialing, { code: 'ERR_ABORTED' });
  let resolved: (hosts: string[]) => void = () => undefined;
  const resolve = () => new Promise<string[]>((done) => (resolved = done));
  await t.rejects(dial(address, { ...options, resolve, connectTimeout: 10 }), {
    code: 'ERR_TIMED_OUT',
  });
  resolved(['127.0.0.1']);
});
