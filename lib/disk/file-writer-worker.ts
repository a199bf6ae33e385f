/** The thread of a FileWriter. */
import { writeSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { asError, systemCode } from '../errors.js';
import type { WriteAnswer, WriteMessage } from './file-writer.js';

const PIECE_BYTES = 32 * 1024;

function write({ fd, bytes, position }: WriteMessage): WriteAnswer {
  let written = 0;
  try {
    while (written < bytes.length) {
      const n = Math.min(PIECE_BYTES, bytes.length - written);
      written += writeSync(fd, bytes, written, n, position + written);
    }
    return { written, error: undefined };
  } catch (error) {
    return { written, error: { code: systemCode(error), message: asError(error).message } };
  }
}

const port = parentPort;
if (port === null) throw new TypeError('to be started as a worker');
port.on('message', (message: WriteMessage) => {
  port.postMessage(write(message));
});
port.postMessage('ready');
