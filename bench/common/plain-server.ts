/**
 * What one would write in an evening: `createReadStream(file).pipe(socket)`. And, as the limit of what
 * sockets can do here, a server that sends the same memory over and over, for as many bytes.
 *
 * node plain-server.js pipe|memory FILE
 */
import { createReadStream, statSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { MEMORY_BYTE } from './memory-byte.js';

const [kind = '', file = ''] = process.argv.slice(2);
const size = statSync(file).size;
const memory = Buffer.alloc(1024 * 1024, MEMORY_BYTE);

function sendMemory(socket: Socket): void {
  let left = size;
  const next = (): void => {
    if (left === 0) {
      socket.end();
      return;
    }
    const n = Math.min(left, memory.length);
    left -= n;
    socket.write(memory.subarray(0, n), next);
  };
  next();
}

const server = createServer((socket) => {
  socket.on('error', () => undefined);
  if (kind === 'pipe') createReadStream(file).pipe(socket);
  else sendMemory(socket);
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
process.once('SIGTERM', () => {
  process.exit();
});
