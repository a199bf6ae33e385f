/**
 * One large file in the page cache, from one process to another: fetched and verified, against a plain
 * `createReadStream.pipe(socket)` (not verified) and against what a bare socket can do.
 */
import { mkdirSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { connect } from '../lib/client.js';
import { roomFor } from '../lib/memory.js';
import { megabytesPerSecond, type Table } from './report.js';
import { makeFile } from './files.js';
import { start } from './processes.js';
import { inTurn, timed, type Settings, type Subject } from './subject.js';

export const throughput: Subject = {
  name: 'throughput',
  describe: 'one large file, served and fetched verified, against createReadStream.pipe(socket)',
  run,
};

async function run({ size, runs, folder }: Settings): Promise<Table[]> {
  const share = join(folder, 'share');
  mkdirSync(share);
  makeFile(join(share, 'large'), size);
  const node = await start('bin/p2p-serve.js', [
    ...[share, '--port', '0', '--host', '127.0.0.1', '--state', join(folder, 'state')],
  ]);
  const pipe = await start('bench/plain-server.js', ['pipe', join(share, 'large')]);
  const memory = await start('bench/plain-server.js', ['memory', join(share, 'large')]);
  try {
    await node.next();
    const address = node.line.split(' ')[2] ?? '';
    const peer = await connect(address);
    const found = await peer.search('').next();
    const hash = found.done === true ? '' : found.value.hash;
    const ours = async (): Promise<number> => {
      let bytes = 0;
      const milliseconds = await timed(() =>
        peer.fetchTo(hash, {
          write: (chunk) => {
            bytes += chunk.length;
            return Promise.resolve();
          },
        }),
      );
      return complete(bytes, size, milliseconds);
    };
    const times = await inTurn(
      [
        { name: 'p2p-serve, verified', once: ours },
        { name: 'createReadStream.pipe(socket)', once: () => read(pipe.line, size, 'events') },
        { name: 'limit: memory to socket', once: () => read(memory.line, size, 'buffer') },
      ],
      runs,
    );
    await peer.close();
    const rows = [...times].map(([name, ms]) => ({ name, values: megabytesPerSecond(size, ms) }));
    return [{ title: `throughput of one file of ${size} bytes`, unit: 'MB/s', rows }];
  } finally {
    await Promise.all([node.stop(), pipe.stop(), memory.stop()]);
  }
}

function complete(bytes: number, size: number, milliseconds: number): number {
  if (bytes !== size) throw new Error(`${bytes} bytes came instead of ${size}`);
  return milliseconds;
}

/** Read all that a port sends, by `data` events or into one buffer that is used again. */
async function read(port: string, size: number, how: 'events' | 'buffer'): Promise<number> {
  let bytes = 0;
  const milliseconds = await timed(async () => {
    const target = { host: '127.0.0.1', port: Number(port) };
    const buffer = roomFor(256 * 1024);
    const socket = connectSocket(
      how === 'events'
        ? target
        : {
            ...target,
            onread: {
              buffer,
              callback: (n: number) => {
                bytes += n;
                return true;
              },
            },
          },
    );
    if (how === 'events') socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
    await once(socket, 'close');
  });
  return complete(bytes, size, milliseconds);
}
