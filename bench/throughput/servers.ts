/** All servers of a few files, each in a process of its own. */
import { createReadStream, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hashStream } from '../../lib/hash/path.js';
import { bodyBytes } from '../../lib/wire/body.js';
import { encodeMessage } from '../../lib/wire/messages.js';
import { makeFile } from '../common/files.js';
import { startNginx, type Nginx } from '../common/nginx.js';
import { installed, start, startNode, type Running } from '../common/processes.js';
import { withChildren, type Group } from '../common/usage.js';
import { MEMORY_BYTE } from '../common/memory-byte.js';
import { isAll, isBody, isFile, type RawSource } from '../common/raw-reader.js';

/** A file that is served. */
export interface Served {
  name: string;
  path: string;
  size: number;
  hash: string;
}

export interface Servers {
  node: Running;
  /** A node that does without sendfile. */
  streams: Running;
  /** These two have the largest file only. */
  pipe: Running;
  memory: Running;
  nginx: Nginx | undefined;
  /** The smallest first. */
  files: readonly Served[];
  largest: Served;
  stop(): Promise<void>;
}

/** @param folder an empty one */
export async function startServers(folder: string, sizes: readonly number[]): Promise<Servers> {
  const share = join(folder, 'share');
  mkdirSync(share);
  const files: Served[] = [];
  for (const size of sizes) {
    const name = `of-${size}`;
    const path = join(share, name);
    makeFile(path, size);
    files.push({ name, path, size, hash: await hashStream(createReadStream(path)) });
  }
  const largest = files.at(-1);
  if (largest === undefined) throw new RangeError('no sizes');
  const [node, streams, pipe, memory] = await Promise.all([
    startNode(share, join(folder, 'state')),
    startNode(share, join(folder, 'state-streams'), '--no-sendfile'),
    start('bench/common/plain-server.js', ['pipe', largest.path]),
    start('bench/common/plain-server.js', ['memory', largest.path]),
  ]);
  const own = join(folder, 'nginx');
  const nginx = installed('nginx', '-v') ? await startNginx(share, own) : undefined;
  const all = [node, streams, pipe, memory, ...(nginx === undefined ? [] : [nginx])];
  return {
    ...{ node, streams, pipe, memory, nginx, files, largest },
    stop: async () => {
      await Promise.all(all.map((one) => one.stop()));
    },
  };
}

/** A server's processes. */
export function serverGroup({ pid }: { pid: number }): Group {
  return { name: 'server', pids: () => withChildren(pid) };
}

/** What a node sends when it is asked for a file. */
export function fromNode({ line }: Pick<Running, 'line'>, { hash, size }: Served): RawSource {
  return {
    port: Number(line.split(':').at(-1)),
    ask: encodeMessage({ type: 'RQFH', hash }, 1),
    head: 'frame',
    bytes: bodyBytes(size, 0, size),
    verifier: () => isBody(hash, size),
  };
}

export function fromNginx({ port }: Nginx, { name, hash, size }: Served): RawSource {
  const ask = Buffer.from(`GET /${name} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return { port, ask, head: 'http', bytes: size, verifier: () => isFile(hash) };
}

/** What comes from a plain server: the file, or memory. */
export function fromPlain(
  { line }: Running,
  { hash, size }: Served,
  what: 'file' | 'memory',
): RawSource {
  return {
    port: Number(line),
    ask: Buffer.alloc(0),
    head: 'none',
    bytes: size,
    verifier: () => (what === 'file' ? isFile(hash) : isAll(MEMORY_BYTE)),
  };
}

/** See that what was written is the file. */
export async function checkFile(out: string, { hash, size }: Served, name: string): Promise<void> {
  const { size: written } = statSync(out);
  if (written !== size) throw new Error(`${name} wrote ${written} bytes`);
  const got = await hashStream(createReadStream(out, { highWaterMark: 2 ** 20 }));
  if (got !== hash) throw new Error(`${name} wrote another file`);
}
