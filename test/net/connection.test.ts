/** A connection's rules, seen by a peer that keeps to none, on either end. */
import { once } from 'node:events';
import { join } from 'node:path';
import { PeerError } from '../../lib/errors.js';
import t from '../fixtures/tap.js';
import { connect } from '../../lib/fetch/peer.js';
import { dial } from '../../lib/net/dialer.js';
import { encodeMessage, type Message } from '../../lib/wire/messages.js';
import { random, writeFiles, writeLarge } from '../fixtures/bytes.js';
import { HELLO, ID } from '../fixtures/messages.js';
import { bytesOf, connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { RawPeer, startFake } from '../fixtures/raw.js';

const ping: Message = { type: 'PING', info: { version: 1 } };
const pong: Message = {
  type: 'ACKN',
  of: 'PING',
  info: { version: 1, id: ID },
  files: 0,
  bytes: 0,
  state: 'ready',
};

t.test('what a node answers', async (t) => {
  const node = await startIndexed(t, t.testdir({ hello: 'hello\n' }));
  const peer = await RawPeer.to(t, node.address);
  peer.send({ type: 'PING', info: { version: 2 } }, 10);
  t.match(await peer.next(), { tag: 10, message: { code: 'ERR_UNSUPPORTED' } });
  peer.send({ type: 'RQLT' }, 11);
  t.match(await peer.next(), { tag: 11, message: { of: 'RQLT', peers: [] } });
  peer.send({ type: 'RQFS', query: 'HELL', ttl: 3 }, 12);
  t.match(await peer.next(), { tag: 12, message: { type: 'RPFL', total: 1 } });
  t.match(await peer.next(), { tag: 12, message: { of: 'RQFS', asked: 0 } });
  peer.send({ type: 'RQFH', hash: HELLO, offset: 6 }, 13);
  t.match(await peer.next(), { tag: 13, message: { code: 'ERR_RANGE' } });
  peer.send({ type: 'RQFH', hash: HELLO, offset: 1, length: 2 }, 14);
  t.match(await peer.next(), { tag: 14, message: { size: 6, offset: 1, length: 2 } });
  peer.expectBody(6);
  t.equal((await peer.body()).toString(), 'hello\n', 'the whole block: the receiver trims');
});

t.test('every frame byte by byte', async (t) => {
  const node = await startIndexed(t, t.testdir({ hello: 'hello\n' }));
  const peer = await RawPeer.to(t, node.address);
  const bytes = Buffer.concat([
    encodeMessage(ping, 1),
    encodeMessage({ type: 'RQFS', query: 'hello', ttl: 0 }, 2),
    encodeMessage({ type: 'RQFH', hash: HELLO }, 3),
    encodeMessage(ping, 4),
  ]);
  for (const byte of bytes) {
    await new Promise((resolve) => peer.socket.write(Uint8Array.of(byte), resolve));
  }
  // Answers may come in any order; but none inside the body of another.
  const kinds: string[] = [];
  while (kinds.length < 4) {
    const { tag, message } = (await peer.next()) ?? {};
    kinds.push(`${tag} ${message?.type}`);
    if (tag !== 3) continue;
    peer.expectBody(6);
    t.equal((await peer.body()).toString(), 'hello\n');
  }
  t.same(kinds.sort(), ['1 ACKN', '2 RPFL', '3 ACKN', '4 ACKN']);
});

t.test('a side that has sent all requests still gets the answers', async (t) => {
  const folder = t.testdir();
  writeLarge(join(folder, 'large'), 20 * 2 ** 20);
  const node = await startIndexed(t, folder);
  const client = await connectTo(t, node);
  const [found] = await listOf(client.search(''));
  const peer = await RawPeer.to(t, node.address);
  peer.send({ type: 'RQFH', hash: found?.hash ?? '' }, 1);
  peer.socket.end();
  t.match(await peer.next(), { tag: 1, message: { of: 'RQFH', size: 20 * 2 ** 20 } });
  peer.expectBody(20 * 2 ** 20 + 80 * 32);
  t.equal((await peer.body()).length, 20 * 2 ** 20 + 80 * 32);
  t.equal(await peer.next(), undefined, 'then the end');
});

t.test('more than 256 unanswered requests', async (t) => {
  const folder = t.testdir();
  writeFiles(folder, { small: 'small' });
  writeLarge(join(folder, 'large'), 30 * 2 ** 20);
  const node = await startIndexed(t, folder);
  const client = await connectTo(t, node);
  const [large, small] = await listOf(client.search(''));
  const peer = await RawPeer.to(t, node.address);
  // Not reading, so that the first body stands and everything behind it waits.
  peer.socket.pause();
  const requests = Array.from({ length: 300 }, (_, i) =>
    encodeMessage({ type: 'RQFH', hash: (i === 0 ? large?.hash : small?.hash) ?? '' }, i + 1),
  );
  peer.raw(Buffer.concat(requests));
  for (let i = 0; i < 50; i++) await client.ping();
  peer.socket.resume();
  let busy = 0;
  for (let i = 0; i < 300; i++) {
    const answer = await peer.next();
    if (answer?.message.type === 'ERRR') {
      t.equal(answer.message.code, 'ERR_BUSY');
      busy++;
      continue;
    }
    peer.expectBody(answer?.tag === 1 ? 30 * 2 ** 20 + 120 * 32 : 5);
    await peer.body();
  }
  t.equal(busy, 44);
});

t.test('all requests of a side that has sent them and reads late', async (t) => {
  const folder = t.testdir();
  const names = Array.from({ length: 400 }, (_, i) => `${'long name '.repeat(12)}${i}`);
  writeFiles(folder, Object.fromEntries(names.map((name) => [name, ''])));
  const node = await startIndexed(t, folder);
  const client = await connectTo(t, node);
  const peer = await RawPeer.to(t, node.address);
  peer.socket.pause();
  const requests = Array.from({ length: 150 }, (_, i) =>
    encodeMessage({ type: 'RQFS', query: '', ttl: 0 }, i + 1),
  );
  peer.socket.end(Buffer.concat(requests));
  for (let i = 0; i < 50; i++) await client.ping();
  peer.socket.resume();
  let answers = 0;
  while ((await peer.next()) !== undefined) answers++;
  t.equal(answers, 150);
});

t.test('a peer that owes and does something else', async (t) => {
  const options = { answerTimeout: 200 };
  const talk = (then: (peer: RawPeer) => void): Parameters<typeof startFake>[1] => {
    return (socket) => {
      const peer = new RawPeer(socket);
      void (async () => {
        const hello = await peer.next();
        peer.send(pong, hello?.tag ?? 0);
        await peer.next();
        then(peer);
      })();
    };
  };
  const drip = await startFake(
    t,
    talk(({ socket }) => {
      const timer = setInterval(() => {
        socket.write(encodeMessage({ type: 'ERRR', code: 'ERR_BUSY', message: '' }, 1));
      }, 20);
      socket.on('close', () => {
        clearInterval(timer);
      });
    }),
  );
  const one = await connect(drip.address, options);
  await t.rejects(one.ping(), { code: 'ERR_TIMED_OUT' }, 'answers that nobody waits for');
  const flood = await startFake(
    t,
    talk(({ socket }) => {
      socket.pause();
      const pings = Buffer.concat(
        Array.from({ length: 5000 }, (_, i) => encodeMessage(ping, i + 1)),
      );
      const more = (error?: Error | null): void => {
        if (error == null && !socket.destroyed) socket.write(pings, more);
      };
      more();
    }),
  );
  const two = await connect(flood.address, options);
  await t.rejects(two.ping(), { code: 'ERR_TIMED_OUT' }, 'a flood of requests, nothing read');
  const deaf = await startFake(t, (socket) => {
    const peer = new RawPeer(socket);
    socket.allowHalfOpen = true;
    void peer.next().then((hello) => peer.send(pong, hello?.tag ?? 0));
  });
  const three = await connect(deaf.address);
  await three.close();
  t.pass('close does not wait for ever');
});

t.test('giving up one call ends no other', async (t) => {
  const folder = t.testdir();
  writeFiles(folder, { small: random(100) });
  writeLarge(join(folder, 'large'), 50 * 2 ** 20);
  const node = await startIndexed(t, folder);
  const client = await connectTo(t, node);
  const [large, small] = await listOf(client.search(''));
  const abort = new AbortController();
  const stream = client.fetch(large?.hash ?? '', { signal: abort.signal });
  await once(stream, 'data');
  const other = bytesOf(client.fetch(small?.hash ?? ''));
  const gone = t.rejects(once(stream, 'end'), { code: 'ERR_ABORTED' });
  abort.abort();
  await gone;
  t.equal((await other).length, 100, 'the others continue');
  t.equal((await bytesOf(client.fetch(small?.hash ?? ''))).length, 100);
  await node.close();
  const lonely = AbortSignal.abort();
  await t.rejects(client.ping({ signal: lonely }), { code: 'ERR_ABORTED' });
});

t.test('what is not a peer', async (t) => {
  for (const [name, serve, code] of [
    ['an HTTP server', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'ERR_NOT_A_PEER'],
    ['garbage', random(5000), 'ERR_NOT_A_PEER'],
    ['an SSH server', 'SSH-2.0-OpenSSH_9.2\r\n', 'ERR_NOT_A_PEER'],
    ['hangs up', '', 'ERR_NOT_A_PEER'],
  ] as const) {
    const { address } = await startFake(t, (socket) => {
      socket.once('data', () => socket.end(serve));
    });
    await t.rejects(connect(address), { code }, name);
  }
  const { address } = await startFake(t, () => undefined);
  await t.rejects(connect(address, { answerTimeout: 50 }), { code: 'ERR_TIMED_OUT' }, 'silence');
  const other = await startFake(t, (socket) => {
    socket.once('data', () => socket.end(encodeMessage({ ...pong, info: { version: 2 } }, 1)));
  });
  await t.rejects(connect(other.address), { code: 'ERR_UNSUPPORTED' }, 'version 2');
  await t.rejects(connect('[::1'), { code: 'ERR_USAGE' });
  await t.rejects(connect('no.such.host.invalid:7000'), { code: 'ERR_UNREACHABLE' });
});

/** A peer that answers the first PING and then one request with `answer`. */
function liar(answer: (tag: number) => Uint8Array): Parameters<typeof startFake>[1] {
  return (socket) => {
    const peer = new RawPeer(socket);
    void (async () => {
      const hello = await peer.next();
      peer.send(pong, hello?.tag ?? 0);
      const request = await peer.next();
      peer.raw(answer(request?.tag ?? 0));
    })();
  };
}

const head = (size: number, offset: number, length: number): Message => ({
  type: 'ACKN',
  of: 'RQFH',
  size,
  offset,
  length,
});

t.test('lies about a file', async (t) => {
  const hello = Buffer.from('hello\n');
  for (const [name, code, range, message, body] of [
    ['another byte', 'ERR_MISMATCH', {}, head(6, 0, 6), Buffer.from('Hello\n')],
    ['an empty file', 'ERR_MISMATCH', {}, head(0, 0, 0), Buffer.alloc(0)],
    ['a shorter file', 'ERR_MISMATCH', {}, head(5, 0, 5), hello],
    ['a longer file', 'ERR_MISMATCH', {}, head(7, 0, 7), Buffer.from('hello\n\n')],
    ['a file of 8 PiB', 'ERR_MISMATCH', {}, head(2 ** 53 - 1, 0, 2 ** 53 - 1), random(100_000)],
    ['another range', 'ERR_MALFORMED', {}, head(6, 1, 5), hello],
    ['a shorter range', 'ERR_MALFORMED', { length: 4 }, head(6, 0, 3), hello],
    ['nothing of it', 'ERR_MALFORMED', {}, head(6, 0, 0), Buffer.alloc(0)],
    ['an end before the offset', 'ERR_MISMATCH', { offset: 3 }, head(3, 3, 0), Buffer.alloc(0)],
    ['an answer to a search', 'ERR_MALFORMED', {}, { type: 'RPFL', total: 0, files: [] }, hello],
    ['an answer to a ping', 'ERR_MALFORMED', {}, pong, hello],
  ] as const) {
    const serve = liar((tag) => Buffer.concat([encodeMessage(message, tag), body]));
    const { address } = await startFake(t, serve);
    const peer = await connect(address);
    t.teardown(() => peer.close());
    const got: Buffer[] = [];
    const stream = peer.fetch(HELLO, range);
    stream.on('data', (chunk: Buffer) => got.push(chunk));
    await t.rejects(once(stream, 'end'), { code }, name);
    t.same(got, [], 'nothing came out');
  }
});

t.test('a peer that stops in the middle', async (t) => {
  const { address } = await startFake(
    t,
    liar((tag) => Buffer.concat([encodeMessage(head(6, 0, 6), tag), Buffer.from('hel')])),
  );
  const peer = await connect(address, { answerTimeout: 100 });
  t.teardown(() => peer.close());
  await t.rejects(bytesOf(peer.fetch(HELLO)), { code: 'ERR_TIMED_OUT' });
});

t.test('the same page for ever', async (t) => {
  const { address } = await startFake(t, (socket) => {
    const peer = new RawPeer(socket);
    void (async () => {
      for (let got = await peer.next(); got !== undefined; got = await peer.next()) {
        if (got.message.type === 'PING') peer.send(pong, got.tag);
        else {
          const files = [{ path: 'x', hash: HELLO, size: 6 }];
          peer.send({ type: 'RPFL', total: 9, files, after: Buffer.from('x') }, got.tag);
        }
      }
    })();
  });
  const peer = await connect(address);
  t.teardown(() => peer.close());
  await t.rejects(listOf(peer.search('x')), { code: 'ERR_MALFORMED' });
});

t.test('both ends ask and both answer', async (t) => {
  const { address } = await startFake(t, (socket) => {
    const peer = new RawPeer(socket);
    void (async () => {
      const hello = await peer.next();
      // Ask back before answering.
      peer.send(ping, 77).send({ type: 'RQLT' }, 78);
      t.match(await peer.next(), { tag: 77, message: { of: 'PING', files: 0 } });
      t.match(await peer.next(), { tag: 78, message: { code: 'ERR_UNSUPPORTED' } });
      peer.send(pong, hello?.tag ?? 0);
    })();
  });
  const peer = await connect(address);
  await peer.close();
});

t.test('a wrong handler is an internal error, without its text', async (t) => {
  const errors: string[] = [];
  const { address } = await startFake(t, (socket) => {
    void (async () => {
      const peer = new RawPeer(socket).send(ping, 5);
      t.match(await peer.next(), { tag: 5, message: { message: 'internal error' } });
      socket.end();
    })();
  });
  const connection = await dial(address, {
    handler: () => {
      throw new Error('secret');
    },
    connectTimeout: 1000,
    answerTimeout: 1000,
    onInternalError: (error) => errors.push(error.message),
  });
  if (!connection.closed.aborted) await once(connection.closed, 'abort');
  t.same(errors, ['secret']);
});

t.test(
  'what a handler cannot do because something is being closed is no internal error',
  async (t) => {
    const errors: string[] = [];
    const { address } = await startFake(t, (socket) => {
      void (async () => {
        const peer = new RawPeer(socket).send(ping, 5);
        t.match(await peer.next(), { tag: 5, message: { code: 'ERR_BUSY' } });
        socket.end();
      })();
    });
    const connection = await dial(address, {
      handler: () => {
        throw new PeerError('ERR_CLOSED', 'closed');
      },
      connectTimeout: 1000,
      answerTimeout: 1000,
      onInternalError: (error) => errors.push(error.message),
    });
    if (!connection.closed.aborted) await once(connection.closed, 'abort');
    t.same(errors, []);
  },
);

t.test('nothing is left of a body when it has been sent', async (t) => {
  const folder = t.testdir();
  writeFiles(folder, { f: random(3_000_000) });
  const node = await startIndexed(t, folder);
  const client = await connectTo(t, node);
  const [found] = await listOf(client.search(''));
  const warnings: Error[] = [];
  const warned = (warning: Error): void => void warnings.push(warning);
  process.on('warning', warned);
  for (let i = 0; i < 60; i++) await bytesOf(client.fetch(found?.hash ?? '', { length: 700_000 }));
  await Promise.all(
    Array.from({ length: 60 }, () => bytesOf(client.fetch(found?.hash ?? '', { length: 1 }))),
  );
  process.off('warning', warned);
  t.same(warnings, [], 'no listeners pile up');
});

t.test('the answers to a search', async (t) => {
  const end = {
    type: 'ACKN',
    of: 'RQFS',
    asked: 1,
    answered: 1,
    timedOut: 0,
    duplicates: 0,
  } as const;
  const list = { type: 'RPFL', total: 0, files: [] } as const;
  const third = {
    type: 'TPHF',
    peer: { id: 'ab'.repeat(32), host: '127.0.0.1', port: 1 },
    query: 'x',
    hops: 1,
    total: 0,
    files: [],
  } as const;
  const answersOf = async (
    ttl: number,
    ...answers: (typeof end | typeof list | typeof third)[]
  ): Promise<string> => {
    const { address } = await startFake(t, (socket) => {
      const peer = new RawPeer(socket);
      void peer.next().then((request) => {
        for (const answer of answers) peer.send(answer, request?.tag ?? 0);
      });
    });
    const handler = (): void => undefined;
    const timeouts = { connectTimeout: 10_000, answerTimeout: 10_000 };
    const connection = await dial(address, { handler, ...timeouts });
    const seen: string[] = [];
    const over = new Promise<void>((resolve) => {
      connection.search(
        { type: 'RQFS', query: 'x', ttl },
        {
          files: () => {
            seen.push('files');
            if (ttl === 0) resolve();
          },
          third: () => seen.push('third'),
          end: () => {
            seen.push('end');
            resolve();
          },
          fail: ({ code }) => {
            seen.push(code);
            resolve();
          },
        },
      );
    });
    await over;
    connection.destroy();
    return seen.join(' ');
  };
  t.equal(await answersOf(2, list, third, third, end), 'files third third end');
  t.equal(await answersOf(0, list, end), 'files', 'what comes after the last is ignored');
  t.equal(await answersOf(2, third), 'ERR_MALFORMED', 'others before its own');
  t.equal(await answersOf(2, end), 'ERR_MALFORMED');
  t.equal(await answersOf(2, list, list), 'files ERR_MALFORMED');
});
