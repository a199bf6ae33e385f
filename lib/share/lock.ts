/** One node for one state folder. The lock is gone with the process, however it ends. */
import { createServer, type Server } from 'node:net';
import { realpath } from 'node:fs/promises';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PeerError, systemCode } from '../errors.js';
import { hashBlock } from '../hash/blake3.js';

export interface Lock {
  release(): void;
}

/**
 * @param folder exists
 * @throws PeerError ERR_USAGE when another node has it
 */
export async function lockState(folder: string): Promise<Lock> {
  const real = await realpath(folder);
  return process.platform === 'linux' ? lockBySocket(real) : lockByFile(real);
}

function taken(folder: string): PeerError {
  return new PeerError('ERR_USAGE', `${folder}: another node is using this state folder`);
}

/** A socket in Linux's abstract namespace (unix(7)): nothing on the disk that could be left behind. */
async function lockBySocket(folder: string): Promise<Lock> {
  const mark = Buffer.from(hashBlock(Buffer.from(folder))).toString('hex');
  const server: Server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      reject(systemCode(error) === 'EADDRINUSE' ? taken(folder) : error);
    });
    server.listen({ path: `\0p2p-serve-${mark}`, exclusive: true }, resolve);
  });
  server.unref();
  return {
    release: () => {
      server.close();
    },
  };
}

/** Elsewhere: a file with the process's id; one whose process is gone means nothing. */
function lockByFile(folder: string): Lock {
  const file = join(folder, 'lock');
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (systemCode(error) !== 'EEXIST' || attempt > 0) throw error;
      if (isAlive(Number(readFileSync(file, 'utf8')))) throw taken(folder);
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
