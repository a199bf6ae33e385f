/** nginx as one would use it for a folder: one worker, sendfile, no log. */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { accepts, freePort } from './ports.js';
import { stopper } from './processes.js';

export interface Nginx {
  port: number;
  pid: number;
  stop: () => Promise<void>;
}

/** @param folder an empty one, for its configuration and temporary files */
export async function startNginx(share: string, folder: string): Promise<Nginx> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const config = join(folder, 'nginx.conf');
  // Its worker must be allowed into the folder; for a user that is not root it is the same user anyway.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    config,
    `${user} daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
     events { worker_connections 2048; }
     http {
       access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
       ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
       server { listen 127.0.0.1:${port}; root ${share}; }
     }`,
  );
  const child = spawn('nginx', ['-c', config, '-p', folder, '-e', join(folder, 'error.log')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stop = stopper(child);
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error('nginx did not start');
    await pause(10);
  }
  return {
    port,
    pid: child.pid ?? 0,
    stop,
  };
}
