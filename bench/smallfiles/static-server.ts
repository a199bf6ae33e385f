/**
 * A folder over HTTP, as one serves it from Node: by sirv, which reads all names at the start.
 *
 * node static-server.js FOLDER; says its port when it listens.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import sirv from 'sirv';

const [folder = ''] = process.argv.slice(2);
const server = createServer(sirv(folder));
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port}\n`);
});
process.once('SIGTERM', () => {
  process.exit();
});
