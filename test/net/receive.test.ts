/**
 * Bodies come whole and right however the bytes arrive: one suite over both ways of reading, recv(2) and Node's.
 */
import { once } from 'node:events';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import t from 'tap';
import { BodyReceiver, type BlockOutput } from '../../lib/fetch/receive/body-receiver.js';
import type { VerifiedBlock } from '../../lib/fetch/receive/body-verifier.js';
import { TreeHasher, listBytes, rootOf } from '../../lib/hash/tree.js';
import type { Connection } from '../../lib/net/connection.js';
import { dial } from '../../lib/net/dialer.js';
import { loadReceive, type Receive } from '../../lib/net/kernel-receive.js';
import { BLOCK_BYTES, bodyParts } from '../../lib/wire/body.js';
import type { FileHead, GetFile } from '../../lib/wire/messages.js';
import { random } from '../fixtures/bytes.js';
import { RawPeer, startFake } from '../fixtures/raw.js';

interface Test {
  teardown(end: () => unknown): void;
}

interface File {
  readonly content: Buffer;
  readonly hash: string;
  /** What is sent for all of it. */
  readonly body: Buffer;
}

function makeFile(bytes: number): File {
  const content = random(bytes);
  const tree = new TreeHasher().update(content).digest();
  const parts = [...bodyParts(bytes, 0, bytes)].map((part) =>
    part.kind === 'list'
      ? listBytes(tree, part.level, part.index)
      : content.subarray(part.first * BLOCK_BYTES, part.first * BLOCK_BYTES + part.bytes),
  );
  return {
    content,
    hash: Buffer.from(rootOf(tree)).toString('hex'),
    body: Buffer.concat(parts),
  };
}

/** Keeps what it is given. Has no memory while `full`. */
class Kept implements BlockOutput {
  readonly blocks: Buffer[] = [];
  full = false;
  ended = false;
  onBlock: (block: VerifiedBlock) => void = () => undefined;

  allocate(bytes: number): Uint8Array | undefined {
    return this.full ? undefined : Buffer.alloc(bytes);
  }
  write(block: VerifiedBlock): void {
    this.blocks.push(Buffer.from(block.bytes));
    this.onBlock(block);
  }
  end(): void {
    this.ended = true;
  }
  fail(): void {
    // Whoever asked is told.
  }
  get bytes(): Buffer {
    return Buffer.concat(this.blocks);
  }
}

/** Sends each body that is asked for as `send` says, after its head. */
type Send = (peer: RawPeer, file: File) => Promise<void> | undefined;

const files = [0, 1, 70_000, BLOCK_BYTES, BLOCK_BYTES + 1, 5 * BLOCK_BYTES + 77].map(makeFile);
const [empty, one, , , , large] = files as [File, File, File, File, File, File];

