/**
 * Many clients at once: what they get together, against one alone; how fair it is; and what clients that
 * hardly read cost, in memory and for an honest one beside them. And one client that fetches many files.
 */
import { createReadStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { hashStream } from '../lib/hash/path.js';
import { measureAtOnce, type Served } from './clients/at-once.js';
import { measureFolder } from './clients/folder.js';
import { measureSlow } from './clients/slow.js';
import { makeFile } from './common/files.js';
import { startNginx } from './common/nginx.js';
import { installed, start, startNode } from './common/processes.js';
import type { Report } from './common/report.js';
import type { Progress, Settings, Subject } from './common/subject.js';

export const clients: Subject = {
  name: 'clients',
  describe:
    'many clients at once; against one alone, nginx, Node; 5 times as many that read 1 KiB/s; a folder',
  defaults: { size: 2 ** 27, files: 2000, runs: 3 },
  run,
};

/** What each of many clients fetches is such a part of the large file. */
const PARTS = 32;

async function run(settings: Settings, progress: Progress): Promise<Report[]> {
  const { size, folder } = settings;
  const share = join(folder, 'share');
  mkdirSync(share);
  const files = { small: Math.ceil(size / PARTS), large: size };
  const hashOf = async (name: keyof typeof files): Promise<string> => {
    makeFile(join(share, name), files[name]);
    return hashStream(createReadStream(join(share, name)));
  };
  const small = { hash: await hashOf('small'), size: files.small };
  const large = { hash: await hashOf('large'), size };
  const ends: (() => Promise<void>)[] = [];
  try {
    const node = await startNode(share, join(folder, 'state'));
    ends.push(node.stop);
    const ours: Served = {
      name: 'p2p-serve',
      pid: node.pid,
      server: { kind: 'node', address: node.line, ...small },
    };
    const servers = [ours];
    if (installed('nginx', '-v')) {
      const { port, pid, stop } = await startNginx(share, join(folder, 'nginx'));
      ends.push(stop);
      const server = { kind: 'http', port, path: '/small', ...small } as const;
      servers.push({ name: 'nginx, sendfile', pid, server });
    }
    const path = join(share, 'small');
    const pipe = await start('bench/common/plain-server.js', ['pipe', path]);
    ends.push(pipe.stop);
    servers.push({
      name: 'createReadStream.pipe(socket)',
      pid: pipe.pid,
      server: { kind: 'plain', port: Number(pipe.line), ...small },
    });
    return [
      ...(await measureAtOnce(servers, settings, progress)),
      ...(await measureSlow(ours, large, settings, progress)),
      ...(await measureFolder(settings, progress)),
    ];
  } finally {
    await Promise.all(ends.map((end) => end()));
  }
}
