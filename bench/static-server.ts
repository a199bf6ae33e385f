/**
 * A folder over HTTP, as one serves it from Node: by sirv when it is installed, else by a plain handler
 * that does the same (a look-up among names read at the start, `createReadStream`, `pipe`).
 *
 * node static-server.js FOLDER; says `PORT NAME` when it listens.
 */
import { createReadStream, readdirSync, statSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

const [folder = ''] = process.argv.slice(2);

/** @param module whose `default` is as sirv's; it need not be there, so TypeScript does not look for it */
async function handler(module: string): Promise<{ name: string; handle: RequestListener }> {
  try {
    const { default: make } = (await import(module)) as {
      default: (folder: string) => RequestListener;
    };
    return { name: module, handle: make(folder) };
  } catch {
    return { name: 'createReadStream', handle: plain() };
  }
}

function plain(): RequestListener {
  const files = new Map<string, { file: string; size: number }>();
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    files.set(file.slice(folder.length), { file, size: statSync(file).size });
  }
  return (request, response) => {
    const found = files.get(decodeURI(request.url ?? ''));
    if (found === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'content-length': found.size });
    createReadStream(found.file).pipe(response);
  };
}

const { name, handle } = await handler('sirv');
const server = createServer(handle);
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as AddressInfo).port} ${name}\n`);
});
process.once('SIGTERM', () => {
  process.exit();
});