function suite(name: string, receive: Receive): void {
  const open = async (t: Test, send: Send): Promise<Connection> => {
    const { address } = await startFake(t, (socket) => {
      const peer = new RawPeer(socket);
      void (async () => {
        for (let got = await peer.next(); got !== undefined; got = await peer.next()) {
          const { message, tag } = got;
          if (message.type !== 'RQFH') throw new Error(`got ${message.type}`);
          const file = files.find(({ hash }) => hash === message.hash) ?? empty;
          const size = file.content.length;
          peer.send({ type: 'ACKN', of: 'RQFH', size, offset: 0, length: size }, tag);
          await send(peer, file);
        }
      })();
    });
    const connection = await dial(address, {
      connectTimeout: 10_000,
      answerTimeout: 30_000,
      handler: () => Promise.resolve(),
      receive,
    });
    t.teardown(() => {
      connection.destroy();
    });
    return connection;
  };
  const fetch = (
    connection: Connection,
    { hash }: File,
    output: BlockOutput,
    signal?: AbortSignal,
  ): Promise<void> => {
    const request: GetFile = { type: 'RQFH', hash };
    const sink = (head: FileHead): BodyReceiver => new BodyReceiver(request, head, output);
    return connection.requestBody(request, sink, signal);
  };

  t.test(`${name}: all sizes, one after the other and pipelined`, async (t) => {
    const connection = await open(t, (peer, { body }) => {
      peer.raw(body);
      return undefined;
    });
    for (const file of files) {
      const output = new Kept();
      await fetch(connection, file, output);
      t.ok(output.bytes.equals(file.content), `${file.content.length} bytes`);
      t.ok(output.ended);
    }
    const many = Array.from({ length: 60 }, (_, i) => files[i % files.length] ?? one);
    const outputs = many.map(() => new Kept());
    await Promise.all(many.map((file, i) => fetch(connection, file, outputs[i] ?? new Kept())));
    t.ok(many.every(({ content }, i) => outputs[i]?.bytes.equals(content)));
  });

  t.test(`${name}: cut at any place into two reads`, async (t) => {
    let place = 0;
    let received = 0;
    const connection = await open(t, async (peer, { body }) => {
      peer.raw(body.subarray(0, place));
      // The rest is sent when the blocks before the cut have come, so that there are two reads.
      while (received < Math.floor(Math.max(0, place - 192) / BLOCK_BYTES)) await arrived.next();
      peer.raw(body.subarray(place));
    });
    const arrived = signals();
    const { length } = large.body;
    const near = [0, 1, 191, 192, 193, 65_536, BLOCK_BYTES, BLOCK_BYTES + 192, length - 65_537];
    const places = [...near, ...near.map((at) => length - at), ...near.map((at) => at + 65_535)];
    for (place of places.filter((at) => at >= 0 && at <= length)) {
      received = 0;
      const output = new Kept();
      output.onBlock = () => {
        received++;
        arrived.fire();
      };
      await fetch(connection, large, output);
      t.ok(output.bytes.equals(large.content), `cut at ${place}`);
    }
  });

  t.test(`${name}: nothing more is read while there is no memory`, async (t) => {
    const big = makeFile(64 * BLOCK_BYTES);
    files.push(big);
    t.teardown(() => files.pop());
    let peerSocket: Socket | undefined;
    const connection = await open(t, (peer, { body }) => {
      peerSocket = peer.socket;
      peer.raw(body);
      return undefined;
    });
    const output = new Kept();
    const stopped = new Promise<void>((resolve) => {
      output.onBlock = () => {
        if (output.blocks.length !== 3) return;
        output.full = true;
        resolve();
      };
    });
    const done = fetch(connection, big, output);
    await stopped;
    // Another connection's answer takes the same turns of the event loop: what could come has come.
    const other = await open(t, (peer, { body }) => {
      peer.raw(body);
      return undefined;
    });
    await fetch(other, large, new Kept());
    t.equal(output.blocks.length, 3, 'no block without memory');
    t.ok((peerSocket?.writableLength ?? 0) > 0, 'the sender waits');
    output.full = false;
    connection.resume();
    await done;
    t.ok(output.bytes.equals(big.content));
  });

  t.test(`${name}: given up in the middle, nothing more is handed on`, async (t) => {
    const connection = await open(t, (peer, { body }) => {
      peer.raw(body);
      return undefined;
    });
    const stop = new AbortController();
    const output = new Kept();
    output.onBlock = () => {
      stop.abort();
    };
    await t.rejects(fetch(connection, large, output, stop.signal), { code: 'ERR_ABORTED' });
    t.equal(output.blocks.length, 1, 'nothing after that');
  });

  t.test(`${name}: a wrong block ends the connection, and nothing after it comes`, async (t) => {
    const connection = await open(t, (peer, { body }) => {
      const bad = Buffer.from(body);
      const at = 2 * BLOCK_BYTES + 500;
      bad[at] = (bad[at] ?? 0) ^ 1;
      peer.raw(bad);
      return undefined;
    });
    const output = new Kept();
    await t.rejects(fetch(connection, large, output), { code: 'ERR_MISMATCH' });
    t.equal(output.blocks.length, 2);
  });

  t.test(`${name}: a descriptor that is closed and used again is not read from`, async (t) => {
    const server = createServer((socket) => {
      socket.end(large.body);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => {
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const connection = await open(t, (peer, { body }) => {
      peer.raw(body);
      return undefined;
    });
    const output = new Kept();
    let others: Socket[] = [];
    output.onBlock = () => {
      // In the middle of a turn: the number is free from now on, and taken by the next socket.
      connection.destroy();
      others = Array.from({ length: 8 }, () => connect({ host: '127.0.0.1', port }));
    };
    await t.rejects(fetch(connection, large, output));
    t.equal(output.blocks.length, 1);
    for (const socket of others) {
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      t.ok(Buffer.concat(chunks).equals(large.body), 'its bytes are its own');
    }
  });
}

/** Wakes whoever waits for the next time. */
function signals(): { fire: () => void; next: () => Promise<void> } {
  let wake = (): void => undefined;
  return {
    fire: () => {
      wake();
    },
    next: () =>
      new Promise((resolve) => {
        wake = resolve;
      }),
  };
}

const kernel = await loadReceive();
suite('Node', () => -1);
if (kernel === undefined) {
  t.pass('recv(2) # SKIP koffi is not there');
} else {
  let reads = 0;
  suite('recv(2)', (fd, memory) => {
    const n = kernel(fd, memory);
    if (n > 0) reads++;
    return n;
  });
  t.test('recv(2) was used', (t) => {
    t.ok(reads > 20, `${reads} reads`);
    t.end();
  });
  let byte = 0;
  suite('recv(2), short', (fd, memory) => kernel(fd, memory.subarray(0, 1 + (byte++ % 70_000))));
}
