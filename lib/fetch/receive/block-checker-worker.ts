/** The thread of a BlockChecker. */
import { parentPort } from 'node:worker_threads';
import { hashBlock } from '../../hash/blake3.js';
import type { CheckMessage, RunMessage } from './block-checker.js';
import { SharedRun } from './shared-run.js';

const runs = new Map<number, SharedRun>();

/** How many blocks are right, from the first. */
function countRight({ id, first, count }: CheckMessage): number {
  const run = runs.get(id);
  if (run === undefined) throw new TypeError('a run that was not told of');
  let right = 0;
  while (right < count) {
    const { bytes, hash } = run.block(first + right);
    if (Buffer.compare(hashBlock(bytes), hash) !== 0) break;
    right++;
  }
  return right;
}

const port = parentPort;
if (port === null) throw new TypeError('to be started as a worker');
port.on('message', (message: CheckMessage | RunMessage) => {
  if ('count' in message) port.postMessage(countRight(message));
  else if (message.memory === undefined) runs.delete(message.id);
  else runs.set(message.id, new SharedRun(message.id, message.memory));
});
port.postMessage('ready');
