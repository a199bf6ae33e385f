/**
 * Waits until the bytes of many small files are on the disk. One commit of a file system's journal holds whatever was
 * written before it, and costs the same for one file as for a hundred: so the files that come while a group is being
 * synced are the next group.
 */
import { fdatasync } from 'node:fs';
import { promisify } from 'node:util';
import { kernelFiles } from './kernel-files.js';

/** Files of a group at most: all of them are in the queue of libuv's four threads at once. */
const MAX_GROUP = 128;

const datasync = promisify(fdatasync);

interface Waiting {
  fd: number;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class GroupSync {
  #waiting: Waiting[] = [];
  #isRunning = false;

  /** @param fd of a file that stays open until then @throws the system's error */
  sync(fd: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ fd, resolve, reject });
      if (this.#isRunning) return;
      this.#isRunning = true;
      // What is written in this turn goes together.
      setImmediate(() => void this.#run());
    });
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, MAX_GROUP);
      // Where bytes get their places on the disk only when they are written there (ext4), those of a file that is not
      // being written yet would be in a later commit.
      if (group.length > 1) for (const { fd } of group) kernelFiles()?.startWriteback(fd);
      const results = await Promise.allSettled(group.map(({ fd }) => datasync(fd)));
      // All at once: what their callers then ask a peer for goes in one packet.
      for (const [i, { resolve, reject }] of group.entries()) {
        const result = results[i];
        if (result?.status === 'rejected') reject(result.reason);
        else resolve();
      }
    }
    this.#isRunning = false;
  }
}
