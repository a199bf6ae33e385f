/** nginx as one would use it for a folder: one worker, sendfile, no log. */
import { spawn, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { certificateOf, toPem } from '../../lib/net/tls/certificate.js';
import { accepts, freePort } from './ports.js';
import { stopper } from './processes.js';

export interface Nginx {
  port: number;
  /** Where it speaks TLS 1.3; undefined where it cannot. */
  tlsPort: number | undefined;
  pid: number;
  stop: () => Promise<void>;
}

/** @param folder an empty one, for its configuration and temporary files */
export async function startNginx(share: string, folder: string): Promise<Nginx> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const tlsPort = hasTls() ? await freePort() : undefined;
  const tls = tlsPort === undefined ? '' : tlsServer(tlsPort, share, folder);
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
       ${tls}
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
    tlsPort,
    pid: child.pid ?? 0,
    stop,
  };
}

function hasTls(): boolean {
  return spawnSync('nginx', ['-V'], { encoding: 'utf8' }).stderr.includes('http_ssl_module');
}

/** As one would have it, with a certificate such as a peer has. */
function tlsServer(port: number, share: string, folder: string): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  const key = join(folder, 'key.pem');
  const certificate = join(folder, 'certificate.pem');
  writeFileSync(key, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(certificate, toPem(certificateOf(privateKey)));
  return `server { listen 127.0.0.1:${port} ssl; root ${share}; ssl_protocols TLSv1.3;
    ssl_certificate ${certificate}; ssl_certificate_key ${key}; }`;
}
