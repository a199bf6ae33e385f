/** One holder at a time, in all processes of this machine. A lock is gone with its process, however it ends. */
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { systemCode, type PeerError } from '../errors.js';

export interface Lock {
  release(): void;
}

/**
 * @param name what is locked: a path without symbolic links
 * @param file a file for the lock, where the system has no better way; its folder exists
 * @param taken made and thrown when somebody else has it
 */
export async function lock(name: string, file: string, taken: () => PeerError): Promise<Lock> {
  return process.platform === 'linux' ? lockBySocket(name, taken) : lockByFile(file, taken);
}

/** A socket in Linux's abstract namespace (unix(7)): nothing on the disk that could be left behind. */
async function lockBySocket(name: string, taken: () => PeerError): Promise<Lock> {
  const mark = createHash('sha256').update(name).digest('hex');
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(systemCode(error) === 'EADDRINUSE' ? taken() : error);
    });
    server.listen({ path: `\0p2p-serve-${mark}`, exclusive: true }, resolve);
  });
  // Who connects may find no descriptor left (EMFILE): the lock holds all the same.
  server.on('error', () => undefined);
  server.unref();
  return {
    release: () => {
      server.close();
    },
  };
}

/** Elsewhere: a file with the process's id; one whose process is gone means nothing. */
function lockByFile(file: string, taken: () => PeerError): Lock {
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST' || attempt > 0) throw error;
      if (isAlive(Number(readFileSync(file, 'utf8')))) throw taken();
      rmSync(file, { force: true });
    }
  }
  return {
    release: () => {
      rmSync(file, { force: true });
    },
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) === 'EPERM';
  }
}
